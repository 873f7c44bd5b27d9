"""Scheduler of a sweep: assigns jobs to idle workers, retries those of lost workers, and stops on request."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modeseek.config.priors import PriorConfig
from modeseek.io.atomic import LineFile
from modeseek.rundir.metrics_tail import MetricsTail
from modeseek.rundir.status import utc_now
from modeseek.runs.interrupts import RunFailed, RunInterrupted, StopRequest, stop_on_signal
from modeseek.sweeps.progress import SweepProgress, job_progress
from modeseek.sweeps.sweep_dir import JobDir
from modeseek.sweeps.worker import run_job
from modeseek.sweeps.worker_pool import Worker, WorkerPool

PATIENCE = 600.0  # seconds without any responding worker after which a sweep stops
_POLL_SECONDS = 0.2  # between two looks at stop requests and at the metrics of running jobs
_BUSY_SECONDS = 1.0  # after which a job held by another process is tried again
_GRACE_SECONDS = 10.0  # for the running jobs to checkpoint their step when the sweep is interrupted once more
_MAX_FAILED_STARTS = 3  # workers in a row that may end before they make their first call


@dataclass
class _Slot:
    """One worker and what it does.

    Attributes:
        worker: the worker.
        call: its call, of a job or to see that it has started; None while it is idle.
        job: its job; None while it starts or is idle.
        prior: prior of its last job, which it holds.
        metrics: reader of the metrics of its job.
    """

    worker: Worker
    call: Future[Any] | None
    job: JobDir | None = None
    prior: PriorConfig | None = None
    metrics: MetricsTail | None = None


@dataclass
class Scheduler:
    """Scheduler of the jobs of a sweep.

    Attributes:
        job_dirs: all jobs of the sweep; finished and failed ones are only counted.
        pool: workers that run the jobs.
        command: command line of the sweep, for the jobs' folders.
        log: log of the sweep.
        session_file: file that exists while the sweep runs; once it is removed running jobs stop after their step.
        retries: number of times a job is assigned again after its worker was lost, >= 0.
        patience: time without any responding worker after which the sweep stops, seconds.
        failures: failure reason by name of the job's folder: an error of the job, or too many lost workers.
        lost: number of lost workers.
        loads: number of priors loaded, over all workers and jobs that ended.
    """

    job_dirs: Sequence[JobDir]
    pool: WorkerPool
    command: Sequence[str]
    log: LineFile
    session_file: Path
    retries: int = 3
    patience: float = PATIENCE
    failures: dict[str, str] = field(default_factory=dict)
    lost: int = 0
    loads: int = 0

    def __post_init__(self) -> None:
        states = [(job, job.state) for job in self.job_dirs]
        failed = [(job.path.name, job.status) for job, state in states if state == "failed"]
        self.failures |= {name: status.reason for name, status in failed if status is not None}
        self._waiting = [job for job, state in states if state not in ("finished", "failed")]
        self._finished = [job for job, state in states if state == "finished"]
        self._not_before: dict[JobDir, float] = {}  # of jobs held by other processes
        self._lost_on: dict[JobDir, int] = {}
        self._slots: dict[int, _Slot] = {}
        self._failed_starts, self._last_reply, self._note, self._stop_reason = 0, time.monotonic(), "", ""

    def run(self) -> Generator[SweepProgress, None, None]:
        """Runs all unfinished jobs; all workers are ended however it ends.

        Raises:
            RunInterrupted: Ctrl-C or SIGTERM, a full disk, or no worker for too long; the same command resumes it.
            RunFailed: workers end before they have started.
        """
        self.session_file.touch()
        try:
            with stop_on_signal() as stop_request:
                yield from self._run(stop_request)
        finally:
            try:
                self.session_file.unlink(missing_ok=True)
                wait([slot.call for slot in self._busy if slot.call is not None], _GRACE_SECONDS)
            finally:  # even if interrupted once more
                for slot in self._slots.values():
                    slot.worker.kill()

    @property
    def _busy(self) -> list[_Slot]:
        return [slot for _, slot in sorted(self._slots.items()) if slot.job is not None]

    def _run(self, stop_request: StopRequest) -> Generator[SweepProgress, None, None]:
        yield self._progress()
        while self._waiting or self._busy:
            if stop_request.signal:
                self._stop(f"{stop_request.signal} after {len(self._finished)} of {len(self.job_dirs)} jobs")
            if self._stop_reason and not self._busy:
                raise RunInterrupted(f"{self._stop_reason}; the same command resumes it")
            if not self._stop_reason:
                self._assign()
            calls = {slot.call: number for number, slot in self._slots.items() if slot.call is not None}
            if not calls:
                time.sleep(_POLL_SECONDS)
            for call in wait(calls, _POLL_SECONDS, FIRST_COMPLETED).done:
                self._handle(calls[call], call)
            if not self._busy and time.monotonic() - self._last_reply > self.patience:
                self._stop(f"no worker was there for {self.patience:g} s")
            yield self._progress()

    def _stop(self, reason: str) -> None:
        """Stops assigning; running jobs are checkpointed after their step. The first reason counts."""
        self._stop_reason = self._stop_reason or reason
        self._note = f"stopping: {self._stop_reason}"
        self.session_file.unlink(missing_ok=True)

    def _assign(self) -> None:
        """Starts missing workers, and gives each idle one a job."""
        n_missing = min(self.pool.size, len(self._waiting) + len(self._busy)) - len(self._slots)
        for number in [n for n in range(self.pool.size) if n not in self._slots][: max(0, n_missing)]:
            worker = self.pool.start(number)
            self._slots[number] = _Slot(worker, worker.submit(os.getpid))
        for number, slot in list(self._slots.items()):
            if slot.call is not None:
                continue
            now = time.monotonic()
            due = [job for job in self._waiting if self._not_before.get(job, now) <= now]
            if not due:
                return
            job = self._choose(slot, due)
            arguments = (job.path, job.spec.config.to_dict(), list(self.command), self.session_file)
            try:
                slot.call = slot.worker.submit(run_job, *arguments)
            except Exception as error:  # it ended while it was idle
                self._handle_error(number, error)
                continue
            slot.job, slot.prior = job, job.spec.config.prior
            slot.metrics = MetricsTail(job.path / "metrics.jsonl")
            self._waiting.remove(job)

    def _choose(self, slot: _Slot, jobs: Sequence[JobDir]) -> JobDir:
        """A job whose prior the worker holds; else one whose prior no busy worker holds; else the next."""
        priors = [job.spec.config.prior for job in jobs]
        in_use = [busy.prior for busy in self._busy]
        best = [i for i, prior in enumerate(priors) if prior == slot.prior]
        best += [i for i, prior in enumerate(priors) if prior not in in_use]
        return jobs[best[0] if best else 0]

    def _handle(self, number: int, call: Future[Any]) -> None:
        """Updates the state with what a worker's call returned."""
        self._last_reply = time.monotonic()
        try:
            report = call.result()
        except Exception as error:
            self._handle_error(number, error)
            return
        slot = self._slots[number]
        job, slot.job, slot.call = slot.job, None, None
        if job is None:
            self._failed_starts = 0
            return
        self.loads += report.loads
        if report.state == "finished":
            self._finished.append(job)
        elif report.state == "failed":
            self.failures[job.path.name] = report.reason
            self._write(f"{job.path.name} failed: {report.reason}")
        elif report.state == "busy":
            self._not_before[job], self._note = self._last_reply + _BUSY_SECONDS, report.reason
            self._waiting.append(job)
        else:
            self._waiting.append(job)
            self._stop(f"{job.path.name} stopped: {report.reason.split(';')[0]}")

    def _handle_error(self, number: int, error: Exception) -> None:
        """Replaces a lost worker and assigns its job again, unless too many were lost; raises an error of the code."""
        slot = self._slots[number]
        reason, job = slot.worker.exit_reason(error), slot.job
        if reason is None:
            raise error
        del self._slots[number]
        slot.worker.kill()
        self.lost += 1
        if job is None:
            self._failed_starts += slot.call is not None
            self._write(f"worker {number} was lost ({reason})")
            if self._failed_starts >= _MAX_FAILED_STARTS:
                raise RunFailed(f"{_MAX_FAILED_STARTS} workers in a row ended before they began: {reason}")
            return
        self._lost_on[job] = lost = self._lost_on.get(job, 0) + 1
        if lost > self.retries:
            self.failures[job.path.name] = f"{lost} workers were lost on it: {reason}"
            self._write(f"{job.path.name} is given up: {lost} workers were lost on it ({reason})")
            return
        self._write(f"worker {number} was lost on {job.path.name} ({reason}); retry {lost} of {self.retries}")
        self._waiting.insert(0, job)

    def _write(self, line: str) -> None:
        self._note = line
        self.log.append(f"{utc_now()} {' '.join(line.split())}")

    def _progress(self) -> SweepProgress:
        running = [
            (slot.job.spec.title, job_progress(slot.metrics, slot.job.spec.config.steps))
            for slot in self._busy
            if slot.job is not None and slot.metrics is not None
        ]
        steps = sum(job.spec.config.steps for job in self._finished) + sum(job.done for _, job in running)
        total = sum(job.spec.config.steps for job in self.job_dirs if job.path.name not in self.failures)
        counts = (len(self.job_dirs), len(self._finished), len(self.failures))
        return SweepProgress(*counts, tuple(running), min(total, steps), total, self._note)
