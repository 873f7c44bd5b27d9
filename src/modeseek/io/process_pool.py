"""Process pool for generators: for CPU-bound Python jobs, which threads would serialise."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Generator, Mapping
from queue import Empty
from typing import Any, TypeVar

import torch

from modeseek.io.thread_pool import available_cores, run_in_threads

Item = TypeVar("Item")
Result = TypeVar("Result")
_ITEM_INTERVAL = 0.1  # least seconds between two items that a job sends
_EXIT_GRACE = 3.0  # seconds to wait for the result of a process that has ended


def run_in_processes(
    jobs: Mapping[str, Callable[[], Generator[Item, None, Result]]], workers: int | None = None
) -> Generator[tuple[str, Item], None, dict[str, Result]]:
    """Runs generators in parallel processes; yields (name, item) at most every 0.1 s per job, returns all results.

    Each job runs single-threaded in a forked process, so its result does not depend on the other jobs. Items and
    results must be picklable. Where fork is unavailable (Windows, macOS) the jobs run in threads.

    Args:
        jobs: functions that start the generators, by name, started in this order.
        workers: number of parallel processes; by default the cores available to this process.

    Raises:
        Exception: the exception of a job; the other jobs are stopped.
        RuntimeError: the process of a job died, for example out of memory.
    """
    if sys.platform != "linux":
        return (yield from run_in_threads({name: job() for name, job in jobs.items()}, workers))
    context = multiprocessing.get_context("fork")
    queue: Any = context.Queue()
    waiting, running, results, ended_at = list(jobs), {}, {}, {}
    try:
        while waiting or running:
            while waiting and len(running) < (workers or available_cores()):
                name = waiting.pop(0)
                running[name] = context.Process(target=_run_job, args=(name, jobs[name], queue), daemon=True)
                running[name].start()
            for name, process in running.items():
                if (
                    not process.is_alive()
                    and time.monotonic() - ended_at.setdefault(name, time.monotonic()) > _EXIT_GRACE
                ):
                    raise RuntimeError(f"{name} ended without a result (exit code {process.exitcode})")
            try:
                name, kind, value = queue.get(timeout=_ITEM_INTERVAL)
            except Empty:
                continue
            if kind == "item":
                yield name, value
                continue
            running.pop(name).join()
            if kind == "error":
                raise value
            results[name] = value
    finally:
        for process in running.values():
            process.terminate()
            process.join()
        queue.close()
    return {name: results[name] for name in jobs}


def _run_job(name: str, job: Callable[[], Generator[Any, None, Any]], queue: Any) -> None:
    torch.set_num_threads(1)
    generator, last = job(), 0.0
    try:
        while True:
            item = next(generator)
            if time.monotonic() - last >= _ITEM_INTERVAL:
                last = time.monotonic()
                queue.put((name, "item", item))
    except StopIteration as end:
        queue.put((name, "result", end.value))
    except Exception as error:
        queue.put((name, "error", error))
