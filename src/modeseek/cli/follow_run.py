"""A run in the terminal: a bar on its way, and its last lines."""

from __future__ import annotations

from collections.abc import Generator

from modeseek.cli.terminal import run_with_progress
from modeseek.io.progress import Progress
from modeseek.rundir.run_dir import Run
from modeseek.runs.process_group import ProcessGroup


def follow_run(run: Run, job: Generator[Progress, None, None]) -> None:
    """Shows the job until it ends, then what came out and where."""
    print(f"Run: {run.path}")
    run_with_progress(job)
    if not ProcessGroup.current().is_main_process:
        return
    status, metrics = run.status, run.metrics
    words = [f"{status.step} steps", f"{status.calls} prior calls", f"{status.seconds:.1f} s"]
    if metrics and isinstance(metrics[-1].get("relative_shift"), float):
        words.append(f"relative shift {metrics[-1]['relative_shift']:.2e}")
    print(", ".join(words))
    print(f"Report: {run.path / 'report.html'}")
