"""2-D distributions with exact density, score and modes at every noise level."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.schedule import VE
from modeseek.priors.gaussian_mixture import GaussianMixture

_SCHEDULE = VE(0.002, 5.0)


@dataclass(frozen=True)
class ToyDataset2D:
    """2-D toy dataset: a Gaussian mixture with a name and a drawing range.

    Attributes:
        name: name in files and tables.
        prior: exact prior, float64.
        extent: half the side of the square to draw, units of z.
    """

    name: str
    prior: GaussianMixture
    extent: float

    @property
    def bandwidth(self) -> float:
        """Smallest standard deviation of any component: the finest scale of structure, units of z."""
        return torch.linalg.eigvalsh(self.prior.covs).min().sqrt().item()

    def grid(self, side: int) -> Float[Tensor, "n 2"]:
        """Regular grid of side^2 points over the square to draw."""
        ticks = torch.linspace(-self.extent, self.extent, side, dtype=torch.float64)
        return torch.cartesian_prod(ticks, ticks)


def fractal(depth: int = 6) -> ToyDataset2D:
    """Two classes, each a tree of ever finer branches with two elongated Gaussians per branch.

    Own construction in the spirit of Karras et al. 2024 (arXiv 2406.02507): much mass in fine structure, so that
    a blurred density has its modes in the wrong places.
    """
    means, covs, weights, labels = [], [], [], []
    for label, heading in enumerate((0.35 * math.pi, 1.35 * math.pi)):
        branches = [(torch.zeros(2, dtype=torch.float64), heading + 0.12, 0.62, 1.0)]
        for _ in range(depth):
            next_branches = []
            for root, angle, length, weight in branches:
                along = _direction(angle)
                for position in (0.3, 0.78):
                    means.append(root + position * length * along)
                    covs.append(_covariance(along, 0.17 * length, 0.055 * length))
                    weights.append(weight * (0.6 if position < 0.5 else 0.4))
                    labels.append(label)
                tip = root + length * along
                next_branches.append((tip, angle + 0.62, 0.74 * length, 0.44 * weight))
                next_branches.append((tip, angle - 0.80, 0.66 * length, 0.36 * weight))
            branches = next_branches
    return _standardized("fractal", means, covs, weights, labels)


def spiral(turns: float = 2.25, n: int = 96) -> ToyDataset2D:
    """One spiral arm of isotropic Gaussians, densest at its middle and narrower than the gap between turns."""
    s = torch.linspace(0.12, 1, n, dtype=torch.float64).sqrt()
    angle = 2 * math.pi * turns * s
    means = 1.5 * s[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    covs = [0.05**2 * torch.eye(2, dtype=torch.float64)] * n
    return _standardized("spiral", list(means), covs, [1.0] * n, None)


def pinwheel(blades: int = 5, n: int = 12) -> ToyDataset2D:
    """Blades that bend with the radius and widen outwards; one class per blade."""
    means, covs, weights, labels = [], [], [], []
    for blade in range(blades):
        for s in torch.linspace(0, 1, n, dtype=torch.float64).tolist():
            radius, angle = 0.25 + 1.25 * s, 2 * math.pi * blade / blades + 1.1 * s
            along = _direction(angle)
            means.append(radius * along)
            covs.append(_covariance(along, 0.08, 0.04 + 0.1 * s))
            weights.append(math.exp(-((s - 0.45) ** 2) / 0.12))
            labels.append(blade)
    return _standardized("pinwheel", means, covs, weights, labels)


def ring(n: int = 8, radius: float = 1.3, width: float = 0.12) -> ToyDataset2D:
    """Equal Gaussians on a circle, one class each: all modes are known until a bandwidth merges them."""
    angle = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
    means = radius * torch.stack([angle.cos(), angle.sin()], 1)
    covs = [width**2 * torch.eye(2, dtype=torch.float64)] * n
    return _standardized("ring", list(means), covs, [1.0] * n, list(range(n)))


def grid(side: int = 5) -> ToyDataset2D:
    """Square grid of Gaussians of different shapes, weights spanning a factor of 20."""
    means, covs, weights = [], [], []
    for i in range(side):
        for j in range(side):
            number = i * side + j
            means.append(torch.tensor([i, j], dtype=torch.float64) * 0.7 - 0.35 * (side - 1))
            covs.append(_covariance(_direction(2.4 * number), 0.05 + 0.06 * ((7 * number) % side) / side, 0.05))
            weights.append(20 ** (((11 * number) % (side * side)) / (side * side - 1)))
    return _standardized("grid", means, covs, weights, None)


def _direction(angle: float) -> Float[Tensor, "2"]:
    return torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)


def _covariance(along: Float[Tensor, "2"], length: float, width: float) -> Float[Tensor, "2 2"]:
    """Covariance of standard deviations `length` along a direction and `width` across it."""
    across = torch.stack([-along[1], along[0]])
    return length**2 * torch.outer(along, along) + width**2 * torch.outer(across, across)


def _standardized(
    name: str, means: list[Tensor], covs: list[Tensor], weights: list[float], labels: list[int] | None
) -> ToyDataset2D:
    """Mixture with weights that sum to 1, zero mean, and unit variance per coordinate on average."""
    w = torch.tensor(weights, dtype=torch.float64)
    w = w / w.sum()
    mu, cov = torch.stack(means), torch.stack(covs)
    mu = mu - w @ mu
    total = torch.einsum("k,kij->ij", w, cov + mu[:, :, None] * mu[:, None, :])
    scale = (total.diagonal().mean()).rsqrt()
    mu, cov = mu * scale, cov * scale**2
    class_labels = None if labels is None else torch.tensor(labels)
    extent = mu.abs().max() + 3 * torch.linalg.eigvalsh(cov).max().sqrt()
    return ToyDataset2D(name, GaussianMixture(w, mu, cov, _SCHEDULE, class_labels), extent.item())
