"""Coordinate networks: a picture is a function of its coordinates, in weights shared by all of its pixels."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.generators.base import View
from modeseek.generators.image import item_indices, select_items
from modeseek.rng import Rng, rand, randn

FieldKind = Literal["fourier", "siren", "hash"]
_ROWS = 2**12  # of each hash table
_PRIMES = (1, 2_654_435_761)
CPU_CHUNK = 2**18  # numbers of a layer on a processor, so that they stay in its cache: up to 2.5 times as fast


class Field(nn.Module):
    """n pictures, each a small network from coordinates in [-1, 1]^2 to pixels; each one item.

    Kinds: random Fourier features and ReLU (Tancik et al. 2020, arXiv 2006.10739); sines (SIREN, Sitzmann et al. 2020,
    arXiv 2006.09661); a multi-resolution hash grid (Mueller et al. 2022, arXiv 2201.05989). All n networks are
    evaluated together by batched matrix products. Pixels begin around 1/2 and, as those of `Image`, nothing clips them,
    so that a gradient always reaches them: behind a sigmoid four of six pictures turned white for good in the first
    steps of SDS, backgrounds being pale. Adam with rate 0.01 suits fourier and hash, 0.0003 siren.

    Args:
        n: pictures.
        size: (height, width) that is rendered; any other can be had from `render`.
        rng: draws the weights.
        kind: see above.
        channels: of a pixel.
        width: of the hidden layers.
        depth: hidden layers.
        frequency: standard deviation of the Fourier features in cycles over the picture; first sine's factor over
            2 pi (SIREN: 30 is 4.8).
        like: dtype and device.
    """

    def __init__(
        self,
        n: int,
        size: tuple[int, int],
        rng: Rng,
        kind: FieldKind = "fourier",
        channels: int = 3,
        width: int = 128,
        depth: int = 3,
        frequency: float = 4.8,
        like: Tensor | None = None,
    ) -> None:
        super().__init__()
        if kind not in ("fourier", "siren", "hash"):
            raise ValueError(f"a field is fourier, siren or hash: got {kind!r}; choose one")
        if min(n, *size, channels, width, depth) < 1 or not 0 < frequency < math.inf:
            raise ValueError(f"a field needs positive sizes: got n={n}, size={size}, width={width}, depth={depth}")
        like = torch.empty(0) if like is None else like
        self.size, self.kind, self.n, self.frequency = size, kind, n, frequency
        if kind == "fourier":
            self.register_buffer("waves", frequency * randn((n * (width // 2), 2), rng, like).reshape(n, -1, 2))
            inputs = 2 * (width // 2)
        elif kind == "hash":
            finest = max(size)
            count = max(2, min(16, round(math.log2(finest / 4)) * 2 + 1)) if finest > 4 else 2
            growth = (max(finest, 8) / 4) ** (1 / (count - 1))
            self.grids = tuple(round(4 * growth**k) for k in range(count))
            self.tables = nn.Parameter(1e-2 * _even((n * count * _ROWS, 2), rng, like).reshape(n, count, -1, 2))
            inputs = 2 * count
        else:
            inputs = 2
        sides = [inputs, *[width] * depth, channels]
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for layer, (fan_in, fan_out) in enumerate(zip(sides, sides[1:], strict=False)):
            self.weights.append(nn.Parameter(self._bound(layer, fan_in) * _even((n, fan_in, fan_out), rng, like)))
            self.biases.append(nn.Parameter(fan_in**-0.5 * _even((n, 1, fan_out), rng, like)))

    def view(self, n: int, rng: Rng) -> View:
        """All pictures; n must be their number."""
        return View(items=item_indices(range(self.n), n))

    def forward(self, view: View) -> Float[Tensor, "n c h w"]:
        return self.render(*self.size, view)

    def render(self, height: int, width: int, view: View | None = None) -> Float[Tensor, "n c h w"]:
        """The pictures (of a view: those alone) at any resolution: pixel centres of a height x width raster."""
        view = View(items=tuple(range(self.n))) if view is None else view
        like = self.weights[0]
        ys, xs = (
            (2 * torch.arange(side, dtype=like.dtype, device=like.device) + 1) / side - 1 for side in (height, width)
        )
        place = torch.stack(torch.meshgrid(ys, xs, indexing="ij"), -1).reshape(1, -1, 2)
        layers = [(select_items(w, view), select_items(b, view)) for w, b in zip(self.weights, self.biases, strict=True)]
        at_once = CPU_CHUNK // (len(view.items) * layers[0][0].shape[2]) if like.is_cpu else place.shape[1]
        looked_up = self.kind == "hash"  # at once: every look at a table has a gradient as large as the table
        rows = self._encode(place, view) if looked_up else place
        parts = [
            self._layers(part if looked_up else self._encode(part, view), layers)
            for part in rows.split(max(1, at_once), 1)
        ]
        return (0.5 + 0.25 * torch.cat(parts, 1)).transpose(1, 2).reshape(len(view.items), -1, height, width)

    def _layers(self, h: Tensor, layers: list[tuple[Tensor, Tensor]]) -> Tensor:
        """What the networks (weights and biases) make of their inputs (items, p, features): around 0."""
        for layer, (weight, bias) in enumerate(layers):
            h = torch.baddbmm(bias, h, weight)
            if layer < len(layers) - 1 and self.kind == "siren":
                h = torch.sin((2 * math.pi * self.frequency if layer == 0 else 30.0) * h)
            elif layer < len(layers) - 1:
                h = nn.functional.relu(h, inplace=True)
        return h

    def _encode(self, place: Tensor, view: View) -> Tensor:
        if self.kind == "siren":
            return place.expand(len(view.items), -1, -1)
        if self.kind == "fourier":
            phase = math.pi * place @ select_items(self.get_buffer("waves"), view).transpose(1, 2)
            return torch.cat([phase.sin(), phase.cos()], -1)
        tables = select_items(self.tables, view)
        return torch.cat([self._corners(place[0], level, tables[:, level]) for level in range(len(self.grids))], -1)

    def _corners(self, place: Tensor, level: int, table: Tensor) -> Tensor:
        """Bilinear interpolation of one grid, whose corners are found by hashing where they outnumber the table."""
        side = self.grids[level]
        spot = (place + 1) / 2 * side
        low = spot.floor().clamp(0, side - 1)
        share = spot - low
        found = torch.zeros((), dtype=table.dtype, device=table.device)
        for dy in (0, 1):
            for dx in (0, 1):
                corner = low.long() + torch.tensor([dy, dx], device=place.device)
                index = corner[:, 0] * (side + 1) + corner[:, 1]
                if (side + 1) ** 2 > table.shape[1]:
                    index = (corner[:, 0] * _PRIMES[0] ^ corner[:, 1] * _PRIMES[1]) % table.shape[1]
                wy = share[:, :1] if dy else 1 - share[:, :1]
                wx = share[:, 1:] if dx else 1 - share[:, 1:]
                found = found + wy * wx * table[:, index]
        return found

    def _bound(self, layer: int, fan_in: int) -> float:
        """Of the even distribution that keeps the size of signals: He's for ReLU, SIREN's for sines."""
        if self.kind != "siren":
            return math.sqrt(6 / fan_in)
        return 1 / fan_in if layer == 0 else math.sqrt(6 / fan_in) / 30.0


def _even(shape: tuple[int, ...], rng: Rng, like: Tensor) -> Tensor:
    return 2 * rand(shape, rng, like) - 1
