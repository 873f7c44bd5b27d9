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

    Where VSD trains a second network on the rendered images, this evaluates the prior itself at a later time
    `u = t + U shift (t - low)` with the same noise, U uniform in [0, 1): the network is slightly less accurate there,
    as it is on renderings. The second branch is conditional and unguided. u is at most 1 (the original clamps t + 1
    step into its table in two places, differently).

    Costs 3 prior calls per row, unguided prior; 2 with scale 1 or without conditions.

    Attributes:
        times: distribution of t in [0, 1] for the first branch, one draw per row.
        weight: loss weight w(alpha, sigma) at t.
        scale: classifier-free guidance scale of the first branch; 1 is no guidance.
        shift: largest time difference u - t as a share of `t - low`, >= 0.
        low: time in [0, 1] at and below which both branches have the same noise level.
    """

    times: Times = Uniform(0.02, 0.98)
    weight: Weight = sigma_squared
    scale: float = 7.5
    shift: float = 0.1
    low: float = 0.02

    def __post_init__(self) -> None:
        if not self.shift >= 0 or not 0 <= self.low <= 1:
            raise ValueError(
                f"AsyncSD needs shift >= 0 and low in [0, 1], got {self.shift} and {self.low}; try 0.1 and 0.02"
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
        """Returns the direction at z; the state is None.

        Raises:
            TypeError: the prior is already guided.
            ValueError: guidance without a null or negative condition.
        """
        require_unguided(prior, "AsyncSD")
        z = z.detach()
        noised = sample_noised(z, prior, self.times, progress, rng)
        reach = torch.minimum(self.shift * (noised.t - self.low).clamp(min=0), 1 - noised.t)
        u = noised.t + reach * rand((len(z),), rng, z)
        later = prior.schedule(u)
        target = None if conditions is None else conditions.positive
        queries: list[Query] = [
            (noised.z_t, noised.alpha, noised.sigma, target),
            (add_noise(z, noised.eps, *later), *later, target),
        ]
        if conditions is not None and self.scale != 1:
            queries.append((noised.z_t, noised.alpha, noised.sigma, conditions.baseline))
        first, second, *base = evaluate_batched(prior, queries)
        eps = base[0].eps + self.scale * (first.eps - base[0].eps) if base else first.eps
        grad = expand_like(self.weight(noised.alpha, noised.sigma), z) * (eps - second.eps)
        return Direction(grad, t=noised.t, eps=noised.eps, prediction=first, logs={"t": noised.t, "t_later": u}), None
