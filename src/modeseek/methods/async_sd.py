"""Asynchronous score distillation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.weighting import Weight, sigma_squared
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noising import add_noise, sample_noised
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.batched import Query, evaluate_batched
from modeseek.priors.guidance import require_unguided
from modeseek.rng import Rng, rand


@dataclass(frozen=True)
class AsyncSD:
    """ScaleDreamer (Ma et al. 2024, arXiv 2407.02040): `grad = w (eps_scale(z_t, t) - eps(z_u, u))`, u noisier than t.

    Where VSD trains a second network to tell what rendered images look like, this asks the same one at a later time
    `u = t + U shift (t - low)` with the same noise, U uniform in [0, 1): a network is a little worse there, as it is on
    renderings. The second branch is conditional and unguided. u never passes 1 (the original clamps t + 1 step into
    its table in two places, differently).

    3 calls a row, of a bare prior; 2 where there is nothing to guide (scale 1, or no conditions).

    Attributes:
        times: of the first branch, per row.
        weight: w(alpha, sigma) at t.
        scale: guidance of the first branch.
        shift: how much later the second branch may be asked, as a share of `t - low`.
        low: time at and below which both branches share their level.
    """

    times: Times = Uniform(0.02, 0.98)
    weight: Weight = sigma_squared
    scale: float = 7.5
    shift: float = 0.1
    low: float = 0.02

    def __post_init__(self) -> None:
        if not self.shift >= 0 or not 0 <= self.low <= 1:
            raise ValueError(
                f"AsyncSD needs shift >= 0 and low in [0, 1]: got {self.shift} and {self.low}; the authors: 0.1, 0.02"
            )

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        require_unguided(prior, "AsyncSD")

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
        """The direction; no state.

        Raises:
            TypeError: the prior is guided already.
            ValueError: guidance without a null or negative condition.
        """
        require_unguided(prior, "AsyncSD")
        z = z.detach()
        at = sample_noised(z, prior, self.times, progress, rng)
        reach = torch.minimum(self.shift * (at.t - self.low).clamp(min=0), 1 - at.t)
        u = at.t + reach * rand((len(z),), rng, z)
        later = prior.schedule(u)
        target = None if conditions is None else conditions.positive
        questions: list[Query] = [
            (at.z_t, at.alpha, at.sigma, target),
            (add_noise(z, at.eps, *later), *later, target),
        ]
        if conditions is not None and self.scale != 1:
            questions.append((at.z_t, at.alpha, at.sigma, conditions.baseline))
        first, second, *base = evaluate_batched(prior, questions)
        eps = base[0].eps + self.scale * (first.eps - base[0].eps) if base else first.eps
        grad = expand_like(self.weight(at.alpha, at.sigma), z) * (eps - second.eps)
        return Direction(grad, t=at.t, eps=at.eps, prediction=first, logs={"t": at.t, "t_later": u}), None
