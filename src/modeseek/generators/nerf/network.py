"""MLPs on point features, and the base class of encoded volumes. Columns are points, which avoids transposes."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.generators.nerf.volume import BlobInit, RawVolume
from modeseek.rng import Rng, rand

CPU_CHUNK = 2**16  # points per chunk on a CPU: larger tensors are freed and zeroed again at every step


class ColumnMLP(nn.Module):
    """MLP with ReLU activations on features stored as columns, (features, points).

    Args:
        sides: numbers of features, from the input to the output.
        rng: random stream of the initial weights (He's scale; a tenth of it in the last layer, so that the blob added
            to the output dominates at first).
        like: tensor whose dtype and device the parameters take.
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
    """Base of volumes made of a positional encoding and an MLP, with an initial blob added.

    Args:
        features: number of encoded features, >= 1.
        width: width of the hidden layers, >= 1.
        depth: number of hidden layers, >= 1.
        rng: random stream of the initial weights.
        blob: blob added to the raw density throughout training.
        like: tensor whose dtype and device the parameters take.

    Raises:
        ValueError: a size below 1.
    """

    def __init__(self, features: int, width: int, depth: int, rng: Rng, blob: BlobInit | None, like: Tensor) -> None:
        super().__init__()
        if min(features, width, depth) < 1:
            raise ValueError(
                f"a volume network needs positive sizes, got {features} features, width {width}, depth {depth}"
            )
        self.blob = BlobInit() if blob is None else blob
        self.network = ColumnMLP((features, *[width] * depth, 4), rng, like)

    @abstractmethod
    def encode(self, points: Float[Tensor, "m 3"]) -> Float[Tensor, "a m"]:
        """Encodes points as the input of the network."""

    def raw(self, points: Float[Tensor, "m 3"], colour: bool) -> Float[Tensor, "c m"]:
        parts = points.split(CPU_CHUNK) if points.is_cpu else (points,)
        raw = torch.cat([self.network(self.encode(part)) for part in parts], 1)
        return torch.cat([raw[:1] + self.blob(points), raw[1:]]) if colour else raw[:1] + self.blob(points)
