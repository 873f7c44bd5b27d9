"""Predictions at a noised point: posterior mean, posterior noise and the quantities derived from them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from modeseek.device import on_host


def expand_like(level: Shaped[Tensor, "b"], z: Float[Tensor, "b *d"]) -> Tensor:
    """Reshapes one number per row so that it multiplies the rows of z."""
    return level.reshape(-1, *(1,) * (z.ndim - 1))


@dataclass(frozen=True)
class Prediction:
    """Prediction of a prior: posterior mean `z` and posterior noise `eps` given `z_t = alpha z + sigma eps`.

    Both are kept: z cannot be had from eps at alpha = 0, nor eps from z accurately at small sigma.

    Attributes:
        z_t: noised point, (b, *d).
        alpha: signal scale, (b,).
        sigma: noise scale, (b,).
        z: posterior mean E[z | z_t], (b, *d).
        eps: posterior noise E[eps | z_t], (b, *d).
        clamped: True where the noise level lies outside the training range of the network, (b,).
    """

    z_t: Float[Tensor, "b *d"]
    alpha: Float[Tensor, "b"]
    sigma: Float[Tensor, "b"]
    z: Float[Tensor, "b *d"]
    eps: Float[Tensor, "b *d"]
    clamped: Bool[Tensor, "b"]

    @property
    def score(self) -> Tensor:
        """`grad log p_t(z_t) = -eps / sigma`; infinite or NaN at sigma = 0, where a score need not exist."""
        return -self.eps / expand_like(self.sigma, self.z_t)

    @property
    def v(self) -> Tensor:
        """`alpha eps - sigma z` (Salimans and Ho 2022, arXiv 2202.00512)."""
        return expand_like(self.alpha, self.z_t) * self.eps - expand_like(self.sigma, self.z_t) * self.z

    @property
    def flow(self) -> Tensor:
        """`eps - z`, the velocity of a rectified flow."""
        return self.eps - self.z

    @classmethod
    def from_z_and_eps(
        cls, z_t: Tensor, alpha: Tensor, sigma: Tensor, z: Tensor, eps: Tensor, clamped: Tensor | None = None
    ) -> Prediction:
        """Builds a prediction from posterior mean and posterior noise; `clamped` defaults to False."""
        if clamped is None:
            clamped = torch.zeros_like(alpha, dtype=torch.bool)
        return cls(z_t, alpha, sigma, z, eps, clamped)

    @classmethod
    def from_z(cls, z_t: Tensor, alpha: Tensor, sigma: Tensor, z: Tensor, clamped: Tensor | None = None) -> Prediction:
        """Builds a prediction from the posterior mean.

        `eps = (z_t - alpha z) / sigma`; 0, its limit for a smooth density, at sigma = 0.
        """
        a, s = expand_like(alpha, z_t), expand_like(sigma, z_t)
        eps = torch.where(s > 0, (z_t - a * z) / s.where(s > 0, torch.ones_like(s)), torch.zeros_like(z))
        return cls.from_z_and_eps(z_t, alpha, sigma, z, eps, clamped)

    @classmethod
    def from_eps(
        cls, z_t: Tensor, alpha: Tensor, sigma: Tensor, eps: Tensor, clamped: Tensor | None = None
    ) -> Prediction:
        """Builds a prediction from the noise: `z = (z_t - sigma eps) / alpha`.

        Raises:
            ValueError: alpha = 0 in some row, where the noise does not determine the signal.
        """
        if on_host(alpha) and (alpha == 0).any():
            raise ValueError("an eps prediction has no z at alpha = 0: got such a level; start below pure noise")
        a, s = expand_like(alpha, z_t), expand_like(sigma, z_t)
        return cls.from_z_and_eps(z_t, alpha, sigma, (z_t - s * eps) / a, eps, clamped)

    @classmethod
    def from_v(cls, z_t: Tensor, alpha: Tensor, sigma: Tensor, v: Tensor, clamped: Tensor | None = None) -> Prediction:
        """Builds a prediction from v.

        `z = (alpha z_t - sigma v) / n`, `eps = (sigma z_t + alpha v) / n`, `n = alpha^2 + sigma^2`.
        """
        a, s = expand_like(alpha, z_t), expand_like(sigma, z_t)
        n = a * a + s * s
        return cls.from_z_and_eps(z_t, alpha, sigma, (a * z_t - s * v) / n, (s * z_t + a * v) / n, clamped)

    @classmethod
    def from_flow(
        cls, z_t: Tensor, alpha: Tensor, sigma: Tensor, flow: Tensor, clamped: Tensor | None = None
    ) -> Prediction:
        """Builds a prediction from the velocity of a rectified flow.

        `z = (z_t - sigma u) / n`, `eps = (z_t + alpha u) / n`, `u = eps - z`, `n = alpha + sigma`.
        """
        a, s = expand_like(alpha, z_t), expand_like(sigma, z_t)
        n = a + s
        return cls.from_z_and_eps(z_t, alpha, sigma, (z_t - s * flow) / n, (z_t + a * flow) / n, clamped)

    def tilt(self, drift: Float[Tensor, "b *d"]) -> Prediction:
        """Adds `drift` to the score: `eps - sigma drift`, `z + sigma^2 drift / alpha`.

        Raises:
            ValueError: alpha = 0 in some row whose drift is not 0.
        """
        a, s = expand_like(self.alpha, self.z_t), expand_like(self.sigma, self.z_t)
        no_signal = a == 0
        if on_host(drift) and (no_signal & (drift != 0)).any():
            raise ValueError("a drift has no effect on z at alpha = 0: got such a level; start below pure noise")
        z = self.z + torch.where(
            no_signal, torch.zeros_like(drift), s * s * drift / a.where(~no_signal, torch.ones_like(a))
        )
        return type(self)(self.z_t, self.alpha, self.sigma, z, self.eps - s * drift, self.clamped)
