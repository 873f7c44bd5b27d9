"""Progress of a sweep and of its running jobs."""

from __future__ import annotations

from dataclasses import dataclass

from modeseek.io.progress import Progress
from modeseek.rundir.metrics_tail import MetricsTail


@dataclass(frozen=True)
class SweepProgress:
    """Snapshot of a running sweep.

    Attributes:
        jobs: number of jobs.
        finished: number of finished jobs, earlier sessions included.
        failed: number of failed jobs.
        running: title and progress of each assigned job.
        steps: optimisation steps done over all jobs.
        total: optimisation steps of all jobs that have not failed.
        note: latest message, possibly empty.
    """

    jobs: int
    finished: int
    failed: int
    running: tuple[tuple[str, Progress], ...]
    steps: int
    total: int
    note: str = ""

    @property
    def waiting(self) -> int:
        """Number of jobs not assigned to a worker yet."""
        return self.jobs - self.finished - self.failed - len(self.running)


def job_progress(metrics: MetricsTail, steps: int) -> Progress:
    """Progress of a running job, read from the metrics that its run writes.

    Args:
        metrics: reader of its `metrics.jsonl`.
        steps: total number of steps.
    """
    metrics.read()
    if not metrics.rows:
        return Progress("optimising", 0, steps, "loading")
    row = metrics.rows[-1]
    shift, bandwidth, norm = (row.get(key) for key in ("relative_shift", "bandwidth", "direction_norm"))
    note = "" if norm is None else f"|g| {norm:.3g}"
    if shift is not None and bandwidth is not None:
        note = f"shift {shift:.2e}, h {bandwidth:.3g}"
    return Progress("optimising", min(row["step"] + 1, steps), steps, note)
