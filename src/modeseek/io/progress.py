"""Progress reports that long-running generators yield."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Progress:
    """Progress of one stage of a run.

    Attributes:
        stage: name of the stage, for display.
        done: number of completed units.
        total: total number of units.
        note: short text to show beside the progress, or empty.
    """

    stage: str
    done: int
    total: int
    note: str = ""


def run_to_result(steps: Generator[object, None, Result]) -> Result:
    """Runs a generator to its end without showing its progress, and returns its result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def relay(
    steps: Generator[Item, None, Result], progress: Callable[[Item], Progress]
) -> Generator[Progress, None, Result]:
    """Yields the progress of each item of a generator and returns its result; closes it however it ends.

    Args:
        steps: generator to run.
        progress: progress to report for an item.
    """
    with closing(steps):
        while True:
            try:
                item = next(steps)
            except StopIteration as end:
                return end.value
            yield progress(item)
