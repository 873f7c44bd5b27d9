"""Thread pool for generators: tensor operations release the GIL, so threads use several cores."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def single_threaded() -> Generator[None]:
    """Limits tensor operations to one thread while open, so that parallel jobs do not compete for cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_in_threads(
    jobs: Mapping[str, Generator[Item, None, Result]], workers: int | None = None
) -> Generator[tuple[str, Item], None, dict[str, Result]]:
    """Runs generators in parallel threads; yields (name, item) as items arrive, returns all results by name.

    Each job runs in one thread from start to end, so its result does not depend on the other jobs. An exception in a
    job stops the others and is raised here; closing this generator stops all jobs.

    Args:
        jobs: generators by name, started in this order.
        workers: number of threads; by default the cores available to this process.
    """
    queue: SimpleQueue[tuple[str, Item] | None] = SimpleQueue()
    halt = Event()

    def work(name: str, job: Generator[Item, None, Result]) -> Result | None:
        try:
            while not halt.is_set():
                try:
                    queue.put((name, next(job)))
                except StopIteration as end:
                    return end.value
            return None
        except BaseException:
            halt.set()
            raise
        finally:
            job.close()
            queue.put(None)

    with ThreadPoolExecutor(workers or available_cores()) as pool:
        futures = {name: pool.submit(work, name, job) for name, job in jobs.items()}
        try:
            running = len(futures)
            while running:
                item = queue.get()
                if item is None:
                    running -= 1
                else:
                    yield item
        finally:
            halt.set()
    for future in futures.values():
        error = future.exception()
        if error is not None:
            raise error
    return {name: result for name, future in futures.items() if (result := future.result()) is not None}


def available_cores() -> int:
    """Number of CPU cores available to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
