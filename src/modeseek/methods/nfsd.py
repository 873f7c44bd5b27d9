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

    The domain term is `d = eps_null` at small noise, where the prediction holds hardly any noise, and
    `d = eps_null - eps_neg` from `threshold` on, where the negative prompt ("blurry, low quality, ...") stands in for
    it. Every row takes the branch of its own time; the known copy takes one branch for the whole batch.

    3 calls a row at or above the threshold, 2 below, in one batched call of a bare prior.

    Attributes:
        times: which noise levels to visit, per row.
        weight: w(alpha, sigma).
        scale: of the condition (the authors' 7.5).
        threshold: time of the prior's schedule at which the domain term changes.
    """

    times: Times = Uniform(0.02, 0.98)
    weight: Weight = sigma_squared
    scale: float = 7.5
    threshold: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"NFSD needs a threshold time in [0, 1]: got {self.threshold}; the authors: 0.2")

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
        """The direction; no state.

        Raises:
            TypeError: the prior is guided already.
            ValueError: a condition is missing.
        """
        require_unguided(prior, "NFSD")
        told = require_conditions(conditions, "NFSD", "positive", "null", "negative")
        z = z.detach()
        at = sample_noised(z, prior, self.times, progress, rng)
        far = (at.t >= self.threshold).nonzero()[:, 0]
        questions: list[Query] = [(at.z_t, at.alpha, at.sigma, cond) for cond in (told.positive, told.null)]
        if len(far):
            negative = select(expand(told.negative, len(z)), far)
            questions.append((at.z_t[far], at.alpha[far], at.sigma[far], negative))
        positive, null, *negative = evaluate_batched(prior, questions)
        domain = null.eps
        if negative:
            domain = domain.index_add(0, far, -negative[0].eps)
        grad = expand_like(self.weight(at.alpha, at.sigma), z) * (domain + self.scale * (positive.eps - null.eps))
        return Direction(grad, t=at.t, eps=at.eps, prediction=positive, logs={"t": at.t}), None
