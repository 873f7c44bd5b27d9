"""Score distillation in the velocity of a rectified flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.weighting import Weight, unit_weight
from modeseek.methods.base import Direction
from modeseek.methods.noising import NoisedBatch, NoisingMethod, StepInput


@dataclass(frozen=True)
class RFDS(NoisingMethod):
    """RFDS (Yang et al. 2024, arXiv 2406.03293; FlowDreamer's VFDS, 2408.05008): `grad = w (v(z_t) - (n - z))`.

    v is the velocity `E[n - z | z_t]`, available from every prediction, so any prior on any schedule can be used. It
    is SDS with weight `w / (1 - s)`, `s = sigma / (alpha + sigma)` the noise share of the same level in flow time:
    `v - (n - z) = (eps - n) (alpha + sigma) / alpha`. It is finite at alpha = 0.

    Costs 1 prior call per row; guidance: pass a `Guided` prior (the authors: scale 100 on SD3, 50 in 2-D). The
    original indexes its noise levels from the wrong end, so that a range of 0.3 to 0.98 drops the noisiest ones.

    Attributes:
        times: distribution of t in [0, 1] on the prior's schedule, one draw per row.
        weight: loss weight w(alpha, sigma).
    """

    references: ClassVar[tuple[str, ...]] = ("rfds",)
    guides: ClassVar[bool] = False
    times: Times = Uniform(0.02, 0.98)
    weight: Weight = unit_weight

    def direction(self, noised: NoisedBatch, inputs: StepInput) -> Direction:
        prediction = noised.predict(inputs.prior, inputs.conditions)
        return noised.direction(self.weight, prediction.flow - (noised.eps - noised.z), prediction)
