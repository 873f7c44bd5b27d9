"""Regularizers on the opacity of pixels."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from modeseek.generators.base import Rendering
from modeseek.regularizers.base import Penalty, require_3d

_MARGIN = 1e-3  # opacities are clamped to this distance from 0 and 1


@dataclass(frozen=True)
class OpacityEntropy(Penalty):
    """Binary entropy of opacity o, `H(o) = -o ln o - (1 - o) ln(1 - o)`, mean over pixels: removes fog.

    Metzer, Richardson, Patashnik, Giryes, Cohen-Or 2022 (Latent-NeRF, arXiv 2211.07600), their sparsity term. Opacities
    within 0.001 of 0 or 1 have no gradient, because the slope of H is unbounded there. The slope is also 0 at o = 1/2,
    and opacities move away from 1/2 in either direction: increase the weight late in the run.
    """

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        o = require_3d(rendering, self).opacity.clamp(_MARGIN, 1 - _MARGIN)
        return -(o * o.log() + (1 - o) * (-o).log1p()).mean()


@dataclass(frozen=True)
class Sparsity(Penalty):
    """Opacity sparsity, `sqrt(o^2 + soft)`, mean over pixels: reduces opacity everywhere.

    Poole, Jain, Barron, Mildenhall 2022 (DreamFusion, arXiv 2209.14988), with soft = 0.01, which hardly affects
    opacities well below 0.1. soft = 0 is the mean opacity, as in Dream Fields (Jain et al. 2021, arXiv
    2112.01455) without their target.

    Attributes:
        soft: softening constant, >= 0.
    """

    soft: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.soft >= 0:
            raise ValueError(f"Sparsity needs soft >= 0, got {self.soft}; DreamFusion uses 0.01")

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        o = require_3d(rendering, self).opacity
        return (o.square() + self.soft).sqrt().mean() if self.soft else o.abs().mean()
