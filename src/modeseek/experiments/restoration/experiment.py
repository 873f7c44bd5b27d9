"""Experiment on restoration: tunes and runs every method cell by cell, and measures on the way."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from modeseek.experiments.restoration.jobs import FOLDER, RestorationJob
from modeseek.experiments.restoration.measure import MAIN
from modeseek.experiments.restoration.plan import Restoration, RestorationCell
from modeseek.experiments.restoration.problem import Problem
from modeseek.experiments.restoration.report import CellResult, write_restoration
from modeseek.experiments.restoration.restored import Restored
from modeseek.experiments.restoration.restorers import Restorer
from modeseek.experiments.restoration.subjects import ImageSubject
from modeseek.io.progress import Progress
from modeseek.io.thread_pool import single_threaded
from modeseek.reports.results_files import ExperimentResult
from modeseek.rundir.run_dir import Run
from modeseek.runs.interrupts import RunFailed
from modeseek.runs.jobs import PriorCache
from modeseek.runs.session import run_session


def run_restoration(
    plan: Restoration, run: Run, subject: ImageSubject, priors: PriorCache
) -> Generator[Progress, None, ExperimentResult]:
    """Runs all unfinished jobs, cell by cell; writes the results after each cell that was not finished before.

    Raises:
        modeseek.runs.interrupts.RunInterrupted: stopped on request; the next call resumes.
        modeseek.runs.interrupts.RunFailed: no method finished.
        ValueError: another process holds the folder, or there are fewer images than the plan asks for.
    """
    with run_session(run, resumable=True) as log, single_threaded():
        yield Progress("images", 0, 1)
        space, truth, tuning = subject.load(priors, plan.images, plan.tuning, plan.seed)
        yield Progress("images", 1, 1)
        entries = plan.entries_on(space.log_prob is not None)
        found: list[CellResult] = []
        result = None
        for number, cell in enumerate(plan.cells):
            problems = [Problem(space, part, cell.degradation, cell.noise, plan.seed) for part in (truth, tuning)]
            results: dict[str, Restored] = {}
            chosen: dict[str, float] = {}
            missing: list[str] = []
            fresh = False
            for entry in entries:
                progress = Progress("cells", number, len(plan.cells), f"{cell.title}: {entry.title}")
                setting = chosen.get(entry.tuned_as)
                if setting is None:
                    setting = yield from _tune(plan, cell, entry, problems[1], run, progress)
                chosen[entry.name] = setting
                job = RestorationJob(plan, cell, entry, setting, tunes=False)
                fresh |= job.load(run.path / FOLDER) is None
                outcome = yield from _finish(job, problems[0], run.path / FOLDER, progress)
                if isinstance(outcome, Restored):
                    results[entry.name] = outcome
                else:
                    missing.append(outcome)
                    log.append(outcome)
            found.append(CellResult(cell, results, chosen, tuple(missing)))
            if results and (fresh or number == len(plan.cells) - 1):
                result = write_restoration(plan, run, entries, found, problems[0])
        if result is None:
            raise RunFailed("no method finished; see log.txt")
    return result


def _tune(
    plan: Restoration, cell: RestorationCell, entry: Restorer, problem: Problem, run: Run, progress: Progress
) -> Generator[Progress, None, float]:
    """Setting with the highest mean PSNR on the images of the tuning; the default without a tuning."""
    default, *others = entry.settings
    if not plan.tuning or not others:
        return default
    scores: dict[float, float] = {}
    for setting in entry.settings:
        job = RestorationJob(plan, cell, entry, setting, tunes=True)
        outcome = yield from _finish(job, problem, run.path / FOLDER, progress)
        if isinstance(outcome, Restored):
            scores[setting] = outcome.values[MAIN].mean().item()
    return max(scores, key=lambda setting: scores[setting]) if scores else default


def _finish(
    job: RestorationJob, problem: Problem, folder: Path, progress: Progress
) -> Generator[Progress, None, Restored | str]:
    """Result of a job, which is run unless it is there already."""
    yield progress
    outcome = job.load(folder)
    if outcome is None:
        job.run(problem, folder)
        outcome = job.load(folder)
    if outcome is None:
        raise ValueError(f"files of {job.name} were removed while it ran; rerun")
    return outcome
