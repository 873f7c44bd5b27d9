"""iRFDS: image inversion by the gradient of RFDS with respect to the noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.weighting import Weight, unit_weight
from modeseek.methods.base import Direction
from modeseek.methods.noising import NoisedBatch, NoisingMethod, StepInput, noise_batch
from modeseek.priors.base import Prior


@dataclass(frozen=True)
class IRFDS(NoisingMethod):
    """iRFDS (Yang et al. 2024, arXiv 2406.03293): `grad = w (n - z - v(alpha z + sigma n))`, in the noise n.

    The roles are swapped: the optimised variable, passed to `step` as its first argument, is the noise n (`Points`
    initialised from noise, or from the image as the authors do); `data` is the fixed image z to invert. The direction
    has the shape of n; sampling from the optimised n reconstructs the image, or edits it under another prompt. The
    prediction is a constant of the loss, as in RFDS.

    `n - z - v = (n - eps) (alpha + sigma) / alpha` at any noise level of any prior: n is optimised towards the noise
    predicted in z_t. Costs 1 prior call per row; the authors' guidance scale is 1. They also penalise deviations of
    n's mean and variance from 0 and 1, which is a regularizer of `distill` here.

    Attributes:
        data: z to invert, (b, *d), or (1, *d) for the whole batch.
        times: distribution of t in [0, 1] on the prior's schedule, one draw per row.
        weight: loss weight w(alpha, sigma).
    """

    references: ClassVar[tuple[str, ...]] = ("rfds",)
    guides: ClassVar[bool] = False
    data: Float[Tensor, "b *d"]
    times: Times = Uniform(0.02, 0.98)
    weight: Weight = unit_weight

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        self._data(z)

    def draw_noised(self, z: Float[Tensor, "b *d"], inputs: StepInput) -> NoisedBatch:
        """Noises the data with the optimised noise, which is passed as z; ValueError if their shapes differ."""
        t = self.times(inputs.progress, len(z), inputs.rng).to(z, non_blocking=True)
        return noise_batch(self._data(z), z.detach(), t, inputs.prior)

    def direction(self, noised: NoisedBatch, inputs: StepInput) -> Direction:
        prediction = noised.predict(inputs.prior, inputs.conditions)
        return noised.direction(self.weight, noised.eps - noised.z - prediction.flow, prediction)

    def _data(self, noise: Tensor) -> Tensor:
        data = self.data.detach().to(noise)
        if data.shape[1:] != noise.shape[1:] or len(data) not in (1, len(noise)):
            raise ValueError(
                f"IRFDS data must have the noise's shape {tuple(noise.shape)}, or one item of it, got "
                f"{tuple(data.shape)}"
            )
        return data.expand_as(noise)
