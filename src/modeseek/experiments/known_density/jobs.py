"""Jobs of the comparison: a method with settings side by side on clouds of points; its result is kept in a file."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.experiments.known_density.grid import with_settings
from modeseek.experiments.known_density.plan import Benchmark, Contest
from modeseek.experiments.toy2d.entries import ToyEntry, ToyOutcome, ToyTask
from modeseek.experiments.toy2d.settings import OptimizerSetting
from modeseek.io.atomic import write_atomic
from modeseek.io.errors import one_line
from modeseek.io.process_pool import run_in_processes
from modeseek.io.progress import Progress, relay
from modeseek.rundir.run_dir import Run

FOLDER = "jobs"
_FRAMES = 40  # of the trajectory of a result


@dataclass(frozen=True)
class Clouds2D:
    """Result of a setting: end points of its clouds, and what they took.

    Attributes:
        starts: start points, (c, n, 2), a cloud per seed.
        z: end points, (c, n, 2).
        trajectory: points of the first cloud from start to end, (m, n, 2).
        calls: prior calls per point.
        steps: number of optimizer steps; None of a reference.
        seconds: run time on one core, of all clouds of all settings that ran side by side.
        updates: number of updates of an auxiliary network.
        converged: share of the points that the method itself declares converged, or None.
    """

    starts: Float[Tensor, "c n 2"]
    z: Float[Tensor, "c n 2"]
    trajectory: Float[Tensor, "m n 2"]
    calls: float
    steps: int | None
    seconds: float
    updates: int
    converged: float | None


@dataclass(frozen=True)
class CloudJob:
    """An entry with settings of one optimizer side by side, on a cloud of points for each seed and setting.

    Attributes:
        plan: the plan.
        contest: the contest.
        entry: the entry.
        settings: settings; none are the entry's own.
        streams: random stream of each cloud.
        purpose: beginning of its name: tune, default or tuned.
    """

    plan: Benchmark
    contest: Contest
    entry: ToyEntry
    settings: tuple[OptimizerSetting, ...]
    streams: tuple[int, ...]
    purpose: str

    @property
    def identity(self) -> str:
        """Method with its hyperparameters, which a result must have been made with."""
        algorithm = self.entry.algorithm(self.plan.base.task(self.plan.problem.prior)).trying(self.settings)
        return re.sub(r" at 0x\w+", "", repr(algorithm))

    @property
    def name(self) -> str:
        """Name of the file of its result."""
        words = [f"{s.optimizer}-{s.lr:g}-{s.fall:g}" for s in self.settings] if len(self.settings) < 2 else []
        words = words or [s.optimizer for s in self.settings[:1]]
        return "-".join([self.purpose, self.contest, self.entry.name, *words, f"{len(self.streams)}seeds"])

    def work(self, folder: Path) -> Generator[Progress, None, None]:
        """Runs the job and writes its file: a result per setting, or a line on why there is none.

        Settings side by side are tried one by one if one of them diverges; so are seeds whose points depend on each
        other, which need a run of their own.
        """
        groups = max(1, len(self.settings))
        task = self.plan.task(self.contest, self.entry, self.streams, groups)
        couples, size = self.entry.algorithm(task).couples, len(self.streams)
        found: list[dict[str, Any]] = []
        try:
            if couples and groups > 1:
                raise FloatingPointError("settings whose points depend on each other")
            found = yield from self._run(task, self.settings, couples)
        except FloatingPointError as error:
            found = [{"failed": one_line(error, 300)}]
            if groups > 1:
                found = []
                for group, setting in enumerate(self.settings):
                    part = select_clouds(task, range(group * size, (group + 1) * size))
                    try:
                        found += yield from self._run(part, (setting,), couples)
                    except FloatingPointError as failure:
                        found.append({"failed": one_line(failure, 300)})
        text = json.dumps({"identity": self.identity, "results": found})
        write_atomic(folder / f"{self.name}.json", text + "\n", parents=True)

    def load(self, folder: Path) -> list[Clouds2D | str] | None:
        """Result of each setting, or why it has none; None if the job is not finished with this method."""
        path = folder / f"{self.name}.json"
        if not path.is_file():
            return None
        file = json.loads(path.read_text(encoding="utf-8"))
        return [_read(result) for result in file["results"]] if file["identity"] == self.identity else None

    def _run(
        self, task: ToyTask, settings: tuple[OptimizerSetting, ...], couples: bool
    ) -> Generator[Progress, None, list[dict[str, Any]]]:
        entry, n = with_settings(self.entry, settings), len(task.clouds)
        tasks = [select_clouds(task, [index]) for index in range(n)] if couples else [task]
        outcomes = []
        for part in tasks:
            stage = partial(replace, stage=self.entry.name)
            outcomes.append((yield from relay(entry.run(part), stage)))
        return _results(task, outcomes, max(1, len(settings)))


def run_cloud_jobs(run: Run, jobs: Sequence[CloudJob], stage: str) -> Generator[Progress, None, dict[str, Any]]:
    """Runs all unfinished jobs in parallel processes; returns the results of all by name."""
    folder = run.path / FOLDER
    distinct = {job.name: job for job in jobs}
    pending = {name: partial(job.work, folder) for name, job in distinct.items() if job.load(folder) is None}
    for name in pending:
        (folder / f"{name}.json").unlink(missing_ok=True)  # of a method with other hyperparameters
    yield Progress(stage, len(distinct) - len(pending), len(distinct))

    started: dict[str, None] = {}

    def progress(item: tuple[str, Progress]) -> Progress:
        started[item[0]] = None
        return Progress(stage, len(distinct) - len(pending) + len(started) - 1, len(distinct), item[0])

    if pending:
        yield from relay(run_in_processes(pending), progress)
    yield Progress(stage, len(distinct), len(distinct))
    return {name: job.load(folder) for name, job in distinct.items()}


def select_clouds(task: ToyTask, chosen: Sequence[int]) -> ToyTask:
    """The task of some of its clouds."""
    size = len(task.starts) // len(task.clouds)
    rows = torch.cat([torch.arange(index * size, (index + 1) * size) for index in chosen])
    conditions = task.conditions
    if conditions is not None:
        conditions = conditions.map(lambda part: part[rows], lambda weight: weight)
    clouds = tuple(task.clouds[index] for index in chosen)
    return replace(task, starts=task.starts[rows], conditions=conditions, clouds=clouds)


def _results(task: ToyTask, outcomes: Sequence[ToyOutcome], groups: int) -> list[dict[str, Any]]:
    """Plain data of each group of clouds."""
    size = len(task.starts) // len(task.clouds)
    z = torch.cat([outcome.z for outcome in outcomes]).reshape(groups, -1, size, 2)
    starts = task.starts.reshape(groups, -1, size, 2)
    walk = outcomes[0].trajectory
    walk = walk[torch.linspace(0, len(walk) - 1, min(_FRAMES, len(walk))).long()]
    count = len(outcomes)
    shared = {
        "calls": sum(outcome.calls for outcome in outcomes) / count,
        "steps": task.steps,
        "seconds": sum(outcome.seconds for outcome in outcomes),
        "updates": outcomes[0].updates,
        "converged": outcomes[0].converged,
    }
    per_group = len(task.clouds) // groups * size
    results = []
    for group in range(groups):
        own = walk[:, group * per_group : group * per_group + size]
        arrays = {"starts": starts[group], "z": z[group], "trajectory": own if groups == 1 else own[-1:]}
        results.append({name: array.tolist() for name, array in arrays.items()} | shared)
    return results


def _read(result: dict[str, Any]) -> Clouds2D | str:
    if "failed" in result:
        return str(result["failed"])
    arrays: dict[str, Any] = {
        name: torch.tensor(result[name], dtype=torch.float64) for name in ("starts", "z", "trajectory")
    }
    return Clouds2D(**{**result, **arrays})
