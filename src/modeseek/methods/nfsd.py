"""Noise-free score distillation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.weighting import Weight, sigma_squared
from modeseek.methods.base import Direction
from modeseek.methods.noising import NoisedBatch, NoisingMethod, StepInput
from modeseek.priors.batched import Query, evaluate_batched, require_conditions
from modeseek.pytree import expand, select


@dataclass(frozen=True)
class NFSD(NoisingMethod):
    """NFSD (Katzir et al. 2023, arXiv 2310.17590): `grad = w (d + scale (eps_pos - eps_null))`, without the noise.

    The domain term is `d = eps_null` at small noise, where the prediction contains hardly any noise, and
    `d = eps_null - eps_neg` from `threshold` on, where the negative prompt ("blurry, low quality, ...") replaces
    it. Every row takes the branch of its own time; the common reimplementation takes one branch for the whole batch.

    Costs 3 prior calls per row at or above the threshold, 2 below, as one batched call of an unguided prior.

    Attributes:
        times: distribution of t in [0, 1], one draw per row.
        weight: loss weight w(alpha, sigma).
        scale: weight of `eps_pos - eps_null` (the authors: 7.5).
        threshold: t in [0, 1] on the prior's schedule at which the domain term changes.
    """

    references: ClassVar[tuple[str, ...]] = ("nfsd",)
    guides: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("negative",)
    times: Times = Uniform(0.02, 0.98)
    weight: Weight = sigma_squared
    scale: float = 7.5
    threshold: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"NFSD needs a threshold time in [0, 1], got {self.threshold}; try 0.2")

    def direction(self, noised: NoisedBatch, inputs: StepInput) -> Direction:
        """Returns the direction at the noised points; ValueError if a condition is missing."""
        conditions = require_conditions(inputs.conditions, "NFSD", "positive", "null", "negative")
        far = (noised.t >= self.threshold).nonzero()[:, 0]
        conds = (conditions.positive, conditions.null)
        queries: list[Query] = [(noised.z_t, noised.alpha, noised.sigma, cond) for cond in conds]
        if len(far):
            negative = select(expand(conditions.negative, len(noised.z)), far)
            queries.append((noised.z_t[far], noised.alpha[far], noised.sigma[far], negative))
        positive, null, *negative = evaluate_batched(inputs.prior, queries)
        domain = null.eps
        if negative:
            domain = domain.index_add(0, far, -negative[0].eps)
        return noised.direction(self.weight, domain + self.scale * (positive.eps - null.eps), positive)
