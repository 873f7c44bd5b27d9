"""Start of a run from the terminal, with its progress bar and final summary."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

from modeseek.cli.terminal import run_with_progress
from modeseek.config.config import Config
from modeseek.io.progress import Progress
from modeseek.rundir.run_dir import Run
from modeseek.runs.api import create_run
from modeseek.runs.process_group import ProcessGroup
from modeseek.runs.train import train


def start_run(config: Config, argv: Sequence[str], out: Path | None, *, dry_run: bool) -> Run | None:
    """Trains a configuration in a new run folder and returns the run; a dry run prints it and returns None.

    Args:
        config: configuration of the run.
        argv: command line as typed.
        out: run folder to create; None makes one in `runs/`.
        dry_run: whether to print the configuration only.
    """
    if dry_run:
        print(config.to_yaml(), end="")
        return None
    run, objects = create_run(config, argv, out)
    if out is not None and run.path != out:
        print(f"{out} exists and is kept; this run is in {run.path.name}.")
    follow_run(run, train(run, objects, config.steps))
    return run


def follow_run(run: Run, job: Generator[Progress, None, None]) -> None:
    """Runs a job with a progress bar, then prints its steps, prior calls, time and the path of the report."""
    print(f"Run: {run.path}")
    run_with_progress(job)
    if not ProcessGroup.current().is_main_process:
        return
    status, metrics = run.status, run.metrics
    parts = [f"{status.step} steps", f"{status.calls} prior calls", f"{status.seconds:.1f} s"]
    if metrics and isinstance(metrics[-1].get("relative_shift"), float):
        parts.append(f"relative shift {metrics[-1]['relative_shift']:.2e}")
    print(", ".join(parts))
    print(f"Report: {run.path / 'report.html'}")
