"""Pool of workers in actors of a Ray cluster: one machine, or several that share a folder."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from modeseek.sweeps.worker import Worker, WorkerStatus
from modeseek.sweeps.worker_pool import JobRequest, WorkerLost

_LOOPBACK = "127.0.0.1"
_CLUSTER_FLAG = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # 0: Ray does not replace 127.0.0.1 by an external address
_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}


class RayWorkerPool:
    """Pool with one Ray actor per worker, spread over the machines, which all see the sweep's folder at the same path.

    Without an address it starts a cluster of this machine alone, on loopback and without a dashboard. With one it joins
    that cluster, whose network interface was chosen when it was started.

    Args:
        size: maximum number of workers, >= 1; None for as many as the cluster has room for.
        address: address of a cluster: host:port, ray://host:port, or auto; None starts a local one.
        gpu: whether each worker needs an accelerator of its own.
        cpus: number of cores, and of threads, of each worker.

    Raises:
        ValueError: Ray is missing, or there is no such cluster, or it has no room for one worker.
    """

    def __init__(self, size: int | None = None, address: str | None = None, gpu: bool = False, cpus: int = 1) -> None:
        if size is not None and size < 1:
            raise ValueError(f"a sweep needs at least one worker: got {size}; raise --workers")
        self._ray = _ray(alone=address is None)
        self._ours = _connect(self._ray, address, None if size is None else size * cpus)
        resources = self._ray.cluster_resources()
        capacity = int(min(resources.get("CPU", 0) // cpus, resources.get("GPU", 0) if gpu else float("inf")))
        if capacity < 1:
            self.close()
            need = f"{cpus} core(s)" + (" and an accelerator" if gpu else "")
            raise ValueError(f"a worker needs {need}: the cluster has {_counted(resources)}; add a machine")
        self._size = capacity if size is None else size
        self._actor_class = self._ray.remote(Worker).options(
            num_cpus=cpus,
            num_gpus=1 if gpu else 0,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
        )
        self._cpus = cpus
        self._workers: dict[int, Any] = {}
        self._pending: dict[Any, int] = {}
        self._spawned = 0

    @property
    def size(self) -> int:
        return self._size

    def spawn(self) -> int:
        number, self._spawned = self._spawned, self._spawned + 1
        actor = self._actor_class.remote(self._cpus, os.getcwd())
        self._workers[number] = actor
        self._pending[actor.ready.remote()] = number
        return number

    def submit(self, worker: int, request: JobRequest) -> None:
        self._pending[getattr(self._workers[worker], request.method).remote(*request.args)] = worker

    def poll(self, seconds: float) -> Sequence[tuple[int, WorkerStatus | WorkerLost]]:
        if not self._pending:
            time.sleep(seconds)
            return []
        waiting = list(self._pending)
        if not self._ray.wait(waiting, num_returns=1, timeout=seconds)[0]:
            return []
        ready, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=0)
        return [(self._pending[ref], self._reply(self._pending.pop(ref), ref)) for ref in ready]

    def close(self) -> None:
        for actor in getattr(self, "_workers", {}).values():
            self._ray.kill(actor, no_restart=True)
        self._workers, self._pending = {}, {}
        if self._ours:
            self._ray.shutdown()
            self._ours = False

    def _reply(self, number: int, ref: Any) -> WorkerStatus | WorkerLost:
        failures = self._ray.exceptions
        try:
            return self._ray.get(ref)
        except failures.RayTaskError:
            raise  # a bug: methods of Worker do not raise
        except failures.RayError as error:
            self._ray.kill(self._workers.pop(number), no_restart=True)  # it may only be unreachable
            first, *_, last = [*str(error).strip().split("\n"), ""]
            return WorkerLost(" ".join(f"{first} {last}".split())[:200] or type(error).__name__)


def _ray(alone: bool) -> Any:
    """Imports Ray, configured by environment to send no usage statistics and, if alone, to listen on loopback only."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    before = os.environ.get(_CLUSTER_FLAG)
    if alone:
        os.environ[_CLUSTER_FLAG] = "0"
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ValueError("the executor ray needs Ray: pip install 'modeseek[distributed]', or use local") from error
    finally:
        if before is None:
            os.environ.pop(_CLUSTER_FLAG, None)
        else:
            os.environ[_CLUSTER_FLAG] = before
    return ray


def _connect(ray: Any, address: str | None, cpus: int | None) -> bool:
    """Joins or starts a cluster; returns whether `close` must shut the connection down."""
    if ray.is_initialized():
        return False
    if address is None:
        ray.init(address="local", num_cpus=cpus, include_dashboard=False, _node_ip_address=_LOOPBACK, **_QUIET)
        (node,) = ray.nodes()
        if node["NodeManagerAddress"] != _LOOPBACK:
            ray.shutdown()
            raise ValueError(
                f"Ray would listen on {node['NodeManagerAddress']}, since it was imported before the sweep began; "
                "import it later, or start a cluster and give its --address"
            )
        return True
    try:
        ray.init(address=address, **_QUIET)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        line = " ".join(str(error).split())[:200]
        raise ValueError(f"there is no Ray cluster at {address}: {line}; start one with ray start --head") from error
    return True


def _counted(resources: dict[str, float]) -> str:
    return f"{resources.get('CPU', 0):g} cores and {resources.get('GPU', 0):g} accelerators"
