"""Distributions that several test files share, as an oracle's record and as a prior."""

from __future__ import annotations

import math

import torch
from oracles_shift import F64, Mixture

import modeseek as ms


def generator(seed: int = 0) -> torch.Generator:
    """A seeded generator."""
    return torch.Generator().manual_seed(seed)


def tensor(*values) -> torch.Tensor:
    """A float64 tensor."""
    return torch.tensor(values, dtype=F64)


def three_gaussians() -> Mixture:
    """Three anisotropic components in the plane."""
    means = tensor([-2.0, 0.5], [1.5, 1.0], [0.5, -2.0])
    covs = tensor([[0.5, 0.2], [0.2, 0.3]], [[0.25, -0.1], [-0.1, 0.6]], [[0.8, 0.0], [0.0, 0.2]])
    return Mixture(tensor(0.5, 0.3, 0.2), means, covs)


def gaussian_ring(weights: torch.Tensor, radius: float = 4.0, std: float = 0.3) -> Mixture:
    """Equal isotropic components on a circle."""
    k = len(weights)
    angle = torch.arange(k, dtype=F64) * (2 * math.pi / k)
    means = radius * torch.stack([angle.cos(), angle.sin()], 1)
    return Mixture(weights, means, (std**2 * torch.eye(2, dtype=F64)).expand(k, 2, 2))


def two_gaussians(gap: float = 3.0, std: float = 0.5) -> Mixture:
    """Two equal isotropic components, symmetric about the origin, which is a saddle point."""
    return Mixture(
        tensor(0.5, 0.5), tensor([-gap / 2, 0.0], [gap / 2, 0.0]), std**2 * torch.eye(2, dtype=F64).expand(2, 2, 2)
    )


def gaussian(mean: list[float], cov: list[list[float]]) -> Mixture:
    """One Gaussian."""
    return Mixture(tensor(1.0), tensor(mean), tensor(cov))


def prior_of(mixture: Mixture, schedule=None, labels: list[int] | None = None) -> ms.GaussianMixture:
    """The library's prior of an oracle's mixture."""
    label_tensor = None if labels is None else torch.tensor(labels)
    return ms.GaussianMixture(mixture.weights, mixture.means, mixture.covs.clone(), schedule, label_tensor)


def components(mixture: Mixture, rows: list[int]) -> Mixture:
    """Mixture of the selected components, weights renormalised to 1."""
    weights = mixture.weights[rows]
    return Mixture(weights / weights.sum(), mixture.means[rows], mixture.covs[rows])


def sample_mixture(mixture: Mixture, n: int, seed: int = 0) -> torch.Tensor:
    """Samples of a mixture, by Cholesky factors."""
    g = generator(seed)
    k = torch.multinomial(mixture.weights, n, replacement=True, generator=g)
    noise = torch.randn(n, mixture.means.shape[1], dtype=F64, generator=g)
    return mixture.means[k] + (torch.linalg.cholesky(mixture.covs)[k] @ noise[..., None])[..., 0]


SCHEDULES = {"VP": ms.VP(), "Cosine": ms.schedules.Cosine(), "Flow": ms.Flow(), "VE": ms.VE()}
