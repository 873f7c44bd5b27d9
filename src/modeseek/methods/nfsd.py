"""Noise-free score distillation."""

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
from modeseek.priors.batched import Query, evaluate_batched, require_conditions
from modeseek.priors.guidance import require_unguided
from modeseek.pytree import expand, select
from modeseek.rng import Rng


@dataclass(frozen=True)
class NFSD:
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

    times: Times = Uniform(0.02, 0.98)
    weight: Weight = sigma_squared
    scale: float = 7.5
    threshold: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"NFSD needs a threshold time in [0, 1], got {self.threshold}; try 0.2")

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        require_unguided(prior, "NFSD")

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
            ValueError: a condition is missing.
        """
        require_unguided(prior, "NFSD")
        conditions = require_conditions(conditions, "NFSD", "positive", "null", "negative")
        z = z.detach()
        noised = sample_noised(z, prior, self.times, progress, rng)
        far = (noised.t >= self.threshold).nonzero()[:, 0]
        conds = (conditions.positive, conditions.null)
        queries: list[Query] = [(noised.z_t, noised.alpha, noised.sigma, cond) for cond in conds]
        if len(far):
            negative = select(expand(conditions.negative, len(z)), far)
            queries.append((noised.z_t[far], noised.alpha[far], noised.sigma[far], negative))
        positive, null, *negative = evaluate_batched(prior, queries)
        domain = null.eps
        if negative:
            domain = domain.index_add(0, far, -negative[0].eps)
        grad = expand_like(self.weight(noised.alpha, noised.sigma), z) * (
            domain + self.scale * (positive.eps - null.eps)
        )
        return Direction(grad, t=noised.t, eps=noised.eps, prediction=positive, logs={"t": noised.t}), None
