"""Run of a sweep: schedules its jobs, then writes tables, contact sheet and report."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import asdict, replace

from modeseek.config.priors import PriorConfig
from modeseek.io.atomic import write_atomic
from modeseek.rundir.environment import describe_machine, package_versions
from modeseek.rundir.run_dir import Run
from modeseek.runs.interrupts import RunFailed
from modeseek.runs.session import run_session
from modeseek.sweeps.contact_sheet import draw_sheet
from modeseek.sweeps.progress import SweepProgress
from modeseek.sweeps.report import write_sweep_page
from modeseek.sweeps.results import COLUMNS, SweepResult, collect, job_table, summary_table
from modeseek.sweeps.scheduler import PATIENCE, Scheduler
from modeseek.sweeps.sweep_dir import SESSION, JobDir, reset_failures
from modeseek.sweeps.worker_pool import WorkerPool


def run_sweep(
    run: Run,
    job_dirs: Sequence[JobDir],
    pool: WorkerPool,
    command: Sequence[str],
    retries: int = 3,
    retry_failed: bool = False,
    patience: float = PATIENCE,
) -> Generator[SweepProgress, None, None]:
    """Runs all unfinished jobs, then writes tables, contact sheet and report.

    Args:
        run: folder of the sweep.
        job_dirs: its jobs.
        pool: workers that run the jobs.
        command: command line as typed.
        retries: number of times a job is assigned again after its worker was lost, >= 0.
        retry_failed: whether to run jobs again that failed before.
        patience: time without any responding worker after which the sweep stops, seconds.

    Raises:
        modeseek.runs.interrupts.RunInterrupted: stopped by a signal; the same command resumes the sweep.
        modeseek.runs.interrupts.RunFailed: all jobs have ended, and some failed.
        ValueError: another process works on the folder, or a job's folder is damaged.
    """
    with run_session(run, resumable=True) as log:
        if retry_failed:
            log.append(f"{reset_failures(job_dirs)} failed jobs wait again")
        scheduler = Scheduler(job_dirs, pool, command, log, run.path.absolute() / SESSION, retries, patience)
        yield from scheduler.run()
        results = collect(job_dirs)
        finished = sum(result.state == "finished" for result in results)
        calls = sum(result.status.calls for result in results if result.status is not None)
        replace(run.status, step=finished, steps=len(job_dirs), calls=calls).write(run.path)
        _write(run, results, scheduler)
        if scheduler.failures:
            name, reason = next(iter(scheduler.failures.items()))
            raise RunFailed(f"{len(scheduler.failures)} of {len(job_dirs)} jobs failed, such as {name}: {reason}")


def caveats(results: Sequence[SweepResult], failures: dict[str, str], damage: Sequence[str]) -> list[str]:
    """Missing results and limits of the comparison, a sentence each."""
    lines = [f"{name} failed and is left out: {reason}" for name, reason in failures.items()]
    hashes: dict[PriorConfig, set[str]] = {}
    for result in results:
        if result.status is not None:
            sha256 = Run(result.job_dir.path).environment.get("prior", {}).get("sha256")
            if sha256 is not None:
                hashes.setdefault(result.job_dir.spec.config.prior, set()).add(sha256)
    for prior, distinct in hashes.items():
        if len(distinct) > 1:
            lines.append(f"{prior.title} changed during the sweep (its SHA-256 differs): its jobs cannot be compared.")
    return [*lines, *damage]


def _write(run: Run, results: Sequence[SweepResult], session: Scheduler) -> None:
    table = summary_table(results)
    sheet, damage = draw_sheet(results)
    exports = run.path / "exports"
    record = {
        "command": run.command,
        "settings": run.settings,
        "columns": {c.key: {"heading": c.heading, "meaning": c.meaning} for c in COLUMNS},
        "rows": {row.name: row.values for row in table.rows},
        "jobs": {result.job_dir.path.name: _job(result) for result in results},
        "failures": session.failures,
        "versions": package_versions(),
        "machine": describe_machine(),
        "last_session": {"workers_lost": session.lost, "priors_loaded": session.loads},
    }
    write_atomic(exports / "results.json", json.dumps(record, indent=2, allow_nan=False, default=str) + "\n")
    write_atomic(exports / "results.csv", table.csv())
    write_atomic(exports / "jobs.csv", job_table(results).csv())
    if sheet is not None:
        write_atomic(run.path / "media" / "sheet.png", sheet)
    write_sweep_page(run, results, table, sheet, caveats(results, session.failures, damage))


def _job(result: SweepResult) -> dict[str, object]:
    spec = result.job_dir.spec
    identity = {"labels": list(spec.labels), "method": spec.method, "seed": spec.config.seed, "id": spec.id}
    status = {} if result.status is None else {k: v for k, v in asdict(result.status).items() if k in _STATUS_KEYS}
    return {**identity, "state": result.state, **status, "values": result.values}


_STATUS_KEYS = ("reason", "step", "sessions", "rollbacks", "started", "updated")
