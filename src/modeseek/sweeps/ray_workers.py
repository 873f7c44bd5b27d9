"""Workers in actors of a Ray cluster: one machine, or several that share a folder."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import torch

from modeseek.io.errors import one_line
from modeseek.sweeps.ray_address import check_address
from modeseek.sweeps.worker_pool import WorkerPool

_LOOPBACK = "127.0.0.1"
_CLUSTER_FLAG = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # 0: Ray does not replace 127.0.0.1 by an external address
_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}


@contextmanager
def ray_workers(
    size: int | None = None, address: str | None = None, gpu: bool = False, cpus: int = 1
) -> Generator[WorkerPool]:
    """Connects to a cluster while open; gives a pool of actors, spread over machines that see the same folders.

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
    ray = _import_ray(alone=address is None)
    is_connected = ray.is_initialized()
    if not is_connected and address is not None:
        check_address(address)
    if not is_connected:
        _connect(ray, address, None if size is None else size * cpus)
    try:
        resources = ray.cluster_resources()
        capacity = int(min(resources.get("CPU", 0) // cpus, resources.get("GPU", 0) if gpu else float("inf")))
        if capacity < 1:
            need = f"{cpus} core(s)" + (" and an accelerator" if gpu else "")
            counts = f"{resources.get('CPU', 0):g} cores and {resources.get('GPU', 0):g} accelerators"
            raise ValueError(f"a worker needs {need}: the cluster has {counts}; add a machine")
        actors = ray.remote(_Actor).options(num_cpus=cpus, num_gpus=int(gpu), scheduling_strategy="SPREAD")
        yield WorkerPool(size or capacity, lambda number: RayWorker(ray, actors.remote(cpus, os.getcwd())))
    finally:
        if not is_connected:
            ray.shutdown()


class RayWorker:
    """Actor that makes one call at a time.

    Args:
        ray: the package.
        actor: handle of an `_Actor`.
    """

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self._actor = ray, actor

    def submit(self, call: Callable[..., Any], *args: Any) -> Future[Any]:
        return self._actor.call.remote(call, *args).future()

    def exit_reason(self, error: Exception) -> str | None:
        kinds = self._ray.exceptions
        if not isinstance(error, kinds.RayError) or isinstance(error, kinds.RayTaskError):
            return None
        first, *others = str(error).strip().split("\n")
        return one_line(" ".join([first, *others[-1:]]), 200) or type(error).__name__  # what happened, and its cause

    def kill(self) -> None:
        self._ray.kill(self._actor, no_restart=True)  # a lost one, too, which may only be unreachable


class _Actor:
    """Process on a machine of the cluster; relative paths of configurations refer to `folder`."""

    def __init__(self, threads: int, folder: str) -> None:
        torch.set_num_threads(threads)
        os.chdir(folder)

    def call(self, call: Callable[..., Any], *args: Any) -> Any:
        return call(*args)


def _import_ray(alone: bool) -> Any:
    """Imports Ray, configured by environment to send no usage statistics and, if alone, to listen on loopback only."""
    if importlib.util.find_spec("ray") is None:
        raise ValueError("the executor ray needs Ray: pip install 'modeseek[distributed]', or use local")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if alone:
        os.environ[_CLUSTER_FLAG] = "0"
    import ray

    return ray


def _connect(ray: Any, address: str | None, cpus: int | None) -> None:
    if address is None:
        ray.init(address="local", num_cpus=cpus, include_dashboard=False, _node_ip_address=_LOOPBACK, **_QUIET)
        (node,) = ray.nodes()
        if node["NodeManagerAddress"] != _LOOPBACK:
            ray.shutdown()
            raise ValueError(
                f"Ray would listen on {node['NodeManagerAddress']}, since it was imported before the sweep began; "
                "import it later, or start a cluster and give its --address"
            )
        return
    try:
        ray.init(address=address, **_QUIET)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise ValueError(
            f"there is no Ray cluster at {address}: {one_line(error, 200)}; start one with ray start --head"
        ) from error
