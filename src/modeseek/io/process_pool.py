"""Several jobs at once, a process each: for those that spend their time in Python, where threads would wait in turn."""

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
_OFTEN = 0.1  # seconds between two items of a job that are told
_PATIENCE = 3.0  # seconds that the last words of a process that ended may take


def run_in_processes(
    jobs: Mapping[str, Callable[[], Generator[Item, None, Result]]], workers: int | None = None
) -> Generator[tuple[str, Item], None, dict[str, Result]]:
    """Runs the jobs side by side, yields some of what they yield as it comes, returns what they return, by name.

    Each job has a process that begins as a copy of this one, so that it may hold anything, and one thread; its result
    does not depend on the others. Items and answers are sent back, so they hold plain data and NumPy arrays. Where
    processes cannot be copied (Windows, macOS) the jobs run in threads.

    Args:
        jobs: by name, started in this order.
        workers: processes at a time; by default the cores this process may use.

    Raises:
        Exception: what a job raised; the others are stopped.
        RuntimeError: a job's process died, out of memory for instance.
    """
    if sys.platform != "linux":
        return (yield from run_in_threads({name: job() for name, job in jobs.items()}, workers))
    context = multiprocessing.get_context("fork")
    queue: Any = context.Queue()
    waiting, running, answers, gone = list(jobs), {}, {}, {}
    try:
        while waiting or running:
            while waiting and len(running) < (workers or available_cores()):
                name = waiting.pop(0)
                running[name] = context.Process(target=_work, args=(name, jobs[name], queue), daemon=True)
                running[name].start()
            for name, process in running.items():
                if not process.is_alive() and time.monotonic() - gone.setdefault(name, time.monotonic()) > _PATIENCE:
                    raise RuntimeError(f"{name} ended without an answer (exit code {process.exitcode})")
            try:
                name, kind, told = queue.get(timeout=_OFTEN)
            except Empty:
                continue
            if kind == "item":
                yield name, told
                continue
            running.pop(name).join()
            if kind == "error":
                raise told
            answers[name] = told
    finally:
        for process in running.values():
            process.terminate()
            process.join()
        queue.close()
    return {name: answers[name] for name in jobs}


def _work(name: str, job: Callable[[], Generator[Any, None, Any]], queue: Any) -> None:
    torch.set_num_threads(1)
    walk, last = job(), 0.0
    try:
        while True:
            item = next(walk)
            if time.monotonic() - last >= _OFTEN:
                last = time.monotonic()
                queue.put((name, "item", item))
    except StopIteration as end:
        queue.put((name, "answer", end.value))
    except Exception as error:
        queue.put((name, "error", error))
