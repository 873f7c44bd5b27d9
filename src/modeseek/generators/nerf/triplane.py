"""Triplane volumes: three feature planes and an MLP."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.generators.nerf.interpolate import bilinear
from modeseek.generators.nerf.network import EncodedVolume
from modeseek.generators.nerf.volume import BlobInit
from modeseek.rng import Rng, randn


class Triplane(EncodedVolume):
    """Volume as an MLP of features that are interpolated on the planes xy, zx and yz.

    After Chan et al. 2021 (EG3D, arXiv 2112.07945), who sum the three features; here they are concatenated.
    Recommended learning rate with Adam: 0.02.

    Args:
        rng: random stream of the initial planes and weights.
        side: grid points along each axis of a plane, >= 2.
        channels: features per plane, >= 1.
        width: width of the network's hidden layers, >= 1.
        depth: number of hidden layers, >= 1.
        blob: initial blob, added to the raw density.
        like: tensor whose dtype and device the parameters take; default float32 on the CPU.

    Raises:
        ValueError: a side below 2, or sizes below 1.
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
            raise ValueError(f"a plane needs at least 2 points per side, got {side}")
        self.planes = nn.Parameter(0.1 * randn((1, 3, channels, side, side), rng, like)[0])

    @property
    def spacing(self) -> float:
        return 2 / (self.planes.shape[-1] - 1)

    def encode(self, points: Float[Tensor, "m 3"]) -> Float[Tensor, "a m"]:
        x, y, z = points.unbind(-1)
        projections = torch.stack([torch.stack(pair, -1) for pair in ((x, y), (z, x), (y, z))])
        return bilinear(self.planes, projections).flatten(0, 1)

    def grids(self) -> tuple[Tensor, ...]:
        return tuple(self.planes.split(1))
