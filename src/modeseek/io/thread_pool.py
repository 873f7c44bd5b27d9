"""Several generators at once, one thread each: tensor operations leave Python's lock, so cores are used."""

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
    """One thread a tensor operation: several small jobs side by side would otherwise wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_in_threads(
    jobs: Mapping[str, Generator[Item, None, Result]], workers: int | None = None
) -> Generator[tuple[str, Item], None, dict[str, Result]]:
    """Runs the generators side by side, yields what they yield as it comes, returns what they return, by name.

    Each job runs in one thread from start to end, so its result does not depend on the others. An exception in one
    stops the rest and is raised here; so does closing this generator.

    Args:
        jobs: by name, started in this order.
        workers: threads; by default the cores this process may use.
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
    return {name: answer for name, future in futures.items() if (answer := future.result()) is not None}


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
