"""Progress bars of a job, in the terminal or in a notebook."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import closing
from typing import TypeVar

from modeseek.io.progress import Progress

Result = TypeVar("Result")


def run_with_progress(job: Generator[Progress, None, Result]) -> Result:
    """Runs a job to its end with one progress bar per stage and the remaining time; returns the job's result.

    The job is closed, and so leaves its folder consistent, however it ends; also after Ctrl-C between two steps.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description:<20}", markup=False),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
        console=Console(stderr=True),
    )
    tasks = {}
    with bars, closing(job):
        while True:
            try:
                progress = next(job)
            except StopIteration as end:
                return end.value
            if progress.stage not in tasks:
                tasks[progress.stage] = bars.add_task(progress.stage, total=progress.total, note=progress.note)
            bars.update(tasks[progress.stage], completed=progress.done, total=progress.total, note=progress.note)


def is_interactive() -> bool:
    """Whether the session is interactive: standard error is a terminal, or this is a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules
