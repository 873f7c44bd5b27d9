"""RFDS-Rev: RFDS with refined noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.weighting import Weight, unit_weight
from modeseek.methods.base import Direction
from modeseek.methods.noising import NoisedBatch, NoisingMethod, StepInput, noise_batch
from modeseek.priors.guidance import with_guidance


@dataclass(frozen=True)
class RFDSRev(NoisingMethod):
    """RFDS-Rev (Yang et al. 2024, arXiv 2406.03293): refine the noise once, then take RFDS's direction with it.

    In flow time `n <- n + (1 - sigma) (v + z - n)`: one step of iRFDS with the length that makes n the predicted noise
    of z_t, `n <- eps(z_t)`, which is how it is computed here, at any noise level of any prior. This is the step of the
    authors' code on Stable Diffusion 3; on InstaFlow its length is 1, `n <- v + z` (`full_step`). A noise that solves
    `v = n - z` is a fixed point of both. Then `grad = w (v_scale(z_t') - (n' - z))` with the refined noise.

    Costs 1 prior call per row for the refinement (2 if its scale is not 1) and 2 for the direction, of an unguided
    prior; without conditions 1 each.

    Attributes:
        times: distribution of t in [0, 1] on the prior's schedule, one draw per row.
        weight: loss weight w(alpha, sigma).
        scale: classifier-free guidance scale of the direction; 1 is no guidance.
        inversion_scale: classifier-free guidance scale of the refinement; 1 is no guidance.
        full_step: True refines with length 1 (InstaFlow), False with 1 - sigma (Stable Diffusion 3).
    """

    references: ClassVar[tuple[str, ...]] = ("rfds",)
    guides: ClassVar[bool] = True
    times: Times = Uniform(0.02, 0.98)
    weight: Weight = unit_weight
    scale: float = 50.0
    inversion_scale: float = 1.0
    full_step: bool = False

    def direction(self, noised: NoisedBatch, inputs: StepInput) -> Direction:
        """Returns the direction; its `eps` is the noise before refinement."""
        conditions, scales = inputs.conditions, (self.scale, self.inversion_scale)
        forward, backward = (with_guidance(inputs.prior, scale, conditions) for scale in scales)
        refined = noised.predict(backward, conditions)
        refined = refined.flow + noised.z if self.full_step else refined.eps
        prediction = noise_batch(noised.z, refined, noised.t, inputs.prior).predict(forward, conditions)
        return noised.direction(self.weight, prediction.flow - (refined - noised.z), prediction)
