"""Colour and density by a network of random Fourier features, without preferred axes."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.nerf.network import EncodedVolume
from modeseek.generators.nerf.volume import BlobInit
from modeseek.rng import Rng, randn


class RandomFourier(EncodedVolume):
    """Volume as an MLP of random Fourier features: sines and cosines of `2 pi B x`, rows of B normal.

    After Tancik et al. 2020 (arXiv 2006.10739). Waves of all directions leave no pattern along the axes, which those of
    `Fourier` do. Recommended learning rate with Adam: 0.01 for colours on a surface.

    Args:
        rng: random stream of the waves and of the initial weights.
        waves: number of waves, >= 1; each gives two features.
        frequency: standard deviation of each coordinate of a wave, cycles per radius of the ball, > 0.
        width: width of the hidden layers, >= 1.
        depth: number of hidden layers, >= 1.
        blob: initial blob, added to the raw density.
        like: tensor whose dtype and device the parameters take; default float32 on the CPU.

    Raises:
        ValueError: sizes below 1, or a frequency that is not positive and finite.
    """

    def __init__(
        self,
        rng: Rng,
        waves: int = 48,
        frequency: float = 1.2,
        width: int = 48,
        depth: int = 2,
        blob: BlobInit | None = None,
        like: Tensor | None = None,
    ) -> None:
        if not 0 < frequency < math.inf:
            raise ValueError(f"frequency of random Fourier features must be above 0, got {frequency}; try 1.2")
        like = torch.empty(0) if like is None else like
        super().__init__(2 * waves, width, depth, rng, blob, like)
        self.frequency = frequency
        self.register_buffer("waves", 2 * math.pi * frequency * randn((1, waves, 3), rng, like)[0])

    @property
    def spacing(self) -> float:
        return 0.25 / (3 * self.frequency)  # a quarter of the period at three standard deviations

    def encode(self, points: Float[Tensor, "m 3"]) -> Float[Tensor, "a m"]:
        phase = self.get_buffer("waves") @ points.T
        return torch.cat([phase.sin(), phase.cos()])
