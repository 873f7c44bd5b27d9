"""Tuning of every method on seeds that are not reported; what was tried is kept in a file."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass

from modeseek.experiments.common.tuning import FILE, Trial, Tuned, write_tuning
from modeseek.experiments.known_density.grid import Grid
from modeseek.experiments.known_density.jobs import CloudJob, Clouds2D, run_cloud_jobs
from modeseek.experiments.known_density.measure import Score
from modeseek.experiments.known_density.plan import CONTESTS, Benchmark, Contest, tuning_streams
from modeseek.experiments.toy2d.entries import ToyEntry
from modeseek.experiments.toy2d.settings import OptimizerSetting
from modeseek.io.progress import Progress
from modeseek.rundir.run_dir import Run

Choices = Mapping[tuple[Contest, str], Tuned]
"""Choices by contest and name of the entry."""


@dataclass(frozen=True)
class Pair:
    """Entry of a contest, with the settings that are tried."""

    contest: Contest
    entry: ToyEntry
    jobs: tuple[CloudJob, ...]
    default: OptimizerSetting


def tune(
    plan: Benchmark, grid: Grid, run: Run, score: Score
) -> Generator[Progress, None, dict[tuple[Contest, str], Tuned]]:
    """Tries the settings of every method in every contest; that of the lowest score on seeds of its own is chosen.

    A method all of whose runs fail is not among the choices.

    Args:
        plan: the plan.
        grid: settings that are tried.
        run: run folder; its file of the tuning is written.
        score: score of end points in a contest.
    """
    pairs = [
        pair for contest in CONTESTS for entry in plan.entries(contest) if (pair := _pair(plan, grid, contest, entry))
    ]
    results = yield from run_cloud_jobs(run, [job for pair in pairs for job in pair.jobs], "tuning")
    tuned = {}
    for pair in pairs:
        trials, default = [], None
        for job in pair.jobs:
            for setting, result in zip(job.settings, results[job.name], strict=True):
                if not isinstance(result, Clouds2D):
                    continue
                mean = sum(score(pair.contest, z) for z in result.z) / len(result.z)
                trial = Trial(setting.lr, setting.fall, mean, setting.optimizer)
                default = trial if setting == pair.default else default
                trials.append(trial)
        if trials:
            trials.sort(key=lambda trial: trial.score)
            tuned[pair.contest, pair.entry.name] = Tuned(tuple(trials), default)
    write_tuning(run.path / FILE, {f"{contest}/{name}": choice for (contest, name), choice in tuned.items()})
    return tuned


def chosen_setting(choice: Tuned) -> OptimizerSetting:
    """Chosen setting."""
    return OptimizerSetting(choice.best.optimizer, choice.best.lr, choice.best.fall)


def _pair(plan: Benchmark, grid: Grid, contest: Contest, entry: ToyEntry) -> Pair | None:
    """Jobs of the tuning of an entry; None for a reference."""
    algorithm = entry.algorithm(plan.base.task(plan.problem.prior))
    if algorithm.setting is None:
        return None
    streams = tuple(tuning_streams(1 if algorithm.couples else grid.seeds))
    families = grid.families(algorithm)
    runs = plan.runs(contest, entry)
    jobs = tuple(CloudJob(plan, runs, entry, family, streams, "tune") for family in families)
    return Pair(contest, entry, jobs, algorithm.setting)
