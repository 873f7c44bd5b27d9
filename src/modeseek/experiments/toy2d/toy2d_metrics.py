"""Metrics of end points on a 2-D distribution, against its density, samples and modes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.toy2d import ToyDataset2D
from modeseek.experiments.toy2d.benchmark import metric
from modeseek.experiments.toy2d.direction_error import measure_direction
from modeseek.meanshift.modes import Modes
from modeseek.methods.base import Method
from modeseek.metrics.samples import DirectionError, RealSamples, mode_coverage, mode_distance, nll
from modeseek.priors.base import Prior
from modeseek.pytree import Cond, expand
from modeseek.reports.metric import Metric
from modeseek.rng import Streams

_REAL = 2000  # true samples of recall and MMD
_PROBES = (200, 12)  # points and repeats of the direction error


@dataclass(frozen=True)
class GroundTruth:
    """Ground truth of a 2-D benchmark.

    Attributes:
        problem: the distribution.
        cond: condition with a leading axis of 1, or None where unconditional.
        h: last bandwidth, at which modes are scored.
        modes: modes of the exact p_h.
        samples: true samples, (n, 2).
        seed: random seed of the direction error.
    """

    problem: ToyDataset2D
    cond: Cond
    h: float
    modes: Modes
    samples: Float[Tensor, "n 2"]
    seed: int

    @classmethod
    def draw(cls, problem: ToyDataset2D, cond: Cond, h: float, modes: Modes, seed: int) -> GroundTruth:
        """Ground truth with 2,000 true samples."""
        samples = problem.prior.sample(_REAL, Streams(seed, step=1), expand(cond, _REAL))
        return cls(problem, cond, h, modes, samples, seed)

    @cached_property
    def real(self) -> RealSamples:
        return RealSamples(self.samples)

    @property
    def middle(self) -> float:
        """Bandwidth of the direction error and of the drawn objectives: between h and the width of the whole."""
        return math.sqrt(self.h)


@dataclass(frozen=True)
class EndPoints:
    """End points of an entry, to be scored.

    Attributes:
        z: end points, (n, 2).
        truth: ground truth.
        method: method whose direction is measured, or None.
        prior: prior that the method saw.
    """

    z: Float[Tensor, "n 2"]
    truth: GroundTruth
    method: Method | None
    prior: Prior

    @property
    def nll(self) -> float:
        cond = expand(self.truth.cond, len(self.z))
        return nll(self.truth.problem.prior, self.z, cond=cond).mean().item()

    @cached_property
    def precision_recall(self) -> tuple[float, float]:
        return self.truth.real.precision_recall(self.z)

    @property
    def found(self) -> int:
        """Number of true modes with an end point within h/2."""
        return int((mode_distance(self.truth.modes.z, self.z) <= self.truth.h / 2).sum())

    @property
    def spread(self) -> float:
        """Mean squared distance to the nearest true mode, relative to that of true samples."""
        points, real = (mode_distance(z, self.truth.modes.z).square().mean() for z in (self.z, self.truth.samples))
        return (points / real).item()

    @cached_property
    def direction(self) -> DirectionError | None:
        """Error of a single step, None where the method has no direction at one bandwidth."""
        if self.method is None:
            return None
        truth, (n, repeats) = self.truth, _PROBES
        noise = torch.randn(n, 2, generator=torch.Generator().manual_seed(truth.seed), dtype=self.z.dtype)
        return measure_direction(
            self.method,
            self.prior,
            truth.problem.prior,
            truth.samples[:n] + truth.middle * noise,
            truth.middle,
            repeats,
            cond=expand(truth.cond, n),
            rng=Streams(truth.seed, step=2),
        )


METRICS: tuple[Metric[EndPoints], ...] = (
    metric("nll", "NLL", "Mean negative log-likelihood of the end points under the true density, in nats.", ".3f",
           lambda points: points.nll, "low"),
    metric("precision", "Precision",
           "Share of the end points within the manifold of true samples (balls to the 5th neighbour).", ".3f",
           lambda points: points.precision_recall[0], "high", ("precision-recall",)),
    metric("recall", "Recall",
           "Share of the true samples within the manifold of end points. Mode seeking trades it away by design.", ".3f",
           lambda points: points.precision_recall[1], "high", ("precision-recall",)),
    metric("mmd", "MMD", "Maximum mean discrepancy to the true samples.", ".3f",
           lambda points: points.truth.real.mmd(points.z), "low", ("mmd",)),
    metric("distance", "Mode distance / h",
           "Median distance of the end points to the nearest true mode of p_h, in units of the last bandwidth h.",
           ".2g", lambda points: mode_distance(points.z, points.truth.modes.z).median().item() / points.truth.h, "low"),
    metric("coverage", "Mass found", "Share of basin mass whose mode of p_h has an end point within h/2.", ".3f",
           lambda points: mode_coverage(points.z, points.truth.modes, points.truth.h / 2), "high"),
    metric("found", "Modes", "Number of true modes of p_h with an end point within h/2.", ".0f",
           lambda points: points.found, "high"),
    metric("spread", "Spread", "Mean squared distance to the nearest true mode, relative to true samples: 1 matches "
           "them, 0 is collapse onto the modes.", ".2g", lambda points: points.spread),
    metric("bias", "Step bias", "Squared bias of one step against the exact direction, relative.", ".2g",
           lambda points: points.direction and points.direction.bias),
    metric("variance", "Step variance", "Variance of one step, relative to the exact direction's square.", ".2g",
           lambda points: points.direction and points.direction.variance),
    metric("nmse", "Step NMSE", "Normalised mean squared error of one step: bias and variance together.", ".2g",
           lambda points: points.direction and points.direction.nmse, "low"),
)  # fmt: skip
