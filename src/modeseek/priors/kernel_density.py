"""Kernel density estimate of a data set as a prior: exact denoiser and density at every noise level."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.schedule import Schedule
from modeseek.priors.base import BasePrior, PerRow, Rows
from modeseek.priors.empirical import Empirical
from modeseek.pytree import Cond
from modeseek.rng import Rng, randn


class KernelDensity(BasePrior):
    """Kernel density estimate `p(z) = mean_i N(z; z_i, b^2 I)`: the empirical prior, convolved with a Gaussian.

    At a level (alpha, sigma) it is the empirical one at noise `v = sqrt(sigma^2 + alpha^2 b^2)`, whose prediction (x,
    eps) gives `E[z | z_t] = x + (alpha b^2 / v) eps` and `E[eps | z_t] = (sigma / v) eps`, exactly. One call of it.

    Args:
        data: data set, (n, *d), finite.
        bandwidth: b, standard deviation of the kernel, > 0.
        schedule: native noise schedule; default `VP()`.
        labels: class of each datum, (n,) integers >= 0; cond is then labels (b,), -1 for the whole set.

    Raises:
        ValueError: a bandwidth that is not positive and finite, or data that `Empirical` refuses.
    """

    def __init__(
        self, data: Tensor, bandwidth: float, schedule: Schedule | None = None, labels: Tensor | None = None
    ) -> None:
        if not 0 < bandwidth < float("inf"):
            raise ValueError(f"bandwidth must be positive and finite, got {bandwidth}; try a share of the spread")
        self.empirical, self.bandwidth = Empirical(data, schedule, labels), bandwidth
        self.schedule = self.empirical.schedule
        self.shape, self.dtype, self.device = self.empirical.shape, self.empirical.dtype, self.empirical.device

    @property
    def n_classes(self) -> int:
        return self.empirical.n_classes

    def at(self, z_t: Rows, alpha: PerRow, sigma: PerRow, cond: Cond = None) -> Prediction:
        return self.evaluate(z_t, alpha, sigma, cond)[0]

    def evaluate(
        self, z_t: Rows, alpha: PerRow, sigma: PerRow, cond: Cond = None
    ) -> tuple[Prediction, Float[Tensor, "b"]]:
        """Returns the prediction and `log p(z_t)` at that level; one prior call per row."""
        v = torch.hypot(sigma, alpha * self.bandwidth)
        inner, log_p = self.empirical.evaluate(z_t, alpha, v, cond)
        z = inner.z + expand_like(alpha * self.bandwidth**2 / v, z_t) * inner.eps
        return Prediction.from_z_and_eps(z_t, alpha, sigma, z, expand_like(sigma / v, z_t) * inner.eps), log_p

    def sample(self, n: int, rng: Rng, cond: Cond = None) -> Float[Tensor, "n *d"]:
        """Draws n independent samples: data with replacement, with kernel noise."""
        z = self.empirical.sample(n, rng, cond)
        return z + self.bandwidth * randn(tuple(z.shape), rng, z)
