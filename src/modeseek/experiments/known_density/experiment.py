"""Comparison on a known density: tunes, runs the reported seeds and measures."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from modeseek.experiments.known_density.jobs import CloudJob, Clouds2D, run_cloud_jobs
from modeseek.experiments.known_density.measure import MAIN, score, tuning_score
from modeseek.experiments.known_density.plan import CONTESTS, Benchmark, Contest
from modeseek.experiments.known_density.report import Contestants, contest_table, write_benchmark
from modeseek.experiments.known_density.tuning import Choices, chosen_setting, tune
from modeseek.experiments.toy2d.entries import ToyEntry
from modeseek.experiments.toy2d.toy2d_metrics import GroundTruth
from modeseek.io.progress import Progress
from modeseek.io.thread_pool import single_threaded
from modeseek.meanshift.modes import find_modes
from modeseek.reports.results_files import ExperimentResult
from modeseek.reports.table import Row
from modeseek.rng import Streams
from modeseek.rundir.run_dir import Run
from modeseek.runs.interrupts import RunFailed
from modeseek.runs.session import run_session

_STARTS = 2000  # starts of the search for the true modes


def run_known_density(plan: Benchmark, run: Run) -> Generator[Progress, None, ExperimentResult]:
    """Runs all unfinished jobs and writes the results; jobs that an earlier session finished are reused.

    Raises:
        modeseek.runs.interrupts.RunInterrupted: stopped on request; the next call resumes.
        modeseek.runs.interrupts.RunFailed: no method finished.
        ValueError: another process holds the folder.
    """
    with run_session(run, resumable=True), single_threaded():
        yield Progress("true modes", 0, 1)
        base = plan.base
        exact, rng = plan.problem.prior, Streams(base.seed + 1)
        modes = find_modes(exact, base.end, _STARTS, rng=rng, cond=base.cond, tol=1e-9)
        truth = GroundTruth.draw(plan.problem, base.cond, base.end, modes, base.seed)
        yield Progress("true modes", 1, 1)
        tuned: Choices = {}
        if plan.grid is not None:
            tuned = yield from tune(plan, plan.grid, run, tuning_score(plan, truth))
        jobs = {
            (contest, entry.name): _reported(plan, contest, entry, tuned)
            for contest in CONTESTS
            for entry in plan.entries(contest)
        }
        results = yield from run_cloud_jobs(run, [job for pair in jobs.values() for job in pair], "reported seeds")
        contests = {}
        for number, contest in enumerate(CONTESTS):
            yield Progress("scoring", number, len(CONTESTS))
            pairs = [jobs[contest, entry.name] for entry in plan.entries(contest)]
            if pairs:
                contests[contest] = _rank(plan, contest, truth, pairs, results)
        yield Progress("scoring", len(CONTESTS), len(CONTESTS))
        if not any(found.table.rows for found in contests.values()):
            raise RunFailed("no method finished; see log.txt")
        result = write_benchmark(plan, run, truth, contests, tuned)
    return result


def _reported(plan: Benchmark, contest: Contest, entry: ToyEntry, tuned: Choices) -> tuple[CloudJob, CloudJob]:
    """Jobs of the reported seeds: with the chosen setting and with the default; the same job where these agree."""
    runs = plan.runs(contest, entry)
    default = CloudJob(plan, runs, entry, (), plan.reported, "default")
    choice = tuned.get((contest, entry.name))
    if choice is None or choice.best == choice.default:
        return default, default
    return CloudJob(plan, runs, entry, (chosen_setting(choice),), plan.reported, "tuned"), default


def _rank(
    plan: Benchmark,
    contest: Contest,
    truth: GroundTruth,
    pairs: list[tuple[CloudJob, CloudJob]],
    results: dict[str, Any],
) -> Contestants:
    rows, shown, failures, main = [], {}, [], MAIN[contest]
    for chosen, default in pairs:
        entry, result, untuned = chosen.entry, results[chosen.name][0], results[default.name][0]
        if not isinstance(result, Clouds2D):
            failures.append(f"{entry.title} is left out of the contest of {contest}: {result}")
            continue
        values = score(plan, contest, truth, result)
        if isinstance(untuned, Clouds2D):
            before = score(plan, contest, truth, untuned)
            values |= {
                key.replace(main, f"{main}_default"): value for key, value in before.items() if key.startswith(main)
            }
        rows.append(Row(entry.name, values, entry.descends is None))
        shown[entry.name] = result
    rows.sort(key=lambda row: row.values[main])
    references = [row.name for row in rows if row.reference]
    table = contest_table(contest, {row.name: row.values for row in rows}, references)
    return Contestants(table, {row.name: shown[row.name] for row in rows}, tuple(failures))
