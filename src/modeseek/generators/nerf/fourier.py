"""NeRF with a Fourier positional encoding: a coordinate network without a grid."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.nerf.network import EncodedVolume
from modeseek.generators.nerf.volume import BlobInit
from modeseek.rng import Rng


class Fourier(EncodedVolume):
    """Volume as an MLP of a positional encoding: sines and cosines at octave frequencies.

    After Mildenhall, Srinivasan, Tancik, Barron, Ramamoorthi, Ng 2020 (NeRF, arXiv 2003.08934), without view
    directions. Recommended learning rate with Adam: 0.005.

    Args:
        rng: random stream of the initial weights.
        octaves: number of frequencies, >= 1: half a period per radius of the ball, one, two ...
        width: width of the hidden layers, >= 1.
        depth: number of hidden layers, >= 1.
        blob: initial blob, added to the raw density.
        like: tensor whose dtype and device the parameters take; default float32 on the CPU.

    Raises:
        ValueError: sizes below 1.
    """

    def __init__(
        self,
        rng: Rng,
        octaves: int = 5,
        width: int = 32,
        depth: int = 2,
        blob: BlobInit | None = None,
        like: Tensor | None = None,
    ) -> None:
        if octaves < 1:
            raise ValueError(f"an encoding needs at least one octave, got {octaves}")
        super().__init__(3 + 6 * octaves, width, depth, rng, blob, torch.empty(0) if like is None else like)
        self.octaves = octaves

    @property
    def spacing(self) -> float:
        return 2.0**-self.octaves

    def encode(self, points: Float[Tensor, "m 3"]) -> Float[Tensor, "a m"]:
        coordinates = points.T
        sine, cosine = (math.pi * coordinates).sin(), (math.pi * coordinates).cos()
        rows = [coordinates, sine, cosine]
        for _ in range(self.octaves - 1):  # double-angle formulas cost far less than sines
            sine, cosine = 2 * sine * cosine, 1 - 2 * sine * sine
            rows += [sine, cosine]
        return torch.cat(rows)
