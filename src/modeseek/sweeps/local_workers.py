"""Pool of workers in processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any

from modeseek.io.thread_pool import available_cores
from modeseek.sweeps.worker import Worker, WorkerStatus
from modeseek.sweeps.worker_pool import JobRequest, WorkerLost

_GRACE_SECONDS = 10.0  # for a worker to checkpoint its step when the pool is closed


@dataclass(frozen=True)
class _Process:
    process: Any
    pipe: Any  # this process's end


class LocalWorkerPool:
    """Pool with one spawned process per worker, each with its own threads and accelerator.

    A worker whose parent process has ended, even by a kill, checkpoints its current step and ends.

    Args:
        size: maximum number of workers, >= 1; the cores are shared evenly among them.
        gpus: device ids, assigned to the workers in turn; empty leaves all devices visible to all workers.
    """

    def __init__(self, size: int, gpus: Sequence[str] = ()) -> None:
        if size < 1:
            raise ValueError(f"a sweep needs at least one worker: got {size}; raise --workers")
        self._size, self._gpus = size, tuple(gpus)
        self._workers: dict[int, _Process] = {}
        self._spawned = 0

    @property
    def size(self) -> int:
        return self._size

    def spawn(self) -> int:
        number, self._spawned = self._spawned, self._spawned + 1
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        gpu = self._gpus[number % len(self._gpus)] if self._gpus else None
        args = (theirs, max(1, available_cores() // self._size), gpu)
        process = context.Process(target=_serve, args=args, name=f"worker-{number}", daemon=True)
        with _block_interrupts():
            process.start()
        theirs.close()
        self._workers[number] = _Process(process, ours)
        return number

    def submit(self, worker: int, request: JobRequest) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # `poll` reports the lost worker
            self._workers[worker].pipe.send(request)

    def poll(self, seconds: float) -> Sequence[tuple[int, WorkerStatus | WorkerLost]]:
        numbers = {worker.pipe: number for number, worker in self._workers.items()}
        if not numbers:
            time.sleep(seconds)
            return []
        return [(numbers[pipe], self._reply(numbers[pipe], pipe)) for pipe in connection.wait(list(numbers), seconds)]

    def close(self) -> None:
        workers, self._workers = list(self._workers.values()), {}
        for worker in workers:
            worker.pipe.close()  # an idle worker ends; a busy one checkpoints its step first
        deadline = time.monotonic() + _GRACE_SECONDS
        for worker in workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def process_id(self, worker: int) -> int:
        """Process id of a worker."""
        return self._workers[worker].process.pid

    def _reply(self, number: int, pipe: Any) -> WorkerStatus | WorkerLost:
        try:
            return pipe.recv()
        except (EOFError, ConnectionResetError):
            worker = self._workers.pop(number)
            worker.process.join()
            return WorkerLost(f"its process ended with code {worker.process.exitcode}")


def _serve(pipe: Any, threads: int, gpu: str | None) -> None:
    """Main loop of a worker process."""
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    worker = Worker(threads)
    try:
        pipe.send(worker.ready())
        while True:
            request = pipe.recv()
            pipe.send(getattr(worker, request.method)(*request.args))
    except (EOFError, BrokenPipeError, ConnectionResetError):  # the parent process closed the pipe or ended
        worker.stop()


@contextmanager
def _block_interrupts() -> Generator[None]:
    """Blocks SIGINT for processes started within: Ctrl-C reaches all of a terminal, and the scheduler relays it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
