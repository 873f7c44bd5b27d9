"""Plan of the comparison on a known density: contests, their tasks and the seeds of tuning and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from jaxtyping import Int
from torch import Tensor

from modeseek.datasets.toy2d import ToyDataset2D
from modeseek.experiments.common.entries import check_least
from modeseek.experiments.known_density.grid import Grid
from modeseek.experiments.toy2d.entries import ToyEntry, ToyTask
from modeseek.experiments.toy2d.toy2d import Toy2DPlan
from modeseek.io.progress import run_to_result
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.blurred import BlurredClasses
from modeseek.rng import Streams, rand

Contest = Literal["calls", "steps", "samples", "edits"]
CONTESTS: tuple[Contest, ...] = ("calls", "steps", "samples", "edits")
"""Contests: NLL at equal prior calls, NLL at equal steps, law at equal prior calls, edits at equal prior calls."""
TUNING_STREAMS = 1_000_000  # first random stream of the tuning; the report has those from 0
_COUNTED = 100  # steps of the run on which prior calls are counted, at most
_UNLIMITED = 10**9  # prior calls per point of a run whose steps are given


@dataclass(frozen=True)
class Benchmark:
    """Comparison in which every method moves points at a budget, with a learning rate tuned on other seeds.

    Attributes:
        base: distribution, entries, budget of prior calls per point, label, scale, bandwidth, side of the starts' grid
            and random seed.
        steps: number of steps of every method at equal steps.
        seeds: number of seeds that are reported.
        grid: settings that are tried; None reports the defaults only.
        blur: standard deviation by which a class is convolved, units of z, where a method takes a negative prompt or
            the source of a bridge.
    """

    base: Toy2DPlan
    steps: int = 200
    seeds: int = 5
    grid: Grid | None = None
    blur: float = 0.5

    def __post_init__(self) -> None:
        check_least(2, steps=self.steps)
        check_least(1, seeds=self.seeds)
        if not 0 < self.blur < float("inf"):
            raise ValueError(f"blur must be positive and finite, got {self.blur}; try 0.5")

    @property
    def problem(self) -> ToyDataset2D:
        return self.base.problem

    @property
    def reported(self) -> tuple[int, ...]:
        """Random stream of each reported seed."""
        return tuple(range(self.seeds))

    @cached_property
    def blurred(self) -> Prior:
        """Prior of the methods that compare conditions: exact, with a blurred version of every class."""
        prior = self.problem.prior
        return BlurredClasses(prior, self.blur) if prior.n_classes else prior

    def entries(self, contest: Contest) -> tuple[ToyEntry, ...]:
        """Entries of a contest: editing also has the methods that take a source, and SDS, which takes none."""
        if contest != "edits":
            return tuple(entry for entry in self.base.entries if not entry.edits)
        if not any(entry.edits for entry in self.base.entries) or self.base.label != "each":
            return ()
        task = self.base.task(self.problem.prior)
        return tuple(e for e in self.base.entries if e.name == "sds" or "source" in e.algorithm(task).needs)

    def runs(self, contest: Contest, entry: ToyEntry) -> Contest:
        """Contest whose runs an entry shares: samples are those of equal calls; a reference has the same in each."""
        return "calls" if contest == "samples" or entry.descends is None else contest

    def task(self, contest: Contest, entry: ToyEntry, streams: tuple[int, ...], groups: int = 1) -> ToyTask:
        """Task of an entry.

        Args:
            contest: the contest.
            entry: the entry.
            streams: random stream of each cloud of points, in a group.
            groups: number of groups of clouds; a stream of its own for each cloud of each.
        """
        clouds = tuple(stream + group * len(streams) for group in range(groups) for stream in streams)
        task = replace(self._task(contest, entry, clouds), clouds=clouds)
        if contest == "steps":
            return replace(task, steps=self.steps, budget=_UNLIMITED)
        return replace(task, steps=self._affordable(contest, entry))

    def targets(self, contest: Contest) -> Int[Tensor, "n"] | None:
        """Target class of each point of a cloud, or None."""
        conditions = self._conditions(contest)
        return None if conditions is None else conditions.positive

    def _conditions(self, contest: Contest) -> Conditions | None:
        """Conditions of a cloud; a class that is edited is the opposite one, of equal number of components."""
        task = self.base.task(self.problem.prior)
        if task.conditions is None:
            return None
        target = task.conditions.positive
        opposite = (target + task.classes // 2) % task.classes
        bad = target + task.classes
        return replace(task.conditions, negative=bad, source=opposite if contest == "edits" else bad)

    def _task(self, contest: Contest, entry: ToyEntry, clouds: tuple[int, ...]) -> ToyTask:
        """Task with the starts of the clouds: a grid, each point moved at random in its cell, or samples to edit."""
        base, conditions = self.base.task(self.problem.prior), self._conditions(contest)
        exact, n, rng = self.problem.prior, len(base.starts), Streams(self.base.seed, items=clouds, use="starts")
        if conditions is not None:
            conditions = conditions.map(lambda part: part.repeat(len(clouds)), lambda weight: weight)
        if contest == "edits" and conditions is not None:
            starts = exact.sample(n * len(clouds), rng, conditions.source)
        else:
            cell = 2 * self.problem.extent / (self.base.side - 1)
            starts = base.starts.repeat(len(clouds), 1)
            starts = starts + cell * (rand(tuple(starts.shape), rng, starts) - 0.5)
        needs = entry.algorithm(base).needs
        prior = self.blurred if {"negative", "source"} & {*needs} else exact
        return replace(base, prior=prior, starts=starts, conditions=conditions, clouds=clouds)

    def _affordable(self, contest: Contest, entry: ToyEntry) -> int | None:
        """Number of steps that the budget allows, by the prior calls of a short run; None for a reference."""
        if entry.descends is None:
            return None
        task = self._task(contest, entry, (TUNING_STREAMS,))
        first, most = entry.check(task)
        counted = min(_COUNTED, 2 * (task.budget - first) // most)
        short = replace(task, steps=counted, budget=_UNLIMITED)
        each = (run_to_result(entry.run(short)).calls - first) / counted
        return int((task.budget - first) / each + 1e-9)


def tuning_streams(seeds: int) -> Sequence[int]:
    """Random streams of the tuning, none of which is reported."""
    return range(TUNING_STREAMS, TUNING_STREAMS + seeds)
