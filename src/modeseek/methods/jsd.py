"""Joint score distillation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.weighting import Weight, sigma_squared
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noising import NoisedBatch, NoisingMethod, StepInput
from modeseek.priors.batched import guidance_conditions, predict_branches
from modeseek.priors.guidance import extrapolate

Energy = Callable[[Tensor, RenderContext | None], Tensor]
"""Energy of disagreement: maps predicted z (or images) and the context to one number per row or in total."""


@dataclass(frozen=True)
class JSD(NoisingMethod):
    """JointDreamer's JSD (Jiang et al. 2024, arXiv 2407.12291): SDS on a joint distribution of views.

    The views follow `p(z^1) ... p(z^k) exp(-strength E)` instead of independent p, E an energy that measures their
    disagreement; the joint score adds `-strength grad E` to each view's. With z_hat the prediction of the guidance
    baseline (as the authors: the unconditional one; without guidance the only one),

        grad = w (eps_s + sigma strength grad_{z_t} E(z_hat(z_t)) - n).

    By default the network is not differentiated, as in the authors' code: `grad_{z_t} E = grad_{z_hat} E / alpha`.
    With `jacobian` it is; unguided, eps_s + ... is then exactly the noise of the tilted density
    `p_t(z_t) exp(-strength E(z_hat(z_t)))`. Their code also divides E by the batch size, so that the energy's weight
    falls as the batch grows; here the returned energies are summed.

    Costs 2 prior calls per row, as one batched call of an unguided prior, plus the evaluation of the energy; 1 at
    scale 1 or without conditions. An energy of agreement with a multi-view prior is `0.5 |z_hat - z_hat_mv|^2`, its
    target detached.

    Attributes:
        energy: energy E, differentiable; called with z_hat (or its decoded image) and the context.
        strength: weight of the energy, w_C of the paper, >= 0.
        begin: progress in [0, 1] from which the energy is active (the authors: step 600 of 5000).
        sees: input of the energy: z, or the image decoded by the context's codec.
        jacobian: True differentiates the prior (costs about two more calls per row and branch).
        times: distribution of t in [0, 1], one draw per row.
        weight: loss weight w(alpha, sigma).
        scale: classifier-free guidance scale; 1 is no guidance.
    """

    references: ClassVar[tuple[str, ...]] = ("jsd",)
    guides: ClassVar[bool] = True
    energy: Energy
    strength: float = 5.0
    begin: float = 0.12
    sees: Literal["z", "image"] = "z"
    jacobian: bool = False
    times: Times = Uniform(0.02, 0.98)
    weight: Weight = sigma_squared
    scale: float = 31.0

    def __post_init__(self) -> None:
        if self.sees not in ("z", "image"):
            raise ValueError(f"JSD sees must be 'z' or 'image', got {self.sees!r}")
        if self.strength < 0 or not 0 <= self.begin <= 1:
            raise ValueError(f"JSD needs strength >= 0 and begin in [0, 1], got {self.strength} and {self.begin}")

    def direction(self, noised: NoisedBatch, inputs: StepInput) -> Direction:
        """Returns the direction at the noised points.

        Raises:
            ValueError: no guidance baseline, no context to decode images, or an energy without a gradient.
        """
        alpha, sigma = noised.alpha, noised.sigma
        joint = self.strength > 0 and inputs.progress >= self.begin
        conds = guidance_conditions(inputs.conditions, self.scale)
        with torch.set_grad_enabled(self.jacobian and joint):
            z_t = noised.z_t.clone().requires_grad_(self.jacobian and joint)
            predictions = predict_branches(inputs.prior, z_t, alpha, sigma, conds)
        baseline = predictions[-1]  # the only prediction without guidance
        plain, base = (_detached(p, noised.z_t) for p in (predictions[0], baseline))
        prediction = extrapolate(base, plain, torch.full_like(alpha, self.scale)) if len(predictions) > 1 else plain
        logs = {}
        if joint:
            logs["energy"], gradient = self._energy_and_gradient(baseline, z_t, alpha, inputs.context)
            prediction = prediction.tilt(-self.strength * gradient)
        return noised.direction(self.weight, prediction.eps - noised.eps, prediction, **logs)

    def _energy_and_gradient(
        self, baseline: Prediction, z_t: Tensor, alpha: Tensor, context: RenderContext | None
    ) -> tuple[Tensor, Tensor]:
        """Returns the energy of each row (the mean if it is one number) and its gradient in z_t."""
        with torch.enable_grad():
            z = baseline.z if self.jacobian else baseline.z.detach().requires_grad_()
            if self.sees == "z":
                energy_input = z
            elif context is None:
                raise ValueError("JSD with sees='image' needs a context to decode with, got none; try sees='z'")
            else:
                energy_input = context.codec.decode(z)
            value = self.energy(energy_input, context)
            if not value.requires_grad:
                raise ValueError("JSD energy must be differentiable in its input, got a constant; try without detach")
            (gradient,) = torch.autograd.grad(value.sum(), z_t if self.jacobian else z)
        if not self.jacobian:
            gradient = gradient / expand_like(alpha, gradient)
        rows = value.detach().reshape(-1)
        return (rows if len(rows) == len(z) else (rows.sum() / len(z)).expand(len(z))), gradient.detach()


def _detached(p: Prediction, z_t: Tensor) -> Prediction:
    return Prediction(z_t, p.alpha, p.sigma, p.z.detach(), p.eps.detach(), p.clamped)
