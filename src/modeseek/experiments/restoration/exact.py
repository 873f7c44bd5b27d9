"""Exact posterior of a kernel density estimate under a linear measurement: a Gaussian mixture of shared covariance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.priors.kernel_density import KernelDensity
from modeseek.rng import Rng, rand
from modeseek.sampling.posterior import Measurement


@dataclass(frozen=True)
class ExactPosterior:
    """Posterior of `z = z_i + b n` given `y = A z + s n`: `sum_i w_i N(z_i + K (y - A z_i), C)`.

    `K = b^2 A' (b^2 A A' + s^2 I)^-1`, `w_i ~ N(y; A z_i, b^2 A A' + s^2 I)`. Cost: one factorisation of A A'.

    Attributes:
        prior: kernel density estimate.
        measurement: measurement of z itself.
    """

    prior: KernelDensity
    measurement: Measurement

    @cached_property
    def components(self) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n d"]]:
        """Weights and means of the components, float64."""
        data = self.prior.empirical.data.double()
        operator, b, s = self.measurement.operator, self.prior.bandwidth, self.measurement.noise
        eye = torch.eye(data[0].numel(), dtype=torch.float64).reshape(-1, *data.shape[1:])
        matrix = operator(eye).flatten(1).T  # (e, d)
        law = b * b * matrix @ matrix.T + s * s * torch.eye(len(matrix), dtype=torch.float64)
        residual = self.measurement.y.double().flatten(1)[:, None] - data.flatten(1) @ matrix.T  # (b, n, e)
        pull = torch.linalg.solve(law, residual.mT).mT
        weights = (-0.5 * (residual * pull).sum(-1)).softmax(-1)
        return weights, data.flatten(1) + b * b * pull @ matrix

    def mean(self) -> Float[Tensor, "b *d"]:
        """Posterior mean."""
        weights, means = self.components
        z = torch.einsum("bn,bnd->bd", weights, means)
        return z.reshape(-1, *self.prior.shape).to(self.measurement.y)

    def sample(self, rng: Rng) -> Float[Tensor, "b *d"]:
        """One draw for each measurement: a datum by its weight, then its Gaussian."""
        weights, _ = self.components
        u = rand((len(weights), 1), rng, weights)
        index = torch.searchsorted(weights.cumsum(1), u)[:, 0].clamp(max=weights.shape[1] - 1)
        data = self.prior.empirical.data[index]
        return self.measurement.sample(data, torch.full((len(data),), self.prior.bandwidth), rng)
