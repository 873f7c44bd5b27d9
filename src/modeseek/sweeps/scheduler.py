"""Scheduler of a sweep: assigns jobs to idle workers, retries those of lost workers, and stops on request."""

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

_POLL_SECONDS = 0.2  # between two looks at stop requests
_BUSY_SECONDS = 1.0  # after which a job held by another process is tried again
_MAX_FAILED_STARTS = 3  # workers in a row that may end before they report ready


def schedule(
    job_dirs: Sequence[JobDir], pool: WorkerPool, command: Sequence[str], log: LineFile, retry_policy: RetryPolicy
) -> Generator[SweepProgress, None, SweepOutcome]:
    """Runs all unfinished jobs; the pool is closed however it ends.

    Args:
        job_dirs: all jobs of the sweep; finished and failed ones are only counted.
        pool: workers that run the jobs.
        command: command line of the sweep, for the jobs' folders.
        log: log of the sweep.
        retry_policy: limits on lost workers.

    Raises:
        RunInterrupted: Ctrl-C or SIGTERM, a full disk, or no worker for too long; the same command resumes the sweep.
        RunFailed: workers end before they report ready.
    """
    scheduler = _Scheduler(job_dirs, pool, command, log, retry_policy)
    try:
        with stop_on_signal() as stop_request:
            yield from scheduler.run(stop_request)
    finally:
        pool.close()
    return scheduler.outcome


class _Scheduler:
    """State of `schedule`.

    Attributes:
        waiting: jobs to assign, in order.
        deferred: jobs held by other processes, with the monotonic time at which to try again.
        assigned: job of each busy worker.
        statuses: last status of each busy worker.
        starting: workers that have not reported ready.
        priors: prior that each worker holds.
        loads: number of priors loaded by each worker.
        attempts: number of workers lost on a job, by name of its folder.
        stop_reason: reason why no more jobs are assigned, or empty.
        stop_signal: number of the signal that the runs name as the reason of their stop.
    """

    def __init__(
        self,
        job_dirs: Sequence[JobDir],
        pool: WorkerPool,
        command: Sequence[str],
        log: LineFile,
        retry_policy: RetryPolicy,
    ) -> None:
        states = [(job_dir, job_dir.state) for job_dir in job_dirs]
        self.job_dirs, self.pool, self.command, self.log = job_dirs, pool, list(command), log
        self.retry_policy = retry_policy
        self.waiting = [job_dir for job_dir, state in states if state not in ("finished", "failed")]
        self.finished = [job_dir for job_dir, state in states if state == "finished"]
        self.outcome = SweepOutcome(
            {j.path.name: j.status.reason for j, state in states if state == "failed" and j.status is not None}
        )
        self.deferred: list[tuple[float, JobDir]] = []
        self.assigned: dict[int, JobDir] = {}
        self.statuses: dict[int, WorkerStatus] = {}
        self.starting: set[int] = set()
        self.idle: list[int] = []
        self.priors: dict[int, object] = {}
        self.loads: dict[int, int] = {}
        self.attempts: dict[str, int] = {}
        self.failed_starts, self.last_reply, self.note = 0, time.monotonic(), ""
        self.stop_reason, self.stop_signal = "", int(signal.SIGTERM)

    def run(self, stop_request: StopRequest) -> Generator[SweepProgress, None, None]:
        yield self._progress()
        while self.waiting or self.deferred or self.assigned:
            if stop_request.signal:
                self.stop_signal = int(signal.Signals[stop_request.signal])
                self._stop(f"{stop_request.signal} after {len(self.finished)} of {len(self.job_dirs)} jobs")
            if self.stop_reason and not self.assigned:
                break
            if not self.stop_reason:
                self._assign()
            for worker, reply in self.pool.poll(_POLL_SECONDS):
                self._handle(worker, reply)
            if not self.assigned and time.monotonic() - self.last_reply > self.retry_policy.seconds:
                self._stop(f"no worker was there for {self.retry_policy.seconds:g} s")
            yield self._progress()
        self.outcome.loads = sum(self.loads.values())
        if self.stop_reason:
            raise RunInterrupted(f"{self.stop_reason}; the same command goes on")

    def _stop(self, reason: str) -> None:
        """Stops assigning; running jobs are checkpointed after their step. The first reason counts."""
        self.stop_reason = self.stop_reason or reason
        self.note = f"stopping: {self.stop_reason}"

    def _assign(self) -> None:
        due = [job_dir for moment, job_dir in self.deferred if moment <= time.monotonic()]
        self.deferred = [(moment, job_dir) for moment, job_dir in self.deferred if job_dir not in due]
        self.waiting += due
        n_workers = len(self.starting) + len(self.idle) + len(self.assigned)
        for _ in range(min(self.pool.size, len(self.waiting) + len(self.assigned)) - n_workers):
            self.starting.add(self.pool.spawn())
        while self.idle and self.waiting:
            worker = self.idle.pop(0)
            job_dir = self._choose(worker)
            self.waiting.remove(job_dir)
            config = job_dir.spec.config
            self.assigned[worker], self.priors[worker] = job_dir, config.prior
            self.statuses[worker] = WorkerStatus("running", note="loading")
            self.pool.submit(worker, JobRequest("begin", (str(job_dir.path), config.to_dict(), self.command)))

    def _choose(self, worker: int) -> JobDir:
        """A job whose prior the worker holds; else one whose prior no busy worker holds; else the next."""
        priors = [job_dir.spec.config.prior for job_dir in self.waiting]
        own = self.priors.get(worker)
        in_use = [prior for other, prior in self.priors.items() if other in self.assigned]
        best = [i for i, prior in enumerate(priors) if prior == own] or [
            i for i, prior in enumerate(priors) if prior not in in_use
        ]
        return self.waiting[best[0] if best else 0]

    def _handle(self, worker: int, reply: WorkerStatus | WorkerLost) -> None:
        """Updates the state with a worker's reply, and sends the next request for the same job."""
        if isinstance(reply, WorkerLost):
            self._handle_lost(worker, reply)
            return
        self.last_reply, self.loads[worker] = time.monotonic(), reply.loads
        if reply.state == "ready":
            self.starting.discard(worker)
            self.failed_starts = 0
            self.idle.append(worker)
            return
        if reply.state == "running":
            self.statuses[worker] = reply
            request = JobRequest("stop", (self.stop_signal,)) if self.stop_reason else JobRequest("advance")
            self.pool.submit(worker, request)
            return
        job_dir = self.assigned[worker]
        self._release(worker)
        self.idle.append(worker)
        if reply.state == "finished":
            self.finished.append(job_dir)
        elif reply.state == "failed":
            self.outcome.failures[job_dir.path.name] = reply.reason
            self._log(f"{job_dir.path.name} failed: {reply.reason}")
        elif reply.state == "busy":
            self.deferred.append((time.monotonic() + _BUSY_SECONDS, job_dir))
            self.note = reply.reason
        else:
            self.waiting.append(job_dir)
            self._stop(f"{job_dir.path.name} stopped: {reply.reason.split(';')[0]}")

    def _handle_lost(self, worker: int, lost: WorkerLost) -> None:
        job_dir = self._release(worker)
        self.outcome.lost += 1
        if worker in self.idle:
            self.idle.remove(worker)
        if worker in self.starting:
            self.starting.discard(worker)
            self.failed_starts += 1
            if self.failed_starts >= _MAX_FAILED_STARTS:
                raise RunFailed(f"{_MAX_FAILED_STARTS} workers in a row ended before they began: {lost.reason}")
        if job_dir is None:
            self._log(f"worker {worker} was lost ({lost.reason})")
            return
        name, retries = job_dir.path.name, self.retry_policy.retries
        self.attempts[name] = attempts = self.attempts.get(name, 0) + 1
        if attempts > retries:
            self.outcome.failures[name] = f"{attempts} workers were lost on it: {lost.reason}"
            self._log(f"{name} is given up: {attempts} workers were lost on it ({lost.reason})")
            return
        self._log(f"worker {worker} was lost on {name} ({lost.reason}); retry {attempts} of {retries}")
        self.waiting.insert(0, job_dir)

    def _release(self, worker: int) -> JobDir | None:
        self.statuses.pop(worker, None)
        return self.assigned.pop(worker, None)

    def _log(self, line: str) -> None:
        self.note = line
        self.log.append(f"{utc_now()} {' '.join(line.split())}")

    def _progress(self) -> SweepProgress:
        running = tuple((self.assigned[worker].spec.title, status) for worker, status in sorted(self.statuses.items()))
        finished_steps = sum(job_dir.spec.config.steps for job_dir in self.finished)
        running_steps = sum(status.step for status in self.statuses.values())
        failures = self.outcome.failures
        total = sum(job_dir.spec.config.steps for job_dir in self.job_dirs if job_dir.path.name not in failures)
        return SweepProgress(
            len(self.job_dirs),
            len(self.finished),
            len(failures),
            running,
            min(total, finished_steps + running_steps),
            total,
            self.note,
        )
