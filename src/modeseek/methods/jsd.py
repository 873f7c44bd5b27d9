"""Joint score distillation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.weighting import Weight, sigma_squared
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noising import sample_noised
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.batched import guidance_conditions, predict_branches
from modeseek.priors.guidance import extrapolate, require_unguided
from modeseek.rng import Rng

Energy = Callable[[Tensor, RenderContext | None], Tensor]
"""Of what the prior predicts for all rows, and the context: how little they agree, one number per row or in all."""


@dataclass(frozen=True)
class JSD:
    """JointDreamer's JSD (Jiang et al. 2024, arXiv 2407.12291): SDS on views that are distributed jointly.

    The views follow `p(z^1) ... p(z^k) exp(-strength E)` instead of each its own p, E an energy that says how little
    they agree; the joint score adds `-strength grad E` to each view's. With z_hat the prediction under the baseline
    (as the authors: the unconditional one; the only one where nothing is guided),

        grad = w (eps_s + sigma strength grad_{z_t} E(z_hat(z_t)) - n).

    By default the network is not differentiated, as in the authors' code: `grad_{z_t} E = grad_{z_hat} E / alpha`.
    `jacobian` differentiates it too; unguided, eps_s + ... is then exactly the noise of the tilted density
    `p_t(z_t) exp(-strength E(z_hat(z_t)))`. Their code also divides E by the batch size, so that the pull weakens as
    the batch grows; here what the energy returns is summed.

    Two calls of a bare prior a row, as one batched call, and what the energy spends; one at scale 1 with conditions or
    without any. An energy of agreement with a multi-view prior is `0.5 |z_hat - z_hat_mv|^2`, its target detached.

    Attributes:
        energy: E, differentiable; called with z_hat (or its decoded image) and the context.
        strength: w_C of the paper.
        begin: progress from which the energy acts (the authors: step 600 of 5000).
        sees: whether the energy is told z, or pixels by the context's codec.
        jacobian: differentiate the prior (the row's Jacobian product costs about two more calls of each branch).
        times: which noise levels to visit, per row.
        weight: w(alpha, sigma).
        scale: guidance.
    """

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
            raise ValueError(f"a JSD energy sees 'z' or 'image': got {self.sees!r}; choose one")
        if self.strength < 0 or not 0 <= self.begin <= 1:
            raise ValueError(f"JSD needs strength >= 0, begin in [0, 1]: got {self.strength}, {self.begin}; fix them")

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        require_unguided(prior, "JSD")

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
            ValueError: no baseline to guide away from, no context to see pixels, or an energy without a gradient.
        """
        require_unguided(prior, "JSD")
        z = z.detach()
        noised = sample_noised(z, prior, self.times, progress, rng)
        alpha, sigma = noised.alpha, noised.sigma
        joint = self.strength > 0 and progress >= self.begin
        with torch.set_grad_enabled(self.jacobian and joint):
            asked = noised.z_t.clone().requires_grad_(self.jacobian and joint)
            found = predict_branches(prior, asked, alpha, sigma, guidance_conditions(conditions, self.scale))
        seen = found[-1]  # the baseline's where there is one
        plain, base = (_detached(p, noised.z_t) for p in (found[0], seen))
        prediction = extrapolate(base, plain, torch.full_like(alpha, self.scale)) if len(found) > 1 else plain
        logs = {"t": noised.t}
        if joint:
            values, slope = self._energy_and_gradient(seen, asked, alpha, context)
            prediction = prediction.tilt(-self.strength * slope)
            logs["energy"] = values
        grad = expand_like(self.weight(alpha, sigma), z) * (prediction.eps - noised.eps)
        return Direction(grad, t=noised.t, eps=noised.eps, prediction=prediction, logs=logs), None

    def _energy_and_gradient(
        self, seen: Prediction, z_t: Tensor, alpha: Tensor, context: RenderContext | None
    ) -> tuple[Tensor, Tensor]:
        """The energy of each row (its mean share where it is one number) and its gradient in z_t."""
        with torch.enable_grad():
            z = seen.z if self.jacobian else seen.z.detach().requires_grad_()
            if self.sees == "z":
                told = z
            elif context is None:
                raise ValueError(
                    "JSD's energy sees pixels: got no context to decode with; pass context=... or sees='z'"
                )
            else:
                told = context.codec.decode(z)
            value = self.energy(told, context)
            if not value.requires_grad:
                raise ValueError("JSD's energy needs a gradient in what it sees: got a constant; do not detach it")
            (slope,) = torch.autograd.grad(value.sum(), z_t if self.jacobian else z)
        if not self.jacobian:
            slope = slope / expand_like(alpha, slope)
        rows = value.detach().reshape(-1)
        return (rows if len(rows) == len(z) else (rows.sum() / len(z)).expand(len(z))), slope.detach()


def _detached(p: Prediction, z_t: Tensor) -> Prediction:
    return Prediction(z_t, p.alpha, p.sigma, p.z.detach(), p.eps.detach(), p.clamped)
