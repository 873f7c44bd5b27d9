"""Who hands the jobs out: to idle workers, again where a worker was lost, and none any more once asked to stop."""

from __future__ import annotations

import signal
import time
from collections.abc import Generator, Sequence

from modeseek.io.atomic import LineFile
from modeseek.rundir.status import utc_now
from modeseek.runs.interrupts import RunFailed, RunInterrupted, StopRequest, stop_on_signal
from modeseek.sweeps.progress import RetryPolicy, SweepOutcome, SweepProgress
from modeseek.sweeps.sweep_dir import JobDir
from modeseek.sweeps.worker import WorkerStatus
from modeseek.sweeps.worker_pool import JobRequest, WorkerLost, WorkerPool

_OFTEN = 0.2  # seconds between two looks at what was asked of this process
_AGAIN = 1.0  # seconds after which a job that another process has is asked for again
_STILLBORN = 3  # workers in a row that may end before they said a word


def schedule(
    job_dirs: Sequence[JobDir], pool: WorkerPool, command: Sequence[str], log: LineFile, retry_policy: RetryPolicy
) -> Generator[SweepProgress, None, SweepOutcome]:
    """Has all jobs done that are not; the staff is closed however it ends.

    Args:
        slots: all jobs of the sweep; finished and failed ones are only counted.
        staff: who works.
        command: of the sweep, for the jobs' folders.
        log: of the sweep.
        patience: how much may go wrong.

    Raises:
        Stopped: Ctrl-C or SIGTERM, a full disk, or no worker for long; the same command goes on.
        Failed: workers end before they begin.
    """
    drive = _Drive(job_dirs, pool, command, log, retry_policy)
    try:
        with stop_on_signal() as wish:
            yield from drive.run(wish)
    finally:
        pool.close()
    return drive.outcome


class _Drive:
    """The state of `drive`."""

    def __init__(
        self, slots: Sequence[JobDir], staff: WorkerPool, command: Sequence[str], log: LineFile, patience: RetryPolicy
    ) -> None:
        states = [(slot, slot.state) for slot in slots]
        self.slots, self.staff, self.command, self.log, self.patience = slots, staff, list(command), log, patience
        self.waiting = [slot for slot, state in states if state not in ("finished", "failed")]
        self.finished = [slot for slot, state in states if state == "finished"]
        self.outcome = SweepOutcome(
            {s.path.name: s.status.reason for s, state in states if state == "failed" and s.status is not None}
        )
        self.later: list[tuple[float, JobDir]] = []
        self.at: dict[int, JobDir] = {}
        self.words: dict[int, WorkerStatus] = {}  # of those at work
        self.unborn: set[int] = set()
        self.idle: list[int] = []
        self.priors: dict[int, object] = {}
        self.loads: dict[int, int] = {}
        self.tries: dict[str, int] = {}
        self.stillborn, self.seen, self.note = 0, time.monotonic(), ""
        self.ending, self.number = "", int(signal.SIGTERM)  # why nothing is handed out any more; what runs are told

    def run(self, wish: StopRequest) -> Generator[SweepProgress, None, None]:
        yield self._standing()
        while self.waiting or self.later or self.at:
            if wish.signal:
                self.number = int(signal.Signals[wish.signal])
                self._end(f"{wish.signal} after {len(self.finished)} of {len(self.slots)} jobs")
            if self.ending and not self.at:
                break
            if not self.ending:
                self._hand_out()
            for worker, told in self.staff.poll(_OFTEN):
                self._hear(worker, told)
            if not self.at and time.monotonic() - self.seen > self.patience.seconds:
                self._end(f"no worker was there for {self.patience.seconds:g} s")
            yield self._standing()
        self.outcome.loads = sum(self.loads.values())
        if self.ending:
            raise RunInterrupted(f"{self.ending}; the same command goes on")

    def _end(self, reason: str) -> None:
        """The jobs at work are kept after their step; the first reason counts."""
        self.ending = self.ending or reason
        self.note = f"stopping: {self.ending}"

    def _hand_out(self) -> None:
        due = [slot for moment, slot in self.later if moment <= time.monotonic()]
        self.later = [(moment, slot) for moment, slot in self.later if slot not in due]
        self.waiting += due
        there = len(self.unborn) + len(self.idle) + len(self.at)
        for _ in range(min(self.staff.size, len(self.waiting) + len(self.at)) - there):
            self.unborn.add(self.staff.spawn())
        while self.idle and self.waiting:
            worker = self.idle.pop(0)
            slot = self._choose(worker)
            self.waiting.remove(slot)
            self.at[worker], self.priors[worker] = slot, slot.spec.config.prior
            self.words[worker] = WorkerStatus("going", note="loading")
            self.staff.submit(worker, JobRequest("begin", (str(slot.path), slot.spec.config.to_dict(), self.command)))

    def _choose(self, worker: int) -> JobDir:
        """A job whose prior the worker holds; else one whose prior nobody holds; else the next."""
        priors = [slot.spec.config.prior for slot in self.waiting]
        mine = self.priors.get(worker)
        held = [prior for other, prior in self.priors.items() if other in self.at]
        best = [i for i, prior in enumerate(priors) if prior == mine] or [
            i for i, prior in enumerate(priors) if prior not in held
        ]
        return self.waiting[best[0] if best else 0]

    def _hear(self, worker: int, told: WorkerStatus | WorkerLost) -> None:
        """Takes an answer in."""
        if isinstance(told, WorkerLost):
            self._lose(worker, told)
            return
        self.seen, self.loads[worker] = time.monotonic(), told.loads
        if told.state == "ready":
            self.unborn.discard(worker)
            self.stillborn = 0
            self.idle.append(worker)
            return
        if told.state == "going":
            self.words[worker] = told
            self.staff.submit(worker, JobRequest("stop", (self.number,)) if self.ending else JobRequest("advance"))
            return
        slot = self.at[worker]
        self._let_go(worker)
        self.idle.append(worker)
        if told.state == "finished":
            self.finished.append(slot)
        elif told.state == "failed":
            self.outcome.failures[slot.path.name] = told.reason
            self._say(f"{slot.path.name} failed: {told.reason}")
        elif told.state == "busy":
            self.later.append((time.monotonic() + _AGAIN, slot))
            self.note = told.reason
        else:
            self.waiting.append(slot)
            self._end(f"{slot.path.name} stopped: {told.reason.split(';')[0]}")

    def _lose(self, worker: int, lost: WorkerLost) -> None:
        slot = self._let_go(worker)
        self.outcome.lost += 1
        if worker in self.idle:
            self.idle.remove(worker)
        if worker in self.unborn:
            self.unborn.discard(worker)
            self.stillborn += 1
            if self.stillborn >= _STILLBORN:
                raise RunFailed(f"{_STILLBORN} workers in a row ended before they began: {lost.reason}")
        if slot is None:
            self._say(f"worker {worker} was lost ({lost.reason})")
            return
        name, retries = slot.path.name, self.patience.retries
        self.tries[name] = tries = self.tries.get(name, 0) + 1
        if tries > retries:
            self.outcome.failures[name] = f"{tries} workers were lost on it: {lost.reason}"
            self._say(f"{name} is given up: {tries} workers were lost on it ({lost.reason})")
            return
        self._say(f"worker {worker} was lost on {name} ({lost.reason}); retry {tries} of {retries}")
        self.waiting.insert(0, slot)

    def _let_go(self, worker: int) -> JobDir | None:
        self.words.pop(worker, None)
        return self.at.pop(worker, None)

    def _say(self, line: str) -> None:
        self.note = line
        self.log.append(f"{utc_now()} {' '.join(line.split())}")

    def _standing(self) -> SweepProgress:
        running = tuple((self.at[worker].spec.title, told) for worker, told in sorted(self.words.items()))
        done = sum(slot.spec.config.steps for slot in self.finished)
        ours = sum(told.step for told in self.words.values())
        gone = self.outcome.failures
        total = sum(slot.spec.config.steps for slot in self.slots if slot.path.name not in gone)
        return SweepProgress(
            len(self.slots), len(self.finished), len(gone), running, min(total, done + ours), total, self.note
        )
