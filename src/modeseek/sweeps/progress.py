"""Where a sweep stands, what came of it, and how much may go wrong on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

from modeseek.sweeps.worker import WorkerStatus


@dataclass(frozen=True)
class RetryPolicy:
    """How much may go wrong.

    Attributes:
        retries: times that a job is handed out again after its worker was lost.
        seconds: that no worker at all may be there.
    """

    retries: int = 3
    seconds: float = 600.0

    def __post_init__(self) -> None:
        if self.retries < 0 or not self.seconds > 0:
            raise ValueError(f"patience needs retries >= 0 and seconds > 0: got {self}; fix them")


@dataclass(frozen=True)
class SweepProgress:
    """Where a sweep stands, for who watches it.

    Attributes:
        jobs: in all.
        finished: of them, before too.
        failed: of them, by their own fault.
        running: title and last word of each job at work.
        steps: done, of all jobs.
        total: steps in all.
        note: what is worth saying.
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
        """Jobs that nobody works on yet."""
        return self.jobs - self.finished - self.failed - len(self.running)


@dataclass
class SweepOutcome:
    """What came of handing out.

    Attributes:
        failures: why, by the name of the job's folder: its own fault, or too many workers lost on it.
        lost: workers lost.
        loads: priors loaded, over all workers.
    """

    failures: dict[str, str] = field(default_factory=dict)
    lost: int = 0
    loads: int = 0
