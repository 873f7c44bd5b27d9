"""A sweep from its table of jobs to its report."""

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
    """Has the jobs done that are not, then writes tables, contact sheet and report.

    Args:
        run: the sweep's folder.
        slots: its jobs.
        staff: who works; closed at the end.
        command: as typed.
        patience: how much may go wrong.
        retry_failed: also do again what failed before.

    Raises:
        modeseek.runs.interrupts.RunInterrupted: asked to stop; the same command goes on.
        modeseek.runs.interrupts.RunFailed: all is done, but jobs failed.
        ValueError: another process works on the folder, or a job's folder is damaged.
    """
    try:
        with experiment_session(run) as log:
            if retry_failed:
                log.append(f"{reset_failures(job_dirs)} failed jobs wait again")
            outcome = yield from schedule(job_dirs, pool, command, log, retry_policy or RetryPolicy())
            results = collect(job_dirs)
            finished = sum(one.state == "finished" for one in results)
            calls = sum(one.status.calls for one in results if one.status is not None)
            replace(run.status, step=finished, steps=len(job_dirs), calls=calls).write(run.path)
            _write(run, results, outcome)
            if outcome.failures:
                name, reason = next(iter(outcome.failures.items()))
                raise RunFailed(f"{len(outcome.failures)} of {len(job_dirs)} jobs failed, such as {name}: {reason}")
    finally:
        pool.close()


def caveats(results: Sequence[SweepResult], failures: dict[str, str], damage: Sequence[str]) -> list[str]:
    """What is to be known before the numbers are believed, a sentence each."""
    told = [f"{name} failed and is left out: {reason}" for name, reason in failures.items()]
    priors: dict[object, set[str]] = {}
    for one in results:
        if one.status is not None:
            sha256 = Run(one.job_dir.path).environment.get("prior", {}).get("sha256")
            if sha256 is not None:
                priors.setdefault(one.job_dir.spec.config.prior, set()).add(sha256)
    for prior, seen in priors.items():
        if len(seen) > 1:
            title = getattr(prior, "title", "the prior")
            told.append(f"{title} changed while the sweep went on (its SHA-256 differs): jobs on it do not compare.")
    return [*told, *damage]


def _write(run: Run, results: Sequence[SweepResult], outcome: SweepOutcome) -> None:
    shown = summary_table(results)
    sheet, damage = draw_sheet(results)
    exports = run.path / "exports"
    told = {
        "command": run.command,
        "settings": run.settings,
        "columns": {c.key: {"heading": c.heading, "meaning": c.meaning} for c in COLUMNS},
        "rows": {row.name: row.values for row in shown.rows},
        "jobs": {one.job_dir.path.name: _job(one) for one in results},
        "failures": outcome.failures,
        "versions": package_versions(),
        "machine": describe_machine(),
        "last_session": {"workers_lost": outcome.lost, "priors_loaded": outcome.loads},
    }
    write_atomic(exports / "results.json", json.dumps(told, indent=2, allow_nan=False, default=str) + "\n")
    write_atomic(exports / "results.csv", shown.csv())
    write_atomic(exports / "jobs.csv", job_table(results).csv())
    if sheet is not None:
        write_atomic(run.path / "media" / "sheet.png", sheet)
    write_sweep_page(run, results, shown, sheet, caveats(results, outcome.failures, damage))


def _job(one: SweepResult) -> dict[str, object]:
    entry = one.job_dir.spec
    told = {"labels": list(entry.labels), "method": entry.method, "seed": entry.config.seed, "id": entry.id}
    status = {} if one.status is None else {k: v for k, v in asdict(one.status).items() if k in _KEPT}
    return {**told, "state": one.state, **status, "values": one.values}


_KEPT = ("reason", "step", "sessions", "rollbacks", "started", "updated")
