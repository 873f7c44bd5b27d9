"""Terminal output of a sweep: table of its jobs, and progress bars of the running ones."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

from modeseek.cli.terminal import print_grid
from modeseek.sweeps.cost import prior_calls, total_prior_calls
from modeseek.sweeps.progress import SweepProgress
from modeseek.sweeps.sweep_dir import JobDir

_MAX_TITLE = 44  # characters of a job's title


def follow_sweep(job: Generator[SweepProgress, None, None]) -> None:
    """Runs a sweep to its end with a bar of all steps, counts of jobs, and one bar per running job.

    The sweep is closed, and so leaves its folders consistent, however it ends.
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
        total = bars.add_task("all steps", total=None, note="")
        tasks = {}
        for progress in job:
            counts = (
                f"{progress.finished} finished, {len(progress.running)} running, {progress.failed} failed, "
                f"{progress.waiting} waiting"
            )
            note = _escape(f"{counts}  {progress.note}")
            bars.update(total, completed=progress.steps, total=progress.total, note=note)
            titles = {title for title, _ in progress.running}
            for title in [title for title in tasks if title not in titles]:
                bars.remove_task(tasks.pop(title))
            for title, job_progress in progress.running:
                if title not in tasks:
                    tasks[title] = bars.add_task(_escape(_shorten(title)), total=job_progress.total, note="")
                bars.update(tasks[title], completed=job_progress.done, note=_escape(job_progress.note))


def show_jobs(job_dirs: Sequence[JobDir], out: Path) -> None:
    """Prints the jobs, their states and their costs as far as known."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    grid = Table(box=SIMPLE_HEAD)
    for heading in ("job", "state", "steps", "calls", "id"):
        grid.add_column(heading, justify="right" if heading in ("steps", "calls") else "left", no_wrap=heading != "job")
    for job_dir in job_dirs:
        spec, count = job_dir.spec, prior_calls(job_dir.spec.config)
        cost = "–" if count is None else f"{count:,}"
        grid.add_row(_escape(spec.title), job_dir.state, f"{spec.config.steps:,}", cost, spec.id)
    print_grid(grid)
    configs = [job_dir.spec.config for job_dir in job_dirs]
    known, unknown = total_prior_calls(configs)
    unfinished = [job_dir for job_dir in job_dirs if job_dir.state != "finished"]
    print(f"{len(job_dirs)} jobs, {len(unfinished)} unfinished, in {out}")
    more = f", plus {unknown} jobs of unknown cost" if unknown else ""
    print(f"{sum(config.steps for config in configs):,} steps, {known:,} prior calls{more}; nothing was written.")


def _shorten(title: str) -> str:
    return title if len(title) <= _MAX_TITLE else f"{title[: _MAX_TITLE - 1]}…"


def _escape(text: str) -> str:
    """Text with the markup of rich escaped."""
    from rich.markup import escape

    return escape(text)
