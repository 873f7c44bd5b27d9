"""Small networks on many points at once: columns are points, so that features need no turning over."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.generators.nerf.volume import BlobInit, RawVolume
from modeseek.rng import Rng, rand

CPU_CHUNK = 2**16  # points on a processor: memory of larger tensors is given back and cleared anew at every step


class ColumnMLP(nn.Module):
    """Layers with ReLU between them, on columns of features.

    Args:
        sides: features before, between and after the layers.
        rng: draws the weights (He's scale; the last layer a tenth of it, so that what is added to it rules at first).
        like: dtype and device.
    """

    def __init__(self, sides: tuple[int, ...], rng: Rng, like: Tensor) -> None:
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for layer, (before, after) in enumerate(zip(sides, sides[1:], strict=False)):
            bound = math.sqrt(6 / before) * (0.1 if layer == len(sides) - 2 else 1.0)
            self.weights.append(bound * (2 * rand((1, after, before), rng, like)[0] - 1))
            self.biases.append(torch.zeros(after, 1, dtype=like.dtype, device=like.device))

    def forward(self, h: Float[Tensor, "a m"]) -> Float[Tensor, "b m"]:
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.addmm(bias, weight, h)
            if layer < len(self.weights) - 1:
                h = h.relu_()
        return h


class EncodedVolume(RawVolume):
    """A volume that is an encoding of the points and a small network, on top of a blob.

    Args:
        features: rows of the encoding.
        width: of the hidden layers.
        depth: hidden layers.
        rng: draws the weights.
        blob: added to raw density, always.
        like: dtype and device.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(self, features: int, width: int, depth: int, rng: Rng, blob: BlobInit | None, like: Tensor) -> None:
        super().__init__()
        if min(features, width, depth) < 1:
            raise ValueError(
                f"a volume's network needs positive sizes: got {features} features, width {width}, depth {depth}"
            )
        self.blob = BlobInit() if blob is None else blob
        self.network = ColumnMLP((features, *[width] * depth, 4), rng, like)

    @abstractmethod
    def encode(self, points: Float[Tensor, "m 3"]) -> Float[Tensor, "a m"]:
        """The network's input."""

    def raw(self, points: Float[Tensor, "m 3"], colour: bool) -> Float[Tensor, "c m"]:
        parts = points.split(CPU_CHUNK) if points.is_cpu else (points,)
        raw = torch.cat([self.network(self.encode(part)) for part in parts], 1)
        return torch.cat([raw[:1] + self.blob(points), raw[1:]]) if colour else raw[:1] + self.blob(points)
