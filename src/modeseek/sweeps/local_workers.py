"""Workers as processes of this machine."""

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

_GRACE = 10.0  # seconds that a worker has to keep its step when all ends at once


@dataclass(frozen=True)
class _Member:
    process: Any
    line: Any  # this process's end of the pipe


class LocalWorkerPool:
    """A process a worker, started afresh, so that accelerators and threads are its own.

    A worker whose driver is gone, killed even, keeps its step at hand and ends.

    Args:
        size: workers at a time; the cores are shared evenly among them.
        gpus: accelerators to share out, one a worker, over and over; none are hidden where there are none.
    """

    def __init__(self, size: int, gpus: Sequence[str] = ()) -> None:
        if size < 1:
            raise ValueError(f"a sweep needs at least one worker: got {size}; raise --workers")
        self._size, self._gpus = size, tuple(gpus)
        self._members: dict[int, _Member] = {}
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
        with _no_interrupts():
            process.start()
        theirs.close()
        self._members[number] = _Member(process, ours)
        return number

    def submit(self, worker: int, request: JobRequest) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # `hear` finds that it is gone
            self._members[worker].line.send(request)

    def poll(self, seconds: float) -> Sequence[tuple[int, WorkerStatus | WorkerLost]]:
        numbers = {member.line: number for number, member in self._members.items()}
        if not numbers:
            time.sleep(seconds)
            return []
        return [(numbers[line], self._answer(numbers[line], line)) for line in connection.wait(list(numbers), seconds)]

    def close(self) -> None:
        members, self._members = list(self._members.values()), {}
        for member in members:
            member.line.close()  # an idle one ends; one at work keeps its step first
        ends = time.monotonic() + _GRACE
        for member in members:
            member.process.join(max(0.0, ends - time.monotonic()))
            if member.process.is_alive():
                member.process.kill()
                member.process.join()

    def process_id(self, worker: int) -> int:
        """The number that the system knows a worker by."""
        return self._members[worker].process.pid

    def _answer(self, number: int, line: Any) -> WorkerStatus | WorkerLost:
        try:
            return line.recv()
        except (EOFError, ConnectionResetError):
            member = self._members.pop(number)
            member.process.join()
            return WorkerLost(f"its process ended with code {member.process.exitcode}")


def _serve(line: Any, threads: int, gpu: str | None) -> None:
    """The life of a worker."""
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    worker = Worker(threads)
    try:
        line.send(worker.ready())
        while True:
            ask = line.recv()
            line.send(getattr(worker, ask.method)(*ask.args))
    except (EOFError, BrokenPipeError, ConnectionResetError):  # nobody drives any more
        worker.stop()


@contextmanager
def _no_interrupts() -> Generator[None]:
    """Ctrl-C reaches every process of a terminal: those begun here never notice, since who drives tells them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
