"""Progress, outcome and retry policy of a sweep."""

from __future__ import annotations

from dataclasses import dataclass, field

from modeseek.sweeps.worker import WorkerStatus


@dataclass(frozen=True)
class RetryPolicy:
    """Limits on lost workers before a job or the sweep is given up.

    Attributes:
        retries: number of times a job is assigned again after its worker was lost, >= 0.
        seconds: time without any responding worker after which the sweep stops, in seconds, > 0.
    """

    retries: int = 3
    seconds: float = 600.0

    def __post_init__(self) -> None:
        if self.retries < 0 or not self.seconds > 0:
            raise ValueError(f"a retry policy must have retries >= 0 and seconds > 0, got {self}; try retries=3")


@dataclass(frozen=True)
class SweepProgress:
    """Snapshot of a running sweep.

    Attributes:
        jobs: number of jobs.
        finished: number of finished jobs, earlier sessions included.
        failed: number of failed jobs.
        running: title and last status of each assigned job.
        steps: optimisation steps done over all jobs.
        total: optimisation steps of all jobs that have not failed.
        note: latest message, possibly empty.
    """

    jobs: int
    finished: int
    failed: int
    running: tuple[tuple[str, WorkerStatus], ...]
    steps: int
    total: int
    note: str = ""

    @property
    def waiting(self) -> int:
        """Number of jobs not assigned to a worker yet."""
        return self.jobs - self.finished - self.failed - len(self.running)


@dataclass
class SweepOutcome:
    """Outcome of scheduling all jobs of a sweep.

    Attributes:
        failures: failure reason by name of the job's folder: an error of the job, or too many lost workers.
        lost: number of lost workers.
        loads: number of priors loaded, over all workers.
    """

    failures: dict[str, str] = field(default_factory=dict)
    lost: int = 0
    loads: int = 0
