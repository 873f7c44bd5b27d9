"""Experiment on quality against calls: tunes, runs round by round, and measures after each."""

from __future__ import annotations

import shlex
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace

from modeseek.experiments.quality.measure import ScoredCell
from modeseek.experiments.quality.plan import Cell, Quality
from modeseek.experiments.quality.report import write_quality_results
from modeseek.experiments.quality.runner import BatchRunner, MakeJob, ScoredJob
from modeseek.experiments.quality.scorers import Scorer
from modeseek.experiments.quality.tuning import TunedEntry, tune
from modeseek.io.progress import Progress
from modeseek.reports.results_files import ExperimentResult
from modeseek.rundir.run_dir import Run
from modeseek.runs.interrupts import RunFailed
from modeseek.runs.jobs import JobContext, PriorCache
from modeseek.runs.session import run_session

JOBS = "jobs"
_SPACING = 300.0  # seconds between two times of writing the results


def run_quality(
    plan: Quality, run: Run, priors: PriorCache, scorer: Scorer, make_job: MakeJob = ScoredJob
) -> Generator[Progress, None, ExperimentResult]:
    """Runs all unfinished jobs, budget by budget and batch by batch; writes the results at the end and on the way.

    On the way at most every five minutes, after a part: one batch of every method at one budget.

    Args:
        plan: the plan.
        run: run folder of the experiment.
        priors: cache of loaded priors.
        scorer: scorer of the images.
        make_job: job of a batch of images.

    Raises:
        modeseek.runs.interrupts.RunInterrupted: stopped on request; the next call resumes.
        modeseek.runs.interrupts.RunFailed: no method finished.
        ValueError: the settings conflict, or another process holds the folder.
    """
    with run_session(run, resumable=True) as log:
        context = JobContext(run.path / JOBS, priors, shlex.split(run.command))
        runner = BatchRunner(run, scorer, context, log, make_job)
        tuned: dict[str, TunedEntry] = {}
        if plan.tuning is not None:
            tuned = yield from tune(plan, plan.tuning, runner)
            entries = (tuned[entry.name].apply(entry) if entry.name in tuned else entry for entry in plan.entries)
            plan = replace(plan, entries=tuple(entries))
        cells = [*plan.samples(), *(cell for entry in plan.entries for cell in plan.cells(entry))]
        jobs = {cell: runner.jobs(*plan.jobs_of(cell)) for cell in cells}
        parts, total = _parts(jobs), sum(map(len, jobs.values()))
        failures: dict[str, str] = {}
        started: list[ScoredJob] = []
        result, written = None, time.perf_counter()
        for number, part in enumerate(parts, 1):
            started = [job for job in (*started, *part) if job.group not in failures]
            last = number == len(parts)
            if not last and all(job.load() is not None for job in part):
                continue  # of an earlier session: measured with the next part
            groups, lines = yield from runner.finish(started, plan.prompts, total)
            failures |= {line.split(" ", 1)[0]: line for line in lines}
            if not last and time.perf_counter() - written < _SPACING:
                continue
            measured = [ScoredCell(cell, tuple(groups[cell.name]), plan.seed) for cell in cells if cell.name in groups]
            if any(cell.cell.entry.make is not None for cell in measured):
                result = write_quality_results(plan, run, scorer, measured, tuned, tuple(failures.values()))
            written = time.perf_counter()
        if result is None:
            raise RunFailed(f"no method finished: {next(iter(failures.values()))}")
    return result


def _parts(jobs: Mapping[Cell, Sequence[ScoredJob]]) -> list[list[ScoredJob]]:
    """Jobs in the order they run: all methods at the least budget, then at the next, and so on with the next batch."""
    budgets = sorted({cell.budget for cell in jobs})
    return [
        part
        for number in range(max(map(len, jobs.values())))
        for budget in budgets
        if (part := [job for cell, own in jobs.items() if cell.budget == budget for job in own[number : number + 1]])
    ]
