"""How good end points are, and how good a direction is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.meanshift.modes import Modes
from modeseek.priors.base import DensityPrior
from modeseek.pytree import Cond


def nll(prior: DensityPrior, z: Float[Tensor, "b *d"], bandwidth: float = 0.0, cond: Cond = None) -> Float[Tensor, "b"]:
    """`-log p_h(z)` in nats, p_h the density blurred by `bandwidth` (0: the density itself, for mixtures)."""
    one = z.new_ones(len(z))
    return -prior.evaluate(z, one, bandwidth * one, cond)[1]


def precision_recall(real: Float[Tensor, "n *d"], generated: Float[Tensor, "m *d"], k: int = 5) -> tuple[float, float]:
    """Shares of `found` within the real manifold and of `real` within the found one.

    A manifold is the union of balls around its points that reach their k-th neighbour (Kynkaanniemi et al. 2019,
    arXiv 1904.06991). Points that collapsed onto each other have recall 0.

    Raises:
        ValueError: fewer than k + 1 points on either side.
    """
    a, b = real.flatten(1), generated.flatten(1)
    if min(len(a), len(b)) <= k:
        raise ValueError(f"precision_recall needs more than k={k} points a side: got {len(a)} and {len(b)}; lower k")
    radius_a, radius_b = (_distances(x, x).kthvalue(k + 1, 1).values for x in (a, b))
    across = _distances(b, a)  # (m, n)
    precision = (across <= radius_a).any(1).double().mean().item()
    recall = (across <= radius_b[:, None]).any(0).double().mean().item()
    return precision, recall


def mmd(real: Float[Tensor, "n *d"], generated: Float[Tensor, "m *d"]) -> float:
    """Maximum mean discrepancy (Gretton et al. 2012), the biased V-statistic's root, never negative.

    Kernel: the mean of Gaussians at 1/4, 1/2, 1, 2 and 4 times the median distance within `real`.
    """
    a, b = real.flatten(1).double(), generated.flatten(1).double()
    within, other, across = (torch.cdist(x, y).square() for x, y in ((a, a), (b, b), (a, b)))
    median = within[~torch.eye(len(a), dtype=torch.bool, device=a.device)].median()

    def kernel(squares: Tensor) -> Tensor:
        return torch.stack([torch.exp(-squares / (2 * median * s * s)) for s in (0.25, 0.5, 1.0, 2.0, 4.0)]).mean()

    return math.sqrt(max(0.0, (kernel(within) + kernel(other) - 2 * kernel(across)).item()))


def mode_distance(z: Float[Tensor, "b *d"], modes: Float[Tensor, "m *d"]) -> Float[Tensor, "b"]:
    """Distance of each point to its nearest mode."""
    return _distances(z.flatten(1), modes.flatten(1).to(z)).amin(1)


def mode_coverage(z: Float[Tensor, "b *d"], modes: Modes, radius: float) -> float:
    """Share of the basins' mass whose mode has a point within `radius`."""
    near = mode_distance(modes.z, z) <= radius
    return modes.weight[near].sum().item()


def _distances(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """By subtraction: the matrix product's round-off, 1e-8 of the coordinates in float64, would hide what is closer."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


@dataclass(frozen=True)
class DirectionError:
    """Error of a direction estimator against the exact direction, over points; all relative to `mean |exact|^2`.

    Attributes:
        nmse: mean squared error.
        bias: squared bias, corrected for the finite number of repeats (may be slightly negative).
        variance: of one estimate.
    """

    nmse: float
    bias: float
    variance: float


def direction_error(estimates: Float[Tensor, "r b *d"], exact: Float[Tensor, "b *d"]) -> DirectionError:
    """Splits the error of r repeated estimates into bias and variance; r >= 2 unless the estimator has no noise."""
    flat, truth = estimates.flatten(2).double(), exact.flatten(1).double()
    power = truth.square().sum(1).mean()
    nmse = (flat - truth).square().sum(2).mean() / power
    variance = flat.var(0).sum(1).mean() / power if len(flat) > 1 else torch.zeros_like(power)
    return DirectionError(nmse.item(), (nmse - variance).item(), variance.item())
