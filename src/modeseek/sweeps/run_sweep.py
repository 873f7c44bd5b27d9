"""A sweep from its table of jobs to its report."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from dataclasses import asdict, replace

from modeseek.io.atomic import write_whole
from modeseek.rundir.environment import machine, versions
from modeseek.rundir.run_dir import Run
from modeseek.runs.experiment_folder import standing
from modeseek.runs.interrupts import RunFailed
from modeseek.sweeps.contact_sheet import draw_sheet
from modeseek.sweeps.folder import JobDir, forget_failures
from modeseek.sweeps.progress import Outcome, RetryPolicy, SweepProgress
from modeseek.sweeps.report import write_page
from modeseek.sweeps.results import COLUMNS, Result, collect, job_table, table
from modeseek.sweeps.scheduler import schedule
from modeseek.sweeps.worker_pool import WorkerPool


def run_sweep(
    run: Run,
    slots: Sequence[JobDir],
    staff: WorkerPool,
    command: Sequence[str],
    patience: RetryPolicy | None = None,
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
        modeseek.runs.interrupts.Stopped: asked to stop; the same command goes on.
        modeseek.runs.interrupts.Failed: all is done, but jobs failed.
        ValueError: another process works on the folder, or a job's folder is damaged.
    """
    try:
        with standing(run) as log:
            if retry_failed:
                log.add(f"{forget_failures(slots)} failed jobs wait again")
            outcome = yield from schedule(slots, staff, command, log, patience or RetryPolicy())
            results = collect(slots)
            finished = sum(one.state == "finished" for one in results)
            calls = sum(one.status.calls for one in results if one.status is not None)
            replace(run.status, step=finished, steps=len(slots), calls=calls).write(run.path)
            _write(run, results, outcome)
            if outcome.failures:
                name, reason = next(iter(outcome.failures.items()))
                raise RunFailed(f"{len(outcome.failures)} of {len(slots)} jobs failed, such as {name}: {reason}")
    finally:
        staff.close()


def lacking(results: Sequence[Result], failures: dict[str, str], damage: Sequence[str]) -> list[str]:
    """What is to be known before the numbers are believed, a sentence each."""
    told = [f"{name} failed and is left out: {reason}" for name, reason in failures.items()]
    priors: dict[object, set[str]] = {}
    for one in results:
        if one.status is not None:
            sha256 = Run(one.slot.path).environment.get("prior", {}).get("sha256")
            if sha256 is not None:
                priors.setdefault(one.slot.entry.config.prior, set()).add(sha256)
    for prior, seen in priors.items():
        if len(seen) > 1:
            title = getattr(prior, "title", "the prior")
            told.append(f"{title} changed while the sweep went on (its SHA-256 differs): jobs on it do not compare.")
    return [*told, *damage]


def _write(run: Run, results: Sequence[Result], outcome: Outcome) -> None:
    shown = table(results)
    sheet, damage = draw_sheet(results)
    exports = run.path / "exports"
    told = {
        "command": run.command,
        "settings": run.settings,
        "columns": {c.key: {"heading": c.heading, "meaning": c.meaning} for c in COLUMNS},
        "rows": {row.name: row.values for row in shown.rows},
        "jobs": {one.slot.path.name: _job(one) for one in results},
        "failures": outcome.failures,
        "versions": versions(),
        "machine": machine(),
        "last_session": {"workers_lost": outcome.lost, "priors_loaded": outcome.loads},
    }
    write_whole(exports / "results.json", json.dumps(told, indent=2, allow_nan=False, default=str) + "\n")
    write_whole(exports / "results.csv", shown.csv())
    write_whole(exports / "jobs.csv", job_table(results).csv())
    if sheet is not None:
        write_whole(run.path / "media" / "sheet.png", sheet)
    write_page(run, results, shown, sheet, lacking(results, outcome.failures, damage))


def _job(one: Result) -> dict[str, object]:
    entry = one.slot.entry
    told = {"labels": list(entry.labels), "method": entry.method, "seed": entry.config.seed, "id": entry.id}
    status = {} if one.status is None else {k: v for k, v in asdict(one.status).items() if k in _KEPT}
    return {**told, "state": one.state, **status, "values": one.values}


_KEPT = ("reason", "step", "sessions", "rollbacks", "started", "updated")
