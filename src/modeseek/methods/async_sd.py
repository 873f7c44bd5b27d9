"""Asynchronous score distillation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.reference_clock import moved_time, reference_time
from modeseek.diffusion.weighting import Weight, sigma_squared
from modeseek.methods.base import Direction
from modeseek.methods.noising import NoisedBatch, NoisingMethod, StepInput, add_noise
from modeseek.priors.batched import Query, evaluate_batched
from modeseek.rng import rand


@dataclass(frozen=True)
class AsyncSD(NoisingMethod):
    """ScaleDreamer (Ma et al. 2024, arXiv 2407.02040): `grad = w (eps_scale(z_t, t) - eps(z_u, u))`, u noisier than t.

    Where VSD trains a second network on the rendered images, this evaluates the prior itself at a later time
    `u = t + U shift (t - low)` with the same noise, U uniform in [0, 1): the network is slightly less accurate there,
    as it is on renderings. The second branch is conditional and unguided. These times are those of Stable Diffusion's
    schedule, converted to the prior's by log-SNR; u is at most the prior's last (the original clamps t + 1 step into
    its table in two places, differently).

    Costs 3 prior calls per row, unguided prior; 2 with scale 1 or without conditions.

    Attributes:
        times: distribution of t in [0, 1] for the first branch, one draw per row.
        weight: loss weight w(alpha, sigma) at t.
        scale: classifier-free guidance scale of the first branch; 1 is no guidance.
        shift: largest time difference u - t as a share of `t - low`, >= 0.
        low: time in [0, 1] on Stable Diffusion's schedule, at and below which both branches have the same noise level.
    """

    references: ClassVar[tuple[str, ...]] = ("async-sd",)
    guides: ClassVar[bool] = True
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

    def direction(self, noised: NoisedBatch, inputs: StepInput) -> Direction:
        """Returns the direction at the noised points; ValueError for guidance without a null or negative condition."""
        z, conditions = noised.z, inputs.conditions
        schedule = inputs.prior.schedule
        reach = self.shift * (reference_time(schedule, noised.t) - self.low).clamp(min=0)
        u = moved_time(schedule, noised.t, reach * rand((len(z),), inputs.rng, z))
        later = schedule(u)
        target = None if conditions is None else conditions.positive
        queries: list[Query] = [
            (noised.z_t, noised.alpha, noised.sigma, target),
            (add_noise(z, noised.eps, *later), *later, target),
        ]
        if conditions is not None and self.scale != 1:
            queries.append((noised.z_t, noised.alpha, noised.sigma, conditions.baseline))
        first, second, *base = evaluate_batched(inputs.prior, queries)
        eps = base[0].eps + self.scale * (first.eps - base[0].eps) if base else first.eps
        return noised.direction(self.weight, eps - second.eps, first, t_later=u)
