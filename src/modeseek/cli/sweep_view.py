"""A sweep in the terminal: the table of its jobs, and one view of all that work."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

from modeseek.sweeps.cost import prior_calls, total_prior_calls
from modeseek.sweeps.sweep_dir import JobDir
from modeseek.sweeps.progress import SweepProgress

_WIDEST = 44  # letters of a job's name


def follow_sweep(job: Generator[SweepProgress, None, None]) -> None:
    """Runs the sweep to its end: a bar of all steps with seconds left, counts of jobs, and a bar a job at work.

    Whatever ends it early, the sweep is closed and leaves its folders in order.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("[dim]{task.fields[note]}", markup=True),
        console=Console(stderr=True),
    )
    with bars, closing(job):
        whole = bars.add_task("all steps", total=None, note="")
        tasks = {}
        for now in job:
            counts = f"{now.finished} done, {len(now.running)} running, {now.failed} failed, {now.waiting} waiting"
            bars.update(whole, completed=now.steps, total=now.total, note=_plain(f"{counts}  {now.note}"))
            titles = {title for title, _ in now.running}
            for title in [title for title in tasks if title not in titles]:
                bars.remove_task(tasks.pop(title))
            for title, told in now.running:
                if title not in tasks:
                    tasks[title] = bars.add_task(_plain(_short(title)), total=told.steps or None, note="")
                bars.update(tasks[title], completed=told.step, total=told.steps or None, note=_plain(told.note))


def show_jobs(slots: Sequence[JobDir], out: Path) -> None:
    """Prints the jobs, how they stand, and what they cost as far as that is known."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    grid = Table(box=SIMPLE_HEAD)
    for heading in ("job", "state", "steps", "calls", "id"):
        grid.add_column(heading, justify="right" if heading in ("steps", "calls") else "left", no_wrap=heading != "job")
    for slot in slots:
        entry = slot.spec
        count = prior_calls(entry.config)
        told = "–" if count is None else f"{count:,}"
        grid.add_row(_plain(entry.title), slot.state, f"{entry.config.steps:,}", told, entry.id)
    Console().print(grid)
    configs = [slot.spec.config for slot in slots]
    known, unknown = total_prior_calls(configs)
    missing = [slot for slot in slots if slot.state != "finished"]
    print(f"{len(slots)} jobs, {len(missing)} of them to do, in {out}")
    more = f", and those of {unknown} jobs that only running tells" if unknown else ""
    print(f"{sum(config.steps for config in configs):,} steps, {known:,} prior calls{more}; nothing was written.")


def _short(title: str) -> str:
    return title if len(title) <= _WIDEST else f"{title[: _WIDEST - 1]}…"


def _plain(text: str) -> str:
    """Without what rich takes for markup."""
    from rich.markup import escape

    return escape(text)
