"""Score distillation as a bridge between two distributions."""

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

    A first-order step of the bridge from where the images are now, described by the source prompt ("..., oversaturated,
    smooth, pixelated, ..."), to where they should go, the positive condition. Before `since` of the run it is SDS at
    the same scale, `w (eps_null + scale (eps_target - eps_null) - n)`, against the null condition.

    2 calls a row of a bare prior in either stage, in one batched call. Every item has its own prompts and weight; the
    original reads the first item's prompts, and weights its first stage twice.

    Attributes:
        times: which noise levels to visit, per row.
        weight: w(alpha, sigma).
        scale: of both stages (the authors: 100 in 3-D, 40 in 2-D).
        since: progress from which the bridge is taken; 0 is from the start, and needs no null condition.
    """

    times: Times = Uniform(0.02, 0.98)
    weight: Weight = sigma_squared
    scale: float = 40.0
    since: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.since <= 1:
            raise ValueError(f"SDSBridge needs since in [0, 1]: got {self.since}; the authors: 0.5 in 2-D, 0.8 in 3-D")

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
        """The direction; no state.

        Raises:
            TypeError: the prior is guided already.
            ValueError: a condition is missing, whichever stage needs it.
        """
        require_unguided(prior, "SDSBridge")
        first = () if self.since == 0 else ("null",)
        told = require_conditions(conditions, "SDSBridge", "positive", "source", *first)
        z = z.detach()
        at = sample_noised(z, prior, self.times, progress, rng)
        bridging = progress >= self.since
        pair = [told.positive, told.source if bridging else told.null]
        target, other = predict_branches(prior, at.z_t, at.alpha, at.sigma, pair)
        residual = self.scale * (target.eps - other.eps)
        if not bridging:
            residual = residual + other.eps - at.eps
        grad = expand_like(self.weight(at.alpha, at.sigma), z) * residual
        return Direction(grad, t=at.t, eps=at.eps, prediction=target, logs={"t": at.t}), None
