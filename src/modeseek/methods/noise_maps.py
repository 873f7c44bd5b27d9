"""Noise that stays: one draw per item for a whole run, or a world of noise that every camera looks at."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.methods.base import RenderContext
from modeseek.rng import Rng, Streams, randn

NoiseByItem = Mapping[int, Tensor]
"""What was drawn, by item; item -1 is a world that all share."""
WORLD = -1


@runtime_checkable
class NoiseMap(Protocol):
    """Where an item's noise comes from."""

    def draw(
        self, kept: NoiseByItem, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> dict[int, Tensor]:
        """The standard normal numbers that these rows need, by item: those kept, and what is new."""
        ...

    def __call__(
        self, kept: NoiseByItem, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> Float[Tensor, "b *d"]:
        """The noise of every row, each number standard normal."""
        ...


@dataclass(frozen=True)
class PerItem:
    """Each item keeps the noise that it drew first; rows of one item (a point cloud) each have their own.

    With `Streams` an item's noise depends on the seed and its number alone, whenever it is first met.
    """

    def draw(
        self, kept: NoiseByItem, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> dict[int, Tensor]:
        items, rows = _items(z, context, rng)
        block = (rows, *z.shape[1:])
        for item in items:
            if item in kept and kept[item].shape != block:
                raise ValueError(
                    f"item {item} keeps its noise: got rows of shape {block} and before {tuple(kept[item].shape)}; "
                    "keep z's shape fixed along a run"
                )
        if all(item in kept for item in items):
            return {item: kept[item] for item in items}
        source = rng.at(0, items, f"{rng.use}/kept") if isinstance(rng, Streams) else rng
        fresh = dict(zip(items, randn(tuple(z.shape), source, z).split(rows), strict=True))
        return {item: kept.get(item, fresh[item]) for item in items}

    def __call__(
        self, kept: NoiseByItem, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> Float[Tensor, "b *d"]:
        items, _ = _items(z, context, rng)
        return torch.cat([kept[item].to(z) for item in items])


@dataclass(frozen=True)
class WorldNoise:
    """Noise that sticks to places of the world: views of one place see the same number.

    The world is `cells` standard normal numbers a channel, drawn once. Each pixel names p of them and gets their sum
    over sqrt(p), which is standard normal as long as a pixel's cells differ: p = 1 is a world map (FSD: the cell that a
    pixel's ray meets), p = 3 a triplane (CFD: one cell of each plane). Cells are looked up, never blended: interpolated
    noise has too small a variance.

    Attributes:
        cells: how many numbers a channel of the world has.
        places: from a context to the cells of each pixel, (b, p, h, w) integers below `cells`.
    """

    cells: int
    places: Callable[[RenderContext], Int[Tensor, "b p h w"]]

    def __post_init__(self) -> None:
        if self.cells < 1:
            raise ValueError(f"a world of noise needs cells >= 1: got {self.cells}; raise it")

    def draw(
        self, kept: NoiseByItem, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> dict[int, Tensor]:
        if z.ndim != 4:
            raise ValueError(f"a world of noise is seen in pictures (b, c, h, w): got {tuple(z.shape)}; use PerItem()")
        if WORLD in kept:
            return {WORLD: kept[WORLD]}
        source = rng.at(0, (0,), f"{rng.use}/world") if isinstance(rng, Streams) else rng
        return {WORLD: randn((z.shape[1], self.cells), source, z)}

    def __call__(
        self, kept: NoiseByItem, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> Float[Tensor, "b *d"]:
        if context is None:
            raise ValueError("a world of noise needs a camera: got no context; pass context=Scene(...)")
        places = self.places(context)
        if places.ndim != 4 or places[:, 0].shape != (len(z), *z.shape[2:]):
            raise ValueError(f"places are ({len(z)}, p, {', '.join(map(str, z.shape[2:]))}): got {tuple(places.shape)}")
        seen = kept[WORLD].to(z)[:, places].sum(2) / math.sqrt(places.shape[1])
        return seen.movedim(0, 1)


def refresh_noise(kept: Mapping[int, Tensor], share: float, rng: Rng) -> dict[int, Tensor]:
    """One Ornstein-Uhlenbeck step: `sqrt(1 - share) noise + sqrt(share) fresh`, standard normal still."""
    if share == 0:
        return dict(kept)
    first = next(iter(kept.values()))
    source = rng
    if isinstance(rng, Streams):
        source = rng.at(rng.step, (0,) if WORLD in kept else tuple(kept), f"{rng.use}/refresh")
    blocks = torch.cat(list(kept.values()))
    fresh = randn(tuple(blocks.shape), source, blocks)
    mixed = math.sqrt(1 - share) * blocks + math.sqrt(share) * fresh
    return dict(zip(kept, mixed.split(len(first)), strict=True))


def _items(z: Tensor, context: RenderContext | None, rng: Rng) -> tuple[tuple[int, ...], int]:
    """The items of a batch, and how many rows each has."""
    if context is not None:
        items = tuple(int(i) for i in context.item)
    else:
        items = rng.items if isinstance(rng, Streams) else tuple(range(len(z)))
    if len(z) % len(items) or len(set(items)) != len(items):
        raise ValueError(f"{len(z)} rows cannot be shared by the items {items}: each item comes once; match them")
    return items, len(z) // len(items)
