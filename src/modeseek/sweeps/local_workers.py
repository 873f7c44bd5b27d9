"""Workers in processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

from modeseek.io.thread_pool import available_cores
from modeseek.sweeps.worker_pool import WorkerPool


def local_workers(size: int, gpus: Sequence[str] = ()) -> WorkerPool:
    """Pool of processes that share the cores evenly.

    Args:
        size: maximum number of workers, >= 1.
        gpus: device ids, assigned to the workers in turn; empty leaves all devices visible to all workers.
    """
    threads = max(1, available_cores() // size)
    return WorkerPool(size, lambda number: LocalWorker(threads, gpus[number % len(gpus)] if gpus else None))


class LocalWorker:
    """Executor of one spawned process, so that the end of one worker affects no other.

    If the parent process ends, even by a kill, a job stops after its step, with a checkpoint, and the process ends.

    Args:
        threads: number of threads of tensor operations.
        gpu: device id of the only accelerator that it sees; None for all.
    """

    def __init__(self, threads: int, gpu: str | None = None) -> None:
        context, before = multiprocessing.get_context("spawn"), multiprocessing.active_children()
        self._executor = ProcessPoolExecutor(1, context, _initialise, (threads, gpu))
        with _block_interrupts():
            self._executor.submit(os.getpid)  # starts the process
        (self._process,) = set(multiprocessing.active_children()) - set(before)

    def submit(self, call: Callable[..., Any], *args: Any) -> Future[Any]:
        return self._executor.submit(_call, call, *args)

    def exit_reason(self, error: Exception) -> str | None:
        if not isinstance(error, BrokenExecutor):
            return None
        self._process.join()
        return f"its process ended with code {self._process.exitcode}"

    def kill(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._process.kill()


def _initialise(threads: int, gpu: str | None) -> None:
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    torch.set_num_threads(threads)
    threading.Thread(target=_terminate_with_parent, daemon=True).start()


def _terminate_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)  # a run stops after its step; without one the process ends


def _call(call: Callable[..., Any], *args: Any) -> Any:
    result, parent = call(*args), multiprocessing.parent_process()
    if parent is None or not parent.is_alive():
        os._exit(0)  # without a reader of the result, the executor would wait for another call
    return result


@contextmanager
def _block_interrupts() -> Generator[None]:
    """Blocks SIGINT for processes started within: Ctrl-C reaches all of a terminal, and the sweep stops its jobs."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # its start would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
