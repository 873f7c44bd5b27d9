"""Scores of end points in the contests: means over seeds with 95 % intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.experiments.known_density.jobs import Clouds2D
from modeseek.experiments.known_density.plan import Benchmark, Contest
from modeseek.experiments.toy2d.benchmark import metric
from modeseek.experiments.toy2d.toy2d_metrics import METRICS as SAMPLING
from modeseek.experiments.toy2d.toy2d_metrics import EndPoints, GroundTruth
from modeseek.metrics.samples import mode_distance, nll
from modeseek.pytree import expand
from modeseek.reports.metric import Metric
from modeseek.reports.table import Column, row_values

Score = Callable[[Contest, Tensor], float]
"""Score of the end points of a cloud in a contest; lower is better."""
_STEP = ("bias", "variance", "nmse")  # metrics of a single step, which do not depend on the run


def law_distance(points: EndPoints) -> float:
    """Kolmogorov-Smirnov distance between the laws of the distance to the nearest mode: end points against samples."""
    modes = points.truth.modes.z
    ours, real = (mode_distance(z, modes).sort().values for z in (points.z, points.truth.samples))
    at = torch.cat([ours, real])
    shares = (torch.searchsorted(values, at, right=True) / len(values) for values in (ours, real))
    return torch.stack(list(shares)).diff(dim=0).abs().max().item()


SAMPLING_METRICS: tuple[Metric[EndPoints], ...] = (
    *(m for m in SAMPLING if m.key not in _STEP),
    metric("law", "Law error", "Kolmogorov-Smirnov distance, in [0, 1], between the laws of the distance to the "
           "nearest mode, of end points and of true samples: 1 where all lie on modes.", ".3f", law_distance, "low"),
)  # fmt: skip


@dataclass(frozen=True)
class Edited:
    """Points of one cloud before and after an edit.

    Attributes:
        plan: the plan.
        starts: points of the source class, (n, 2).
        z: end points, (n, 2).
    """

    plan: Benchmark
    starts: Float[Tensor, "n 2"]
    z: Float[Tensor, "n 2"]

    @property
    def nll(self) -> float:
        """NLL under the target class."""
        return mean_nll(self.plan, "edits", self.z[None]).item()

    @cached_property
    def displacement(self) -> float:
        """Root mean squared deviation from the common displacement of a class, relative to that of its samples."""
        targets = self.plan.targets("edits")
        if targets is None:
            raise ValueError("an edit needs classes, got a problem without; try --problem ring")
        spread, moved = (_deviation(points, targets) for points in (self.starts, self.z - self.starts))
        return (moved / spread) ** 0.5


EDIT_METRICS: tuple[Metric[Edited], ...] = (
    metric("nll", "NLL of the target", "Mean negative log-likelihood of the end points under the target class, in "
           "nats; samples of it are the reference row.", ".3f", lambda edited: edited.nll, "low"),
    metric("moved", "Position error", "Root mean squared deviation of the points from the mean displacement of their "
           "class, relative to the deviation of its samples: 0 keeps every point's place within the class, 1 loses it "
           "by a collapse onto one point.", ".3f", lambda edited: edited.displacement, "low"),
)  # fmt: skip
MAIN: dict[Contest, str] = {"calls": "nll", "steps": "nll", "samples": "law", "edits": "nll"}
"""Main metric of each contest, by which settings are chosen and rows are sorted; lower is better."""
COLUMNS = (
    Column("calls", "Calls", "Prior calls per point.", ".0f"),
    Column("steps", "Steps", "Optimizer steps.", ".0f"),
    Column("updates", "Updates", "Updates of an auxiliary network; they are no prior calls.", ".0f"),
)


def tuning_score(plan: Benchmark, truth: GroundTruth) -> Score:
    """Main metric of the contest on a cloud."""

    def score_cloud(contest: Contest, z: Tensor) -> float:
        points = EndPoints(z, truth, None, plan.problem.prior)
        return law_distance(points) if contest == "samples" else mean_nll(plan, contest, z[None]).item()

    return score_cloud


def mean_nll(plan: Benchmark, contest: Contest, z: Float[Tensor, "c n 2"]) -> Float[Tensor, "c"]:
    """Mean NLL of each cloud, under the target class for edits and under the scored density otherwise."""
    targets = plan.targets("edits") if contest == "edits" else plan.base.cond
    cond = expand(targets, z.shape[1]) if targets is not None else None
    return torch.stack([nll(plan.problem.prior, cloud, cond=cond).mean() for cloud in z])


def score(plan: Benchmark, contest: Contest, truth: GroundTruth, result: Clouds2D) -> dict[str, float]:
    """Values of a row: the mean of every metric over the seeds, with its interval, and the costs."""
    if contest == "edits":
        edited = [Edited(plan, *pair) for pair in zip(result.starts, result.z, strict=True)]
        values = _mean(EDIT_METRICS, edited, plan.base.seed)
    else:
        clouds = [EndPoints(z, truth, None, plan.problem.prior) for z in result.z]
        values = _mean(SAMPLING_METRICS, clouds, plan.base.seed)
    values["calls"] = result.calls
    if result.steps is not None:
        values["steps"] = float(result.steps)
    if result.updates:
        values["updates"] = float(result.updates)
    return values


def columns(contest: Contest) -> tuple[Column, ...]:
    """Columns of the table of a contest."""
    metrics: Sequence[Column] = EDIT_METRICS if contest == "edits" else SAMPLING_METRICS
    main = next(column for column in metrics if column.key == MAIN[contest])
    default = Column(
        f"{main.key}_default", f"{main.heading}, default", "Without tuning, with the default setting.", main.spec
    )
    return (main, default, *(column for column in metrics if column is not main), *COLUMNS)


def _mean(metrics: Sequence[Metric[Any]], subjects: Sequence[object], seed: int) -> dict[str, float]:
    estimates = {}
    for each in metrics:
        values = [found.value for subject in subjects if (found := each.evaluate(subject)) is not None]
        if len(values) == len(subjects):
            estimates[each.key] = each.mean(values, seed)
    return row_values(estimates)


def _deviation(points: Tensor, classes: Tensor) -> float:
    """Mean squared distance from the mean of the class."""
    parts = [points[classes == label] for label in classes.unique()]
    return sum((part - part.mean(0)).square().sum().item() for part in parts) / len(points)
