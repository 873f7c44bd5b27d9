"""Classifier score distillation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.weighting import Weight, unit_weight
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noising import sample_noised
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.batched import predict_branches, require_conditions
from modeseek.priors.guidance import require_unguided
from modeseek.ramp import Varying, value_at
from modeseek.rng import Rng

_BRANCHES = ("positive", "negative", "null")


@dataclass(frozen=True)
class CSD:
    """CSD (Yu et al. 2023, arXiv 2310.19415): `grad = w (a eps_pos + b eps_neg + c eps_null + d n)`, `a+b+c+d = 0`.

    The default (1, 0, -1, 0) follows the implicit classifier alone, `eps_pos - eps_null = -sigma grad log p(y | z_t)`;
    (s, 0, 1 - s, -1) is SDS at scale s. A multiple of n changes no mean, only the variance. The authors' schedule moves
    the baseline from the empty to a negative prompt along the run: `null=Ramp(-1, 0), negative=Ramp(0, -1)` for pixel
    models, `null=Ramp(0, -0.5), negative=Ramp(-1, -0.5)` for latent ones.

    Each item is normalised by its own norm where asked; the original divides by the norm of the whole batch, so that
    one item's direction depends on its neighbours. Costs one call a row for each coefficient that is not zero.

    Attributes:
        times: which noise levels to visit, per row.
        weight: w(alpha, sigma).
        positive: a, a number or a function of progress, like the other three.
        negative: b; anything but the number 0 needs a negative condition.
        null: c; anything but the number 0 needs a null condition.
        noise: d.
        normalise: divide each item's direction by its L2 norm; a zero direction stays zero.
    """

    times: Times = Uniform(0.02, 0.98)
    weight: Weight = unit_weight
    positive: Varying = 1.0
    negative: Varying = 0.0
    null: Varying = -1.0
    noise: Varying = 0.0
    normalise: bool = False

    def __post_init__(self) -> None:
        for progress in (0.0, 0.5, 1.0):
            self.coefficients(progress)

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        require_unguided(prior, "CSD")

    def coefficients(self, progress: float) -> tuple[float, float, float, float]:
        """a, b, c and d at this point of the run.

        Raises:
            ValueError: they do not sum to zero.
        """
        a, b, c, d = (value_at(v, progress) for v in (self.positive, self.negative, self.null, self.noise))
        if not abs(a + b + c + d) <= 1e-6 * max(1.0, abs(a), abs(b), abs(c), abs(d)):
            raise ValueError(
                f"CSD needs positive + negative + null + noise = 0: got {a:g}, {b:g}, {c:g}, {d:g} at progress "
                f"{progress:g}; change one"
            )
        return a, b, c, d

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
            ValueError: a condition is missing, or the coefficients do not sum to zero here.
        """
        require_unguided(prior, "CSD")
        *shares, own = self.coefficients(progress)
        options = (self.positive, self.negative, self.null)
        parts = [name for name, v in zip(_BRANCHES, options, strict=True) if callable(v) or v != 0]
        told = require_conditions(conditions, "CSD", *parts)
        asked = [(name, share) for name, share in zip(_BRANCHES, shares, strict=True) if share != 0]
        z = z.detach()
        at = sample_noised(z, prior, self.times, progress, rng)
        grad, prediction = own * at.eps, None
        if asked:
            answers = predict_branches(prior, at.z_t, at.alpha, at.sigma, [getattr(told, name) for name, _ in asked])
            prediction = answers[0]
            for (_, share), answer in zip(asked, answers, strict=True):
                grad = grad + share * answer.eps
        grad = expand_like(self.weight(at.alpha, at.sigma), z) * grad
        if self.normalise:
            norm = grad.flatten(1).norm(dim=1)
            grad = grad / expand_like(norm.where(norm > 0, torch.ones_like(norm)), z)
        return Direction(grad, t=at.t, eps=at.eps, prediction=prediction, logs={"t": at.t}), None
