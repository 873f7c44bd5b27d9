"""Probability-flow distillation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from modeseek.diffusion.noise_levels import Switch, Times
from modeseek.diffusion.prediction import Prediction
from modeseek.methods.reverse_flow import flow_to_data
from modeseek.methods.sdi import SDI
from modeseek.priors.base import Conditions, Prior
from modeseek.sampling.samplers import dpmpp_2m


@dataclass(frozen=True)
class PFD(SDI):
    """PFD (Ramanan and Rajagopalan 2026, arXiv 2605.09071): `grad = z - z_hat`, z_hat by the probability flow from z_t.

    z_t is the DDIM inversion of z up to t, as in SDI. SDI's target is the posterior mean at z_t, one Euler step of the
    reverse flow over all remaining noise; here the reverse flow of the guided prior is integrated down to t = 0 in
    `steps` steps. `steps=1` is SDI. The authors show that its mean is a Wasserstein gradient of a divergence between
    the noised distributions of the renders and of the prior.

    For Gaussians with exact flows, `N(m, s^2)` of the inversion and `N(m_y, s_y^2)` of the target,
    `z_hat = m_y + s_y (z_t - alpha m_y) / S_y`, `z_t = alpha m + S (z - m) / s`, `S^2 = alpha^2 s^2 + sigma^2`: at
    high noise the optimal-transport map between them. With equal scales and conditions the direction vanishes as the
    steps grow.

    Costs `inversion_steps + steps` prior calls per row (with `heun` up to `inversion_steps + 2 steps`), twice that with
    guidance. Nothing is differentiated.

    Attributes:
        times: distribution of t in [0, 1], one draw per row (the authors: 0.02 to 0.98, later to 0.7).
        scale: classifier-free guidance scale of the reverse flow; 1 is no guidance.
        inversion_scale: classifier-free guidance scale of the inversion, negative so that its score is close to that
            of the renders; 1 is no guidance.
        inversion_steps: DDIM steps from 0 to t, >= 1.
        inversion_eta: share of fresh ancestral noise per inversion step, in [0, 1].
        steps: solver steps from t to 0, >= 1, evenly spaced in t; the last gives the posterior mean.
        sampler: solver of the reverse flow: dpmpp_2m (the authors'), ddim or heun.
    """

    references: ClassVar[tuple[str, ...]] = ("pfd", "sdi", "ddim")
    times: Times = Switch(0.02, 0.98, 0.7)
    inversion_scale: float = -6.5
    steps: int = 10
    sampler: Callable[..., Tensor] = dpmpp_2m

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1:
            raise ValueError(f"PFD steps must be >= 1, got {self.steps}; try 10, or 1, which is SDI")

    def _predict(self, z_t: Tensor, t: Tensor, prior: Prior, conditions: Conditions | None) -> Prediction:
        return flow_to_data(prior, z_t, t, self.steps, conditions, self.sampler)
