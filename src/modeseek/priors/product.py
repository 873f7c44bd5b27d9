"""Product of a prior and a Gaussian kernel, as a prior: the density whose mean is the mean-shift target."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.device import on_host
from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.schedule import Schedule
from modeseek.priors.base import PerRow, Prior, Rows
from modeseek.priors.wrapper import PriorWrapper
from modeseek.pytree import Cond
from modeseek.rng import Rng, randn


@dataclass(frozen=True)
class Product(PriorWrapper):
    """Product prior `q(y) ~ p(y) N(y; c, h^2 I)`: the density whose mean is the mean-shift target D(c; h).

    Completing the square, q's denoiser is one call of p's, exactly, at any (alpha, sigma). With
    `v = sigma^2 + alpha^2 h^2`, merged point `m = (sigma^2 c + alpha h^2 z_t) / v`, noise `s = sigma h / sqrt(v)`,

        E_q[y | z_t]   = D(m; s)
        E_q[eps | z_t] = sigma (z_t - alpha c) / v + (alpha h / sqrt(v)) eps_p(m; s).

    The merged level is never noisier than h, so a network trained on noise up to h stays within its training range.
    One call of the inner prior per row.

    Attributes:
        prior: p, guided or bare.
        center: c, kernel center, (b, *d) or (1, *d).
        bandwidth: h, kernel standard deviation in units of z, > 0; a number, or one per row, (b,).
        sampling_schedule: noise schedule to sample along; None is the prior's.
    """

    prior: Prior
    center: Float[Tensor, "b *d"]
    bandwidth: float | Float[Tensor, "b"]
    sampling_schedule: Schedule | None = None

    def __post_init__(self) -> None:
        h = self._bandwidth()
        if h.ndim > 1 or (on_host(h) and not ((h > 0) & h.isfinite()).all()):
            raise ValueError(
                f"bandwidth must be positive and finite, one number or one per row, got {self.bandwidth}; "
                "try a share of ms.bandwidths.prior_scale(prior)"
            )

    @property
    def schedule(self) -> Schedule:
        return self.prior.schedule if self.sampling_schedule is None else self.sampling_schedule

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.center.shape[1:])

    @property
    def dtype(self) -> torch.dtype:
        return self.center.dtype

    @property
    def device(self) -> torch.device:
        return self.center.device

    def at(self, z_t: Rows, alpha: PerRow, sigma: PerRow, cond: Cond = None) -> Prediction:
        h = self._bandwidth().to(alpha)
        v = sigma**2 + (alpha * h) ** 2
        c, a, s = self.center.to(z_t), expand_like(alpha, z_t), expand_like(sigma, z_t)
        merged = (s * s * c + expand_like(alpha * h * h, z_t) * z_t) / expand_like(v, z_t)
        inner = self.prior.at(merged, torch.ones_like(alpha), sigma * h / v.sqrt(), cond)
        pull = expand_like(sigma / v, z_t) * (z_t - a * c)
        eps = pull + expand_like(alpha * h / v.sqrt(), z_t) * inner.eps
        return Prediction.from_z_and_eps(z_t, alpha, sigma, inner.z, eps, inner.clamped)

    def grid(self, n: int) -> Float[Tensor, "m"]:
        """Returns n + 1 descending times from 1 to 0 of its own schedule."""
        return super(PriorWrapper, self).grid(n)

    def start(self, n: int, rng: Rng) -> Float[Tensor, "n *d"]:
        """Draws z_t at times[0]; n must be the number of centers or a multiple of it (consecutive rows share one)."""
        return self.noise_center(randn((n, *self.shape), rng, self.center))

    def noise_center(self, noise: Float[Tensor, "n *d"]) -> Float[Tensor, "n *d"]:
        """Returns points of q's noised law at times[0], to first order; exact at alpha = 0.

        `alpha c + sqrt(sigma^2 + alpha^2 h^2) noise`, noise standard normal.
        """
        c, h, n = self.center, self._bandwidth(), len(noise)
        if n % len(c):
            raise ValueError(f"{n} samples cannot be shared by {len(c)} centers: pass a multiple of {len(c)}")
        alpha, sigma = self.schedule(torch.ones(len(c), dtype=c.dtype, device=c.device))
        spread = expand_like((sigma**2 + (alpha * h) ** 2).sqrt(), c).expand_as(c)
        rows = n // len(c)
        return (expand_like(alpha, c) * c).repeat_interleave(rows, 0) + spread.repeat_interleave(rows, 0) * noise

    def _bandwidth(self) -> Tensor:
        return torch.as_tensor(self.bandwidth, dtype=self.center.dtype, device=self.center.device)
