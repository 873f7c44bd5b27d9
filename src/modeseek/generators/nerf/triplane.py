"""Three planes of features and a small network."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.generators.nerf.interpolate import bilinear
from modeseek.generators.nerf.network import EncodedVolume
from modeseek.generators.nerf.volume import BlobInit
from modeseek.rng import Rng, randn


class Triplane(EncodedVolume):
    """Features of a point's three shadows on the planes xy, zx and yz, and a network of them.

    After Chan et al. 2021 (EG3D, arXiv 2112.07945), who add the three up; here they stand one after the other. Adam
    with rate 0.02 suits it.

    Args:
        rng: draws the weights.
        side: points along each axis of a plane.
        channels: features a plane.
        width: of the network's hidden layers.
        depth: hidden layers.
        blob: added to raw density.
        like: dtype and device.

    Raises:
        ValueError: planes of less than 2 points a side, or sizes below 1.
    """

    def __init__(
        self,
        rng: Rng,
        side: int = 64,
        channels: int = 8,
        width: int = 16,
        depth: int = 1,
        blob: BlobInit | None = None,
        like: Tensor | None = None,
    ) -> None:
        like = torch.empty(0) if like is None else like
        super().__init__(3 * channels, width, depth, rng, blob, like)
        if side < 2:
            raise ValueError(f"a plane has at least 2 points a side: got {side}; take more")
        self.planes = nn.Parameter(0.1 * randn((1, 3, channels, side, side), rng, like)[0])

    @property
    def spacing(self) -> float:
        return 2 / (self.planes.shape[-1] - 1)

    def encode(self, points: Float[Tensor, "m 3"]) -> Float[Tensor, "a m"]:
        x, y, z = points.unbind(-1)
        shadows = torch.stack([torch.stack(two, -1) for two in ((x, y), (z, x), (y, z))])
        return bilinear(self.planes, shadows).flatten(0, 1)

    def grids(self) -> tuple[Tensor, ...]:
        return tuple(self.planes.split(1))
