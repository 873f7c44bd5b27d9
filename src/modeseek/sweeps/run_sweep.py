"""Run of a sweep: schedules its jobs, then writes tables, contact sheet and report."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import asdict, replace

from modeseek.io.atomic import write_atomic
from modeseek.rundir.environment import describe_machine, package_versions
from modeseek.rundir.run_dir import Run
from modeseek.runs.experiment_folder import experiment_session
from modeseek.runs.interrupts import RunFailed
from modeseek.sweeps.contact_sheet import draw_sheet
from modeseek.sweeps.progress import RetryPolicy, SweepOutcome, SweepProgress
from modeseek.sweeps.report import write_sweep_page
from modeseek.sweeps.results import COLUMNS, SweepResult, collect, job_table, summary_table
from modeseek.sweeps.scheduler import schedule
from modeseek.sweeps.sweep_dir import JobDir, reset_failures
from modeseek.sweeps.worker_pool import WorkerPool


def run_sweep(
    run: Run,
    job_dirs: Sequence[JobDir],
    pool: WorkerPool,
    command: Sequence[str],
    retry_policy: RetryPolicy | None = None,
    retry_failed: bool = False,
) -> Generator[SweepProgress, None, None]:
    """Runs all unfinished jobs, then writes tables, contact sheet and report.

    Args:
        run: folder of the sweep.
        job_dirs: its jobs.
        pool: workers that run the jobs; closed at the end.
        command: command line as typed.
        retry_policy: limits on lost workers; None for the default.
        retry_failed: whether to run jobs again that failed before.

    Raises:
        modeseek.runs.interrupts.RunInterrupted: stopped by a signal; the same command resumes the sweep.
        modeseek.runs.interrupts.RunFailed: all jobs have ended, and some failed.
        ValueError: another process works on the folder, or a job's folder is damaged.
    """
    try:
        with experiment_session(run) as log:
            if retry_failed:
                log.append(f"{reset_failures(job_dirs)} failed jobs wait again")
            outcome = yield from schedule(job_dirs, pool, command, log, retry_policy or RetryPolicy())
            results = collect(job_dirs)
            finished = sum(result.state == "finished" for result in results)
            calls = sum(result.status.calls for result in results if result.status is not None)
            replace(run.status, step=finished, steps=len(job_dirs), calls=calls).write(run.path)
            _write(run, results, outcome)
            if outcome.failures:
                name, reason = next(iter(outcome.failures.items()))
                raise RunFailed(f"{len(outcome.failures)} of {len(job_dirs)} jobs failed, such as {name}: {reason}")
    finally:
        pool.close()


def caveats(results: Sequence[SweepResult], failures: dict[str, str], damage: Sequence[str]) -> list[str]:
    """Missing results and limits of the comparison, a sentence each."""
    lines = [f"{name} failed and is left out: {reason}" for name, reason in failures.items()]
    hashes: dict[object, set[str]] = {}
    for result in results:
        if result.status is not None:
            sha256 = Run(result.job_dir.path).environment.get("prior", {}).get("sha256")
            if sha256 is not None:
                hashes.setdefault(result.job_dir.spec.config.prior, set()).add(sha256)
    for prior, distinct in hashes.items():
        if len(distinct) > 1:
            title = getattr(prior, "title", "the prior")
            lines.append(f"{title} changed during the sweep (its SHA-256 differs): its jobs cannot be compared.")
    return [*lines, *damage]


def _write(run: Run, results: Sequence[SweepResult], outcome: SweepOutcome) -> None:
    table = summary_table(results)
    sheet, damage = draw_sheet(results)
    exports = run.path / "exports"
    record = {
        "command": run.command,
        "settings": run.settings,
        "columns": {c.key: {"heading": c.heading, "meaning": c.meaning} for c in COLUMNS},
        "rows": {row.name: row.values for row in table.rows},
        "jobs": {result.job_dir.path.name: _job(result) for result in results},
        "failures": outcome.failures,
        "versions": package_versions(),
        "machine": describe_machine(),
        "last_session": {"workers_lost": outcome.lost, "priors_loaded": outcome.loads},
    }
    write_atomic(exports / "results.json", json.dumps(record, indent=2, allow_nan=False, default=str) + "\n")
    write_atomic(exports / "results.csv", table.csv())
    write_atomic(exports / "jobs.csv", job_table(results).csv())
    if sheet is not None:
        write_atomic(run.path / "media" / "sheet.png", sheet)
    write_sweep_page(run, results, table, sheet, caveats(results, outcome.failures, damage))


def _job(result: SweepResult) -> dict[str, object]:
    spec = result.job_dir.spec
    identity = {"labels": list(spec.labels), "method": spec.method, "seed": spec.config.seed, "id": spec.id}
    status = {} if result.status is None else {k: v for k, v in asdict(result.status).items() if k in _STATUS_KEYS}
    return {**identity, "state": result.state, **status, "values": result.values}


_STATUS_KEYS = ("reason", "step", "sessions", "rollbacks", "started", "updated")
