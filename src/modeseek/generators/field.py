"""Coordinate networks (implicit neural representations) as image generators."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.generators.base import BaseGenerator, View
from modeseek.generators.image import select_items
from modeseek.rng import Rng, as_rng, rand, randn

FieldKind = Literal["fourier", "siren", "hash"]
_ROWS = 2**12  # rows of each hash table
_MAX_WEIGHTS = 1_000_000_000  # of the hidden layers of all fields
_PRIMES = (1, 2_654_435_761)
CPU_CHUNK = 2**18  # activations per layer and chunk on a CPU; they stay in its cache: up to 2.5 times as fast


class Field(BaseGenerator):
    """n images, each a network from coordinates in [-1, 1]^2 to pixel values and one item.

    Kinds: random Fourier features and ReLU (Tancik et al. 2020, arXiv 2006.10739); sines (SIREN, Sitzmann et al. 2020,
    arXiv 2006.09661); a multi-resolution hash grid (Mueller et al. 2022, arXiv 2201.05989). All n networks are
    evaluated together by batched matrix products. Pixels start around 1/2 and, like those of `Image`, are never
    clipped, so that a gradient always reaches them: with an output sigmoid, four of six images saturated to white in
    the first steps of SDS. Recommended Adam learning rates: 0.01 for fourier and hash, 0.0003 for siren.

    Args:
        n: number of images, >= 1.
        size: (height, width) in pixels of the renders in a run; `render` gives any other.
        rng: seed or random stream of the initial weights.
        kind: encoding and activation, see above.
        channels: number of image channels, >= 1.
        width: width of the hidden layers, >= 1.
        depth: number of hidden layers, >= 1.
        frequency: standard deviation of the Fourier features, cycles per image side; for siren, the factor of the first
            sine over 2 pi (30 in the paper is 4.8).
        like: tensor whose dtype and device the parameters take; default float32 on the CPU.
    """

    def __init__(
        self,
        n: int,
        size: tuple[int, int],
        rng: int | Rng,
        kind: FieldKind = "fourier",
        channels: int = 3,
        width: int = 128,
        depth: int = 3,
        frequency: float = 4.8,
        like: Tensor | None = None,
    ) -> None:
        super().__init__()
        if kind not in ("fourier", "siren", "hash"):
            raise ValueError(f"a field kind must be fourier, siren or hash, got {kind!r}")
        if min(n, *size, channels, width, depth) < 1 or not 0 < frequency < math.inf:
            raise ValueError(
                f"a field needs positive sizes and a finite frequency, got n={n}, size={size}, width={width}, "
                f"depth={depth}, frequency={frequency}"
            )
        if n * width * width * depth > _MAX_WEIGHTS:
            raise ValueError(f"fields must have fewer weights, got n={n}, width={width}, depth={depth}; try width 128")
        like, rng = torch.empty(0) if like is None else like, as_rng(rng)
        self.size, self.kind, self.n, self.frequency = size, kind, n, frequency
        if kind == "fourier":
            self.register_buffer("waves", frequency * randn((n * (width // 2), 2), rng, like).reshape(n, -1, 2))
            inputs = 2 * (width // 2)
        elif kind == "hash":
            finest = max(size)
            count = max(2, min(16, round(math.log2(finest / 4)) * 2 + 1)) if finest > 4 else 2
            growth = (max(finest, 8) / 4) ** (1 / (count - 1))
            self.grids = tuple(round(4 * growth**k) for k in range(count))
            self.tables = nn.Parameter(1e-2 * _uniform((n * count * _ROWS, 2), rng, like).reshape(n, count, -1, 2))
            inputs = 2 * count
        else:
            inputs = 2
        sides = [inputs, *[width] * depth, channels]
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for layer, (fan_in, fan_out) in enumerate(zip(sides, sides[1:], strict=False)):
            self.weights.append(nn.Parameter(self._bound(layer, fan_in) * _uniform((n, fan_in, fan_out), rng, like)))
            self.biases.append(nn.Parameter(fan_in**-0.5 * _uniform((n, 1, fan_out), rng, like)))

    @property
    def n_items(self) -> int:
        return self.n

    def forward(self, view: View) -> Float[Tensor, "n c h w"]:
        return self.render(*self.size, view)

    def render_at(self, size: tuple[int, int]) -> Iterator[Float[Tensor, "c h w"]]:
        for item in range(self.n):
            with torch.no_grad():  # not around the yield: the caller may need gradients in between
                image = self.render(*size, View(items=(item,)))[0]
            yield image

    def render(self, height: int, width: int, view: View | None = None) -> Float[Tensor, "n c h w"]:
        """Renders all images, or those of a view, at the pixel centres of a height x width raster."""
        view = View(items=tuple(range(self.n))) if view is None else view
        like = self.weights[0]
        ys, xs = (
            (2 * torch.arange(side, dtype=like.dtype, device=like.device) + 1) / side - 1 for side in (height, width)
        )
        coordinates = torch.stack(torch.meshgrid(ys, xs, indexing="ij"), -1).reshape(1, -1, 2)
        layers = [
            (select_items(w, view), select_items(b, view)) for w, b in zip(self.weights, self.biases, strict=True)
        ]
        chunk = CPU_CHUNK // (len(view.items) * layers[0][0].shape[2]) if like.is_cpu else coordinates.shape[1]
        hashed = self.kind == "hash"  # encoded in one go: each lookup has a gradient as large as the table
        inputs = self._encode(coordinates, view) if hashed else coordinates
        outputs = [
            self._layers(part if hashed else self._encode(part, view), layers)
            for part in inputs.split(max(1, chunk), 1)
        ]
        return (0.5 + 0.25 * torch.cat(outputs, 1)).transpose(1, 2).reshape(len(view.items), -1, height, width)

    def _layers(self, h: Tensor, layers: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Applies the networks (weights and biases) to inputs (items, p, features); outputs are around 0."""
        for layer, (weight, bias) in enumerate(layers):
            h = torch.baddbmm(bias, h, weight)
            if layer < len(layers) - 1 and self.kind == "siren":
                h = torch.sin((2 * math.pi * self.frequency if layer == 0 else 30.0) * h)
            elif layer < len(layers) - 1:
                h = nn.functional.relu(h, inplace=True)
        return h

    def _encode(self, coordinates: Tensor, view: View) -> Tensor:
        if self.kind == "siren":
            return coordinates.expand(len(view.items), -1, -1)
        if self.kind == "fourier":
            phase = math.pi * coordinates @ select_items(self.get_buffer("waves"), view).transpose(1, 2)
            return torch.cat([phase.sin(), phase.cos()], -1)
        tables = select_items(self.tables, view)
        features = [self._corners(coordinates[0], level, tables[:, level]) for level in range(len(self.grids))]
        return torch.cat(features, -1)

    def _corners(self, coordinates: Tensor, level: int, table: Tensor) -> Tensor:
        """Interpolates one grid bilinearly; corners index its table, by a hash where they outnumber its rows."""
        side = self.grids[level]
        position = (coordinates + 1) / 2 * side
        low = position.floor().clamp(0, side - 1)
        fraction = position - low
        features = torch.zeros((), dtype=table.dtype, device=table.device)
        for dy in (0, 1):
            for dx in (0, 1):
                corner = low.long() + torch.tensor([dy, dx], device=coordinates.device)
                index = corner[:, 0] * (side + 1) + corner[:, 1]
                if (side + 1) ** 2 > table.shape[1]:
                    index = (corner[:, 0] * _PRIMES[0] ^ corner[:, 1] * _PRIMES[1]) % table.shape[1]
                wy = fraction[:, :1] if dy else 1 - fraction[:, :1]
                wx = fraction[:, 1:] if dx else 1 - fraction[:, 1:]
                features = features + wy * wx * table[:, index]
        return features

    def _bound(self, layer: int, fan_in: int) -> float:
        """Returns the bound of the uniform initialisation: He's for ReLU, SIREN's for sines."""
        if self.kind != "siren":
            return math.sqrt(6 / fan_in)
        return 1 / fan_in if layer == 0 else math.sqrt(6 / fan_in) / 30.0


def _uniform(shape: tuple[int, ...], rng: Rng, like: Tensor) -> Tensor:
    return 2 * rand(shape, rng, like) - 1
