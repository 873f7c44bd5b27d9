"""Terminal output of a run: progress bar and final summary."""

from __future__ import annotations

from collections.abc import Generator

from modeseek.cli.terminal import run_with_progress
from modeseek.io.progress import Progress
from modeseek.rundir.run_dir import Run
from modeseek.runs.process_group import ProcessGroup


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
