"""Noise fixed along a run: one draw per item, or one world-space noise shared by all cameras."""

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
"""Drawn noise by item index; index -1 is the world noise shared by all items."""
WORLD = -1


@runtime_checkable
class NoiseMap(Protocol):
    """Source of each item's noise."""

    def draw(
        self, noise_by_item: NoiseByItem, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> dict[int, Tensor]:
        """Returns the standard normal numbers of these rows by item: stored ones, and new draws for new items."""
        ...

    def __call__(
        self, noise_by_item: NoiseByItem, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> Float[Tensor, "b *d"]:
        """Returns the noise of every row, each number standard normal, (b, *d)."""
        ...


@dataclass(frozen=True)
class PerItem:
    """Noise drawn once per item; the rows of one item (a point cloud) each have their own.

    With `Streams` an item's noise depends only on the seed and the item index, not on the step of its first draw.
    """

    def draw(
        self, noise_by_item: NoiseByItem, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> dict[int, Tensor]:
        items, rows = _items(z, context, rng)
        block = (rows, *z.shape[1:])
        for item in items:
            if item in noise_by_item and noise_by_item[item].shape != block:
                raise ValueError(
                    f"item {item} must keep the shape {tuple(noise_by_item[item].shape)} of its noise, got {block}; "
                    "try a new run"
                )
        if all(item in noise_by_item for item in items):
            return {item: noise_by_item[item] for item in items}
        source = rng.at(0, items, f"{rng.use}/kept") if isinstance(rng, Streams) else rng
        fresh = dict(zip(items, randn(tuple(z.shape), source, z).split(rows), strict=True))
        return {item: noise_by_item.get(item, fresh[item]) for item in items}

    def __call__(
        self, noise_by_item: NoiseByItem, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> Float[Tensor, "b *d"]:
        items, _ = _items(z, context, rng)
        return torch.cat([noise_by_item[item].to(z) for item in items])


@dataclass(frozen=True)
class WorldNoise:
    """Noise fixed in world space: views of one point see the same number.

    The world is `cells` standard normal numbers per channel, drawn once. Each pixel indexes p of them and gets their
    sum over sqrt(p), which is standard normal as long as a pixel's cells differ: p = 1 is a world map (FSD: the cell
    hit by the pixel's ray), p = 3 a triplane (CFD: one cell of each plane). Cells are looked up, never interpolated:
    interpolated noise has too small a variance.

    Attributes:
        cells: number of cells per channel, >= 1.
        places: function from the render context to the cell indices of each pixel, (b, p, h, w) integers < `cells`.
    """

    cells: int
    places: Callable[[RenderContext], Int[Tensor, "b p h w"]]

    def __post_init__(self) -> None:
        if self.cells < 1:
            raise ValueError(f"WorldNoise needs cells >= 1, got {self.cells}")

    def draw(
        self, noise_by_item: NoiseByItem, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> dict[int, Tensor]:
        if z.ndim != 4:
            raise ValueError(f"WorldNoise needs z of shape (b, c, h, w), got {tuple(z.shape)}; try PerItem()")
        if WORLD in noise_by_item:
            return {WORLD: noise_by_item[WORLD]}
        source = rng.at(0, (0,), f"{rng.use}/world") if isinstance(rng, Streams) else rng
        return {WORLD: randn((z.shape[1], self.cells), source, z)}

    def __call__(
        self, noise_by_item: NoiseByItem, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> Float[Tensor, "b *d"]:
        if context is None:
            raise ValueError("WorldNoise needs a context, got none; try context=RenderContext(...)")
        places = self.places(context)
        if places.ndim != 4 or places[:, 0].shape != (len(z), *z.shape[2:]):
            raise ValueError(
                f"places must have shape ({len(z)}, p, {', '.join(map(str, z.shape[2:]))}), got {tuple(places.shape)}"
            )
        noise = noise_by_item[WORLD].to(z)[:, places].sum(2) / math.sqrt(places.shape[1])
        return noise.movedim(0, 1)


def refresh_noise(noise_by_item: Mapping[int, Tensor], share: float, rng: Rng) -> dict[int, Tensor]:
    """Returns one Ornstein-Uhlenbeck step `sqrt(1 - share) noise + sqrt(share) fresh`, still standard normal."""
    if share == 0:
        return dict(noise_by_item)
    first = next(iter(noise_by_item.values()))
    source = rng
    if isinstance(rng, Streams):
        source = rng.at(rng.step, (0,) if WORLD in noise_by_item else tuple(noise_by_item), f"{rng.use}/refresh")
    blocks = torch.cat(list(noise_by_item.values()))
    fresh = randn(tuple(blocks.shape), source, blocks)
    mixed = math.sqrt(1 - share) * blocks + math.sqrt(share) * fresh
    return dict(zip(noise_by_item, mixed.split(len(first)), strict=True))


def _items(z: Tensor, context: RenderContext | None, rng: Rng) -> tuple[tuple[int, ...], int]:
    """Returns the item indices of a batch and the number of rows per item."""
    if context is not None:
        items = tuple(int(i) for i in context.item)
    else:
        items = rng.items if isinstance(rng, Streams) else tuple(range(len(z)))
    if len(z) % len(items) or len(set(items)) != len(items):
        raise ValueError(f"items must be distinct and divide the number of rows, got {len(z)} rows and items {items}")
    return items, len(z) // len(items)
