"""Score distillation via inversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Annealed, Times
from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noising import add_noise
from modeseek.methods.reverse_flow import even_times
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.guidance import require_unguided, with_guidance
from modeseek.rng import Rng, randn
from modeseek.sampling.samplers import level_pairs, snr_ratio


@dataclass(frozen=True)
class SDI:
    """SDI (Lukoianov et al. 2024, arXiv 2405.15891): `grad = z - z_hat(z_t)`, z_t from DDIM inversion of z up to t.

    Inversion and prediction use separate guidance scales on an unguided prior; without conditions both are unguided.
    Each row is inverted from 0 to exactly its own t, where the network is evaluated: the original evaluates at
    another level than it inverted to, and cannot take a batch. Costs `inversion_steps + 1` prior calls per row, twice
    that with guidance.

    Attributes:
        times: t in [0, 1] per row as a function of progress (the authors: 0.98 to 0.25, linearly, in 3-D).
        scale: classifier-free guidance scale of the prediction; 1 is no guidance.
        inversion_scale: classifier-free guidance scale of the inversion; 1 is no guidance.
        inversion_steps: DDIM steps from 0 to t, >= 1.
        inversion_eta: share of fresh ancestral noise per inversion step, in [0, 1] (the authors: 0.3 in 3-D).
    """

    references: ClassVar[tuple[str, ...]] = ("sdi", "ddim")
    guides: ClassVar[bool] = True
    has_target: ClassVar[bool] = True
    times: Times = Annealed(0.98, 0.25)
    scale: float = 7.5
    inversion_scale: float = -7.5
    inversion_steps: int = 10
    inversion_eta: float = 0.0

    def __post_init__(self) -> None:
        if self.inversion_steps < 1 or not 0 <= self.inversion_eta <= 1:
            raise ValueError(
                f"{type(self).__name__} needs inversion_steps >= 1 and inversion_eta in [0, 1], got "
                f"{self.inversion_steps} and {self.inversion_eta}"
            )

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        require_unguided(prior, type(self).__name__)

    def step(
        self,
        z: Float[Tensor, "b *d"],
        prior: Prior,
        state: None,
        *,
        conditions: Conditions | None = None,
        progress: float,
        rng: Rng,
        context: RenderContext | None = None,
    ) -> tuple[Direction, None]:
        """Returns the direction at z; the state is None.

        Raises:
            TypeError: the prior is already guided.
        """
        require_unguided(prior, type(self).__name__)
        z, t = z.detach(), self.times(progress, len(z), rng).to(z, non_blocking=True)
        z_t = self._invert(z, t, with_guidance(prior, self.inversion_scale, conditions), conditions, rng)
        prediction = self._predict(z_t, t, with_guidance(prior, self.scale, conditions), conditions)
        return Direction(z - prediction.z, t=t, prediction=prediction, weight=torch.ones_like(t), logs={"t": t}), None

    def _invert(self, z: Tensor, t: Tensor, prior: Prior, conditions: Conditions | None, rng: Rng) -> Tensor:
        """Returns z_t, from z by inversion up to t of each row."""
        z_t = z
        for noisy, clean in reversed(list(level_pairs(prior, z, even_times(t, self.inversion_steps)))):
            p = prior.at(z_t, *clean, conditions)
            fresh = self.inversion_eta * clean[1] * torch.sqrt(1 - snr_ratio(noisy, clean))
            predicted_std = torch.sqrt((noisy[1] ** 2 - fresh**2).clamp(min=0))
            z_t = add_noise(p.z, p.eps, noisy[0], predicted_std)
            if self.inversion_eta > 0:
                z_t = z_t + expand_like(fresh, z) * randn(tuple(z.shape), rng, z)
        return z_t

    def _predict(self, z_t: Tensor, t: Tensor, prior: Prior, conditions: Conditions | None) -> Prediction:
        """Returns the prediction whose z is the target."""
        return prior.at(z_t, *prior.schedule(t), conditions)
