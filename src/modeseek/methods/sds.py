"""Score distillation sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.weighting import Weight, sigma_squared
from modeseek.methods.base import Direction
from modeseek.methods.noising import NoisedBatch, NoisingMethod, StepInput


@dataclass(frozen=True)
class SDS(NoisingMethod):
    """DreamFusion (Poole et al. 2022, arXiv 2209.14988): `grad = w (eps(alpha z + sigma n; t) - n)`.

    Its mean is `-w (sigma / alpha) grad_z E_n log p_t(alpha z + sigma n)`: descending it maximises the noise-averaged
    log density. Costs 1 prior call per row; guidance: pass a `Guided` prior (DreamFusion's 100 is scale 101).

    Attributes:
        times: distribution of t in [0, 1], one draw per row.
        weight: loss weight w(alpha, sigma).
    """

    references: ClassVar[tuple[str, ...]] = ("sds",)
    guides: ClassVar[bool] = False
    has_target: ClassVar[bool] = True
    times: Times = Uniform(0.02, 0.98)
    weight: Weight = sigma_squared

    def direction(self, noised: NoisedBatch, inputs: StepInput) -> Direction:
        prediction = noised.predict(inputs.prior, inputs.conditions)
        return noised.direction_to_target(self.weight, prediction.eps - noised.eps, prediction)
