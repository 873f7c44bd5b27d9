"""FlowDreamer's UCM: RFDS with noise from the flow's inversion of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.weighting import Weight, unit_weight
from modeseek.methods.base import Direction
from modeseek.methods.noising import NoisedBatch, NoisingMethod, StepInput, noise_batch
from modeseek.priors.guidance import with_guidance
from modeseek.rng import randn


@dataclass(frozen=True)
class UCM(NoisingMethod):
    """FlowDreamer's unique couple matching (2024, arXiv 2408.05008): `grad = w (v_scale(z_t) - (n - z))`, n inverted.

    From progress `since` on, n is not drawn: the flow `dz_s = v(z_s, s) ds` is integrated from z at s = 0 to its noise
    at s = 1, in `inversion_steps` equal steps, at `alpha = 1 - s, sigma = s` for any schedule of the prior; the noise
    level of the direction is on the prior's schedule. Before `since` the noise is drawn and this is RFDS. The switch
    depends on progress, not on a count of calls that a checkpoint would lose.

    Costs `inversion_steps` prior calls per row for the inversion (twice that by the midpoint rule; twice again if its
    scale is not 1) and 2 for the direction, of an unguided prior; without conditions each evaluation is 1 call.

    Attributes:
        times: distribution of t in [0, 1] on the prior's schedule, one draw per row.
        weight: loss weight w(alpha, sigma).
        scale: classifier-free guidance scale of the direction (the authors' configurations: 60); 1 is no guidance.
        inversion_scale: classifier-free guidance scale of the inversion; 1 is no guidance.
        inversion_steps: solver steps from image to noise, >= 1.
        solver: ODE solver of the inversion: euler (first order) or midpoint (second order).
        since: progress in [0, 1] from which the noise is inverted rather than drawn.
    """

    references: ClassVar[tuple[str, ...]] = ("ucm",)
    guides: ClassVar[bool] = True
    times: Times = Uniform(0.02, 0.98)
    weight: Weight = unit_weight
    scale: float = 60.0
    inversion_scale: float = 1.0
    inversion_steps: int = 3
    solver: Literal["euler", "midpoint"] = "euler"
    since: float = 0.0

    def __post_init__(self) -> None:
        if self.inversion_steps < 1 or not 0 <= self.since <= 1:
            raise ValueError(
                f"UCM needs inversion_steps >= 1 and since in [0, 1], got {self.inversion_steps} and {self.since}"
            )
        if self.solver not in ("euler", "midpoint"):
            raise ValueError(f"UCM solver must be 'euler' or 'midpoint', got {self.solver!r}")

    def draw_noised(self, z: Float[Tensor, "b *d"], inputs: StepInput) -> NoisedBatch:
        """Draws a time for every row; its noise is inverted from progress `since` on, drawn before."""
        z, t = z.detach(), self.times(inputs.progress, len(z), inputs.rng).to(z, non_blocking=True)
        inverting = inputs.progress >= self.since
        eps = self._invert(z, inputs) if inverting else randn(tuple(z.shape), inputs.rng, z)
        return noise_batch(z, eps, t, inputs.prior)

    def direction(self, noised: NoisedBatch, inputs: StepInput) -> Direction:
        """Returns the direction; its `eps` is the noise used, inverted or drawn."""
        prediction = noised.predict(with_guidance(inputs.prior, self.scale, inputs.conditions), inputs.conditions)
        return noised.direction(self.weight, prediction.flow - (noised.eps - noised.z), prediction)

    def _invert(self, z: Tensor, inputs: StepInput) -> Tensor:
        prior = with_guidance(inputs.prior, self.inversion_scale, inputs.conditions)

        def velocity(z_s: Tensor, s: float) -> Tensor:
            level = z_s.new_full((len(z_s),), s)
            return prior.at(z_s, 1 - level, level, inputs.conditions).flow

        width = 1 / self.inversion_steps
        for k in range(self.inversion_steps):
            v = velocity(z, k * width)
            if self.solver == "midpoint":
                v = velocity(z + width / 2 * v, (k + 0.5) * width)
            z = z + width * v
        return z
