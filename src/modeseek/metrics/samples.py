"""Metrics of end points and of direction estimators."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.meanshift.modes import Modes
from modeseek.priors.base import DensityPrior
from modeseek.pytree import Cond


def nll(prior: DensityPrior, z: Float[Tensor, "b *d"], bandwidth: float = 0.0, cond: Cond = None) -> Float[Tensor, "b"]:
    """Negative log-likelihood `-log p_h(z)`, nats; p_h is the density blurred by `bandwidth` (0: unblurred mixture)."""
    alpha = z.new_ones(len(z))
    return -prior.evaluate(z, alpha, bandwidth * alpha, cond)[1]


class RealSamples:
    """Real samples to compare generated ones with; what all comparisons share is computed once.

    Args:
        samples: real samples, (n, *d).
        k: number of the neighbour to which the balls of precision and recall reach.
    """

    def __init__(self, samples: Float[Tensor, "n *d"], k: int = 5) -> None:
        self.samples, self.k = samples.flatten(1), k

    def precision_recall(self, generated: Float[Tensor, "m *d"]) -> tuple[float, float]:
        """Precision and recall: shares of `generated` on the real manifold and of the real on the generated one.

        A manifold is the union of balls around its points, each up to the k-th neighbour (Kynkaanniemi et al. 2019,
        arXiv 1904.06991). Points that collapsed onto each other have recall 0.

        Raises:
            ValueError: fewer than k + 1 points in either set.
        """
        real, generated = self.samples, generated.flatten(1)
        if min(len(real), len(generated)) <= self.k:
            raise ValueError(
                f"each set must have more than k={self.k} points, got {len(real)} and {len(generated)}; try a lower k"
            )
        across = _distances(generated, real)  # (m, n)
        precision = (across <= self._radius).any(1).double().mean().item()
        recall = (across <= _neighbour_distance(generated, self.k)[:, None]).any(0).double().mean().item()
        return precision, recall

    def mmd(self, generated: Float[Tensor, "m *d"]) -> float:
        """Maximum mean discrepancy (Gretton et al. 2012): root of the biased V-statistic, never negative.

        Kernel: the mean of Gaussians at 1/4, 1/2, 1, 2 and 4 times the median distance of the real samples.
        """
        median, within = self._kernel_statistics
        a, b = self.samples.double(), generated.flatten(1).double()
        other, across = (_mean_kernel(torch.cdist(x, b).square(), median) for x in (b, a))
        return math.sqrt(max(0.0, (within + other - 2 * across).item()))

    @cached_property
    def _radius(self) -> Float[Tensor, "n"]:
        return _neighbour_distance(self.samples, self.k)

    @cached_property
    def _kernel_statistics(self) -> tuple[Tensor, Tensor]:
        """Median of the squared distances, and mean of the kernel, within the real samples."""
        squares = torch.cdist(self.samples.double(), self.samples.double()).square()
        median = squares[~torch.eye(len(squares), dtype=torch.bool, device=squares.device)].median()
        return median, _mean_kernel(squares, median)


def mode_distance(z: Float[Tensor, "b *d"], modes: Float[Tensor, "m *d"]) -> Float[Tensor, "b"]:
    """Euclidean distance of each point to its nearest mode."""
    return _distances(z.flatten(1), modes.flatten(1).to(z)).amin(1)


def mode_coverage(z: Float[Tensor, "b *d"], modes: Modes, radius: float) -> float:
    """Share of the basin mass whose mode has a point within `radius`, in [0, 1]."""
    near = mode_distance(modes.z, z) <= radius
    return modes.weight[near].sum().item()


def _neighbour_distance(points: Float[Tensor, "n d"], k: int) -> Float[Tensor, "n"]:
    """Distance of each point to its k-th neighbour."""
    return _distances(points, points).kthvalue(k + 1, 1).values


def _mean_kernel(squares: Tensor, median: Tensor) -> Tensor:
    return torch.stack([torch.exp(-squares / (2 * median * s * s)) for s in (0.25, 0.5, 1.0, 2.0, 4.0)]).mean()


def _distances(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """Pairwise distances by subtraction: a matrix product rounds at 1e-8 of the coordinates in float64."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


@dataclass(frozen=True)
class DirectionError:
    """Error of a direction estimator over points, relative to the mean squared norm of the exact direction.

    Attributes:
        nmse: normalised mean squared error, `bias + variance`.
        bias: squared bias, corrected for the finite number of repeats; may be slightly negative.
        variance: variance of a single estimate.
    """

    nmse: float
    bias: float
    variance: float


def direction_error(estimates: Float[Tensor, "r b *d"], exact: Float[Tensor, "b *d"]) -> DirectionError:
    """Bias and variance of r repeated estimates; r >= 2 unless the estimator is deterministic."""
    flat, target = estimates.flatten(2).double(), exact.flatten(1).double()
    power = target.square().sum(1).mean()
    nmse = (flat - target).square().sum(2).mean() / power
    variance = flat.var(0).sum(1).mean() / power if len(flat) > 1 else torch.zeros_like(power)
    return DirectionError(nmse.item(), (nmse - variance).item(), variance.item())
