"""SDS-Bridge: score distillation as a bridge between two distributions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.weighting import Weight, sigma_squared
from modeseek.methods.base import Direction
from modeseek.methods.noising import NoisedBatch, NoisingMethod, StepInput
from modeseek.priors.batched import predict_branches, require_conditions


@dataclass(frozen=True)
class SDSBridge(NoisingMethod):
    """SDS-Bridge (McAllister et al. 2024, arXiv 2406.09417): `grad = w scale (eps_target - eps_source)`.

    A first-order step of the bridge from the distribution of the current images, described by the source prompt
    ("..., oversaturated, smooth, pixelated, ..."), to that of the positive condition. Before progress `since` it is
    SDS at the same scale, `w (eps_null + scale (eps_target - eps_null) - n)`, against the null condition.

    Costs 2 prior calls per row in either stage, as one batched call of an unguided prior. Every item has its own
    prompts and weight; the original uses the first item's prompts, and applies the weight of its first stage twice.

    Attributes:
        times: distribution of t in [0, 1], one draw per row.
        weight: loss weight w(alpha, sigma).
        scale: guidance scale of both stages (the authors: 100 in 3-D, 40 in 2-D).
        since: progress in [0, 1] at which the bridge stage begins; 0 needs no null condition.
    """

    references: ClassVar[tuple[str, ...]] = ("sds-bridge",)
    guides: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("source",)
    times: Times = Uniform(0.02, 0.98)
    weight: Weight = sigma_squared
    scale: float = 40.0
    since: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.since <= 1:
            raise ValueError(f"SDSBridge needs since in [0, 1], got {self.since}; try 0.5 in 2-D, 0.8 in 3-D")

    def direction(self, noised: NoisedBatch, inputs: StepInput) -> Direction:
        """Returns the direction at the noised points; ValueError if a condition of either stage is missing."""
        first_stage = () if self.since == 0 else ("null",)
        conditions = require_conditions(inputs.conditions, "SDSBridge", "positive", "source", *first_stage)
        bridging = inputs.progress >= self.since
        conds = [conditions.positive, conditions.source if bridging else conditions.null]
        target, reference = predict_branches(inputs.prior, noised.z_t, noised.alpha, noised.sigma, conds)
        residual = self.scale * (target.eps - reference.eps)
        if not bridging:
            residual = residual + reference.eps - noised.eps
        return noised.direction(self.weight, residual, target)
