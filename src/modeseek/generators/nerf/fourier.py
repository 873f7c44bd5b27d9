"""The original: a network of the coordinates alone."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.nerf.network import EncodedVolume
from modeseek.generators.nerf.volume import BlobInit
from modeseek.rng import Rng


class Fourier(EncodedVolume):
    """Coordinates, their sines and cosines at doubling frequencies, and a network of them.

    As Mildenhall, Srinivasan, Tancik, Barron, Ramamoorthi, Ng 2020 (NeRF, arXiv 2003.08934), without view directions.
    Adam with rate 0.005 suits it.

    Args:
        rng: draws the weights.
        octaves: frequencies: half a wave over the ball's radius, one, two ...
        width: of the hidden layers.
        depth: hidden layers.
        blob: added to raw density.
        like: dtype and device.

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
            raise ValueError(f"an encoding has at least one octave: got {octaves}; take more")
        super().__init__(3 + 6 * octaves, width, depth, rng, blob, torch.empty(0) if like is None else like)
        self.octaves = octaves

    @property
    def spacing(self) -> float:
        return 2.0**-self.octaves

    def encode(self, points: Float[Tensor, "m 3"]) -> Float[Tensor, "a m"]:
        place = points.T
        sine, cosine = (math.pi * place).sin(), (math.pi * place).cos()
        rows = [place, sine, cosine]
        for _ in range(self.octaves - 1):  # by the double angle, which costs far less than a sine
            sine, cosine = 2 * sine * cosine, 1 - 2 * sine * sine
            rows += [sine, cosine]
        return torch.cat(rows)
