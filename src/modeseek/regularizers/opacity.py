"""Penalties on how much of each pixel is covered."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from modeseek.generators.base import Rendering
from modeseek.regularizers.base import Penalty, require_3d

_EDGE = 1e-3


@dataclass(frozen=True)
class OpacityEntropy(Penalty):
    """Mean over pixels of `H(o) = -o ln o - (1 - o) ln(1 - o)` of the opacity o: fog becomes thing or nothing.

    Metzer, Richardson, Patashnik, Giryes, Cohen-Or 2022 (Latent-NeRF, arXiv 2211.07600), their sparsity term. Opacities
    nearer than 0.001 to 0 or 1 count as there and are left alone: H has no bounded slope at its ends. At o = 1/2 its
    slope is 0 as well, so it decides by what is already more or less than half: raise its weight late.
    """

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        o = require_3d(rendering, self).opacity.clamp(_EDGE, 1 - _EDGE)
        return -(o * o.log() + (1 - o) * (-o).log1p()).mean()


@dataclass(frozen=True)
class Sparsity(Penalty):
    """Mean over pixels of `sqrt(o^2 + soft)`: less of everything.

    Poole, Jain, Barron, Mildenhall 2022 (DreamFusion, arXiv 2209.14988), with soft = 0.01, which lets go of pixels
    whose opacity is well below 0.1. soft = 0 is the mean opacity, as in Dream Fields (Jain et al. 2021, arXiv
    2112.01455) without its target.

    Attributes:
        soft: see above, >= 0.
    """

    soft: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.soft >= 0:
            raise ValueError(f"Sparsity needs soft >= 0: got {self.soft}; DreamFusion's is 0.01")

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        o = require_3d(rendering, self).opacity
        return (o.square() + self.soft).sqrt().mean() if self.soft else o.abs().mean()
