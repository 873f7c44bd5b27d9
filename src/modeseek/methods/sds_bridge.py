"""SDS-Bridge: score distillation as a bridge between two distributions."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.weighting import Weight, sigma_squared
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noising import sample_noised
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.batched import predict_branches, require_conditions
from modeseek.priors.guidance import require_unguided
from modeseek.rng import Rng


@dataclass(frozen=True)
class SDSBridge:
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

    times: Times = Uniform(0.02, 0.98)
    weight: Weight = sigma_squared
    scale: float = 40.0
    since: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.since <= 1:
            raise ValueError(f"SDSBridge needs since in [0, 1], got {self.since}; try 0.5 in 2-D, 0.8 in 3-D")

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        require_unguided(prior, "SDSBridge")

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
            ValueError: a condition of either stage is missing.
        """
        require_unguided(prior, "SDSBridge")
        first_stage = () if self.since == 0 else ("null",)
        conditions = require_conditions(conditions, "SDSBridge", "positive", "source", *first_stage)
        z = z.detach()
        noised = sample_noised(z, prior, self.times, progress, rng)
        bridging = progress >= self.since
        conds = [conditions.positive, conditions.source if bridging else conditions.null]
        target, reference = predict_branches(prior, noised.z_t, noised.alpha, noised.sigma, conds)
        residual = self.scale * (target.eps - reference.eps)
        if not bridging:
            residual = residual + reference.eps - noised.eps
        grad = expand_like(self.weight(noised.alpha, noised.sigma), z) * residual
        return Direction(grad, t=noised.t, eps=noised.eps, prediction=target, logs={"t": noised.t}), None
