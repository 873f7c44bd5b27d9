"""Noise fixed along a run: one draw per particle, or one world-space noise shared by all cameras."""

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

NoiseByParticle = Mapping[int, Tensor]
"""Drawn noise by index of the particle; index -1 is a world noise shared by all particles."""
WORLD = -1


@runtime_checkable
class NoiseMap(Protocol):
    """Source of the noise of each row."""

    def draw(
        self, noise_by_particle: NoiseByParticle, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> dict[int, Tensor]:
        """Returns the standard normal numbers of these rows by particle: stored ones, and draws for new particles."""
        ...

    def __call__(
        self, noise_by_particle: NoiseByParticle, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> Float[Tensor, "b *d"]:
        """Returns the noise of every row, each number standard normal, (b, *d)."""
        ...


@dataclass(frozen=True)
class PerParticle:
    """Noise drawn once per particle: all views of one object share one noise image, each image has its own.

    The rows of an item of several (a point cloud) are particles and each have their own; they are kept together, under
    the number of the item. With `Streams` the noise depends only on the seed and the particle: not on the step of its
    first draw, on the batch, or on the process.
    """

    def draw(
        self, noise_by_particle: NoiseByParticle, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> dict[int, Tensor]:
        particles, rows = particles_of(z, context, rng)
        particles = tuple(dict.fromkeys(particles))
        block = (rows, *z.shape[1:])
        for particle in particles:
            if particle in noise_by_particle and noise_by_particle[particle].shape != block:
                raise ValueError(
                    f"particle {particle} must keep the shape {tuple(noise_by_particle[particle].shape)} of its noise, "
                    f"got {block}; try a new run"
                )
        if all(particle in noise_by_particle for particle in particles):
            return {particle: noise_by_particle[particle] for particle in particles}
        source = rng.at(0, particles, f"{rng.use}/kept") if isinstance(rng, Streams) else rng
        drawn = randn((len(particles) * rows, *z.shape[1:]), source, z).split(rows)
        fresh = dict(zip(particles, drawn, strict=True))
        return {particle: noise_by_particle.get(particle, fresh[particle]) for particle in particles}

    def __call__(
        self, noise_by_particle: NoiseByParticle, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> Float[Tensor, "b *d"]:
        return torch.cat([noise_by_particle[particle].to(z) for particle in particles_of(z, context, rng)[0]])


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
        self, noise_by_particle: NoiseByParticle, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> dict[int, Tensor]:
        if z.ndim != 4:
            raise ValueError(f"WorldNoise needs z of shape (b, c, h, w), got {tuple(z.shape)}; try PerParticle()")
        if WORLD in noise_by_particle:
            return {WORLD: noise_by_particle[WORLD]}
        source = rng.at(0, (0,), f"{rng.use}/world") if isinstance(rng, Streams) else rng
        return {WORLD: randn((z.shape[1], self.cells), source, z)}

    def __call__(
        self, noise_by_particle: NoiseByParticle, z: Float[Tensor, "b *d"], context: RenderContext | None, rng: Rng
    ) -> Float[Tensor, "b *d"]:
        if context is None:
            raise ValueError("WorldNoise needs a context, got none; try context=RenderContext(...)")
        places = self.places(context)
        if places.ndim != 4 or places[:, 0].shape != (len(z), *z.shape[2:]):
            raise ValueError(
                f"places must have shape ({len(z)}, p, {', '.join(map(str, z.shape[2:]))}), got {tuple(places.shape)}"
            )
        noise = noise_by_particle[WORLD].to(z)[:, places].sum(2) / math.sqrt(places.shape[1])
        return noise.movedim(0, 1)


def refresh_noise(noise_by_particle: Mapping[int, Tensor], share: float, rng: Rng) -> dict[int, Tensor]:
    """Returns one Ornstein-Uhlenbeck step `sqrt(1 - share) noise + sqrt(share) fresh`, still standard normal."""
    if share == 0:
        return dict(noise_by_particle)
    first = next(iter(noise_by_particle.values()))
    source = rng
    if isinstance(rng, Streams):
        source = rng.at(
            rng.step, (0,) if WORLD in noise_by_particle else tuple(noise_by_particle), f"{rng.use}/refresh"
        )
    blocks = torch.cat(list(noise_by_particle.values()))
    fresh = randn(tuple(blocks.shape), source, blocks)
    mixed = math.sqrt(1 - share) * blocks + math.sqrt(share) * fresh
    return dict(zip(noise_by_particle, mixed.split(len(first)), strict=True))


def particles_of(z: Tensor, context: RenderContext | None, rng: Rng) -> tuple[tuple[int, ...], int]:
    """Returns the particle of each row and 1; of items of several rows the items, and the number of rows of each."""
    if context is not None and len(z) == len(context.view.items):
        return tuple(context.particle.tolist()), 1
    if context is not None:
        particles = context.view.items
    else:
        particles = rng.items if isinstance(rng, Streams) else tuple(range(len(z)))
    if len(z) % len(particles) or len(set(particles)) != len(particles):
        raise ValueError(
            f"items must be distinct and divide the number of rows, got {len(z)} rows and items {particles}"
        )
    return particles, len(z) // len(particles)
