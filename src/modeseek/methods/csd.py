"""Classifier score distillation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.weighting import Weight, unit_weight
from modeseek.methods.base import Direction
from modeseek.methods.noising import NoisedBatch, NoisingMethod, StepInput
from modeseek.priors.batched import predict_branches, require_conditions
from modeseek.ramp import Varying, value_at

_BRANCHES = ("positive", "negative", "null")


@dataclass(frozen=True)
class CSD(NoisingMethod):
    """CSD (Yu et al. 2023, arXiv 2310.19415): `grad = w (a eps_pos + b eps_neg + c eps_null + d n)`, `a+b+c+d = 0`.

    The default (1, 0, -1, 0) follows the implicit classifier alone, `eps_pos - eps_null = -sigma grad log p(y | z_t)`;
    (s, 0, 1 - s, -1) is SDS at scale s. A multiple of n does not change the mean, only the variance. The authors'
    schedule moves the baseline from the empty to a negative prompt along the run: `null=Ramp(-1, 0),
    negative=Ramp(0, -1)` for pixel models, `null=Ramp(0, -0.5), negative=Ramp(-1, -0.5)` for latent ones.

    With `normalise`, each item is divided by its own norm; the original divides by the norm of the whole batch, so
    one item's direction depends on the others. Costs 1 prior call per row for each nonzero coefficient but d, of an
    unguided prior: the coefficients are its guidance.

    Attributes:
        times: distribution of t in [0, 1], one draw per row.
        weight: loss weight w(alpha, sigma).
        positive: coefficient a of the positive branch, a number or a function of progress.
        negative: coefficient b of the negative branch, likewise; needs a negative condition unless it is 0.
        null: coefficient c of the null branch, likewise; needs a null condition unless it is 0.
        noise: coefficient d of the drawn noise, likewise.
        normalise: True divides each item's direction by its L2 norm; a zero direction stays zero.
    """

    references: ClassVar[tuple[str, ...]] = ("csd",)
    guides: ClassVar[bool] = True
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

    def coefficients(self, progress: float) -> tuple[float, float, float, float]:
        """Returns a, b, c and d at this progress.

        Raises:
            ValueError: the coefficients do not sum to zero.
        """
        a, b, c, d = (value_at(v, progress) for v in (self.positive, self.negative, self.null, self.noise))
        if not abs(a + b + c + d) <= 1e-6 * max(1.0, abs(a), abs(b), abs(c), abs(d)):
            raise ValueError(
                f"CSD needs positive + negative + null + noise = 0, got {a:g}, {b:g}, {c:g}, {d:g} at progress "
                f"{progress:g}"
            )
        return a, b, c, d

    def direction(self, noised: NoisedBatch, inputs: StepInput) -> Direction:
        """Returns the direction at the noised points.

        Raises:
            ValueError: a condition is missing, or the coefficients do not sum to zero at this progress.
        """
        *coefficients, noise_coefficient = self.coefficients(inputs.progress)
        options = (self.positive, self.negative, self.null)
        required = [name for name, v in zip(_BRANCHES, options, strict=True) if callable(v) or v != 0]
        conditions = require_conditions(inputs.conditions, "CSD", *required)
        active = [(name, share) for name, share in zip(_BRANCHES, coefficients, strict=True) if share != 0]
        residual, prediction = noise_coefficient * noised.eps, None
        if active:
            conds = [getattr(conditions, name) for name, _ in active]
            predictions = predict_branches(inputs.prior, noised.z_t, noised.alpha, noised.sigma, conds)
            prediction = predictions[0]
            for (_, share), branch in zip(active, predictions, strict=True):
                residual = residual + share * branch.eps
        direction = noised.direction(self.weight, residual, prediction)
        if not self.normalise:
            return direction
        norm = direction.grad.flatten(1).norm(dim=1)
        return replace(direction, grad=direction.grad / expand_like(norm.where(norm > 0, 1.0), residual))
