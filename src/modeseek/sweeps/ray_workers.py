"""Workers as actors of a Ray cluster: one machine, or many that share a folder."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from modeseek.sweeps.worker import Worker, WorkerStatus
from modeseek.sweeps.worker_pool import JobRequest, WorkerLost

_LOOPBACK = "127.0.0.1"
_BEYOND = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # 0: Ray replaces no 127.0.0.1 by an address that others can reach
_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}


class RayWorkerPool:
    """An actor a worker, spread over the machines; all of them see the sweep's folder under the same path.

    Without an address a cluster of this machine alone is begun, on loopback and without a dashboard. With one it joins
    that cluster, which listens where whoever started it chose.

    Args:
        size: workers at a time; None is what the cluster has room for.
        address: of a cluster: host:port, ray://host:port, or auto.
        gpu: whether each worker needs an accelerator of its own.
        cpus: cores, and threads, of each worker.

    Raises:
        ValueError: Ray is missing, or there is no such cluster, or it has no room for one worker.
    """

    def __init__(self, size: int | None = None, address: str | None = None, gpu: bool = False, cpus: int = 1) -> None:
        if size is not None and size < 1:
            raise ValueError(f"a sweep needs at least one worker: got {size}; raise --workers")
        self._ray = _ray(alone=address is None)
        self._ours = _connect(self._ray, address, None if size is None else size * cpus)
        there = self._ray.cluster_resources()
        room = int(min(there.get("CPU", 0) // cpus, there.get("GPU", 0) if gpu else float("inf")))
        if room < 1:
            self.close()
            need = f"{cpus} core(s)" + (" and an accelerator" if gpu else "")
            raise ValueError(f"a worker needs {need}: the cluster has {_counted(there)}; add a machine")
        self._size = room if size is None else size
        actor = self._ray.remote(Worker)
        self._actor = actor.options(
            num_cpus=cpus,
            num_gpus=1 if gpu else 0,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
        )
        self._cpus = cpus
        self._members: dict[int, Any] = {}
        self._pending: dict[Any, int] = {}
        self._spawned = 0

    @property
    def size(self) -> int:
        return self._size

    def spawn(self) -> int:
        number, self._spawned = self._spawned, self._spawned + 1
        member = self._actor.remote(self._cpus, os.getcwd())
        self._members[number] = member
        self._pending[member.hello.remote()] = number
        return number

    def submit(self, worker: int, request: JobRequest) -> None:
        self._pending[getattr(self._members[worker], request.method).remote(*request.args)] = worker

    def poll(self, seconds: float) -> Sequence[tuple[int, WorkerStatus | WorkerLost]]:
        if not self._pending:
            time.sleep(seconds)
            return []
        waiting = list(self._pending)
        if not self._ray.wait(waiting, num_returns=1, timeout=seconds)[0]:
            return []
        ready, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=0)
        return [(self._pending[ref], self._answer(self._pending.pop(ref), ref)) for ref in ready]

    def close(self) -> None:
        for member in getattr(self, "_members", {}).values():
            self._ray.kill(member, no_restart=True)
        self._members, self._pending = {}, {}
        if self._ours:
            self._ray.shutdown()
            self._ours = False

    def _answer(self, number: int, ref: Any) -> WorkerStatus | WorkerLost:
        failures = self._ray.exceptions
        try:
            return self._ray.get(ref)
        except failures.RayTaskError:
            raise  # a fault of ours: a worker's methods answer
        except failures.RayError as error:
            self._ray.kill(self._members.pop(number), no_restart=True)  # should it only be out of reach
            first, *_, last = [*str(error).strip().split("\n"), ""]
            return WorkerLost(" ".join(f"{first} {last}".split())[:200] or type(error).__name__)


def _ray(alone: bool) -> Any:
    """The package, told before it is imported whether it is to listen beyond this machine, and to send nothing home."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    before = os.environ.get(_BEYOND)
    if alone:
        os.environ[_BEYOND] = "0"
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ValueError("the executor ray needs Ray: pip install 'modeseek[distributed]', or use local") from error
    finally:
        if before is None:
            os.environ.pop(_BEYOND, None)
        else:
            os.environ[_BEYOND] = before
    return ray


def _connect(ray: Any, address: str | None, cpus: int | None) -> bool:
    """Joins or begins a cluster; whether it is this object's to leave."""
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


def _counted(there: dict[str, float]) -> str:
    return f"{there.get('CPU', 0):g} cores and {there.get('GPU', 0):g} accelerators"
