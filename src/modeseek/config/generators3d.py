"""Three-dimensional things that a run can optimise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from modeseek.codec import Codec, ResizeCodec
from modeseek.config.generators import BuiltGenerator, image_shape
from modeseek.config.priors import LoadedPrior
from modeseek.generators.mesh.read import read_mesh
from modeseek.generators.mesh.surface import Surface
from modeseek.generators.nerf import Background, Dense, Fourier, HashGrid, NeRF, ResolutionStage, Triplane, Volume
from modeseek.generators.orbit import Orbit
from modeseek.rng import Streams

VolumeKind = Literal["dense", "triplane", "fourier", "hash"]


@dataclass(frozen=True)
class NeRFConfig:
    """A NeRF: density and colour inside a ball, seen by cameras around it.

    Attributes:
        kind: dense (grids, coarse to fine; Adam with rate 0.25 that falls to a fifth), triplane, fourier or hash (small
            networks; Adam with rate 0.02, 0.005 and 0.01).
        views: cameras a step, each an item.
        size: side of its pictures, pixels; null is what the prior sees. Others are resized for the prior.
        coarse: share of that side which is rendered while the first grid is in use, in (0, 1].
        samples: a ray.
        radius: of the ball, world units.
        sides: points along each axis of the dense grids, coarse to fine.
        finer: share of the run from which the next of them is used; the others follow evenly until the end.
        prune: density, a world unit, below which space is closed when a finer grid begins; 0 closes nothing.
        background: constant (white), random (a colour an item) or learned (a smooth panorama).
        orbit: where cameras may stand; null is what the prior suggests.
    """

    kind: VolumeKind = "dense"
    views: int = 4
    size: int | None = None
    coarse: float = 0.5
    samples: int = 48
    radius: float = 1.0
    sides: tuple[int, ...] = (32, 64)
    finer: float = 0.5
    prune: float = 0.05
    background: Literal["constant", "random", "learned"] = "constant"
    orbit: Orbit | None = None

    def __post_init__(self) -> None:
        if self.views < 1 or not 0 < self.finer < 1 or not 0 <= self.prune < float("inf"):
            raise ValueError(
                f"a volume needs views >= 1, finer in (0, 1), prune >= 0: got {self.views}, {self.finer}, {self.prune}"
            )
        if not 0 < self.coarse <= 1:
            raise ValueError(f"coarse is a share of the pictures' side in (0, 1]: got {self.coarse}; 1 is all of it")

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator:
        like = torch.empty(0, dtype=loaded.prior.dtype, device=loaded.prior.device)
        codec, side = _sized(loaded, self.size, resizes=self.coarse < 1)
        volume = self._volume(Streams(seed, use="start"), like)
        nerf = NeRF(
            volume,
            orbit=self.orbit or loaded.orbit or Orbit(),
            size=side,
            samples=self.samples,
            radius=self.radius,
            background=Background(self.background, like=like),
            stages=self._stages(side, volume),
        )
        return BuiltGenerator(nerf, codec, self.views, pixels=True)

    def _volume(self, rng: Streams, like: Tensor) -> Dense | Triplane | Fourier | HashGrid:
        if self.kind == "dense":
            return Dense(self.sides, like=like)
        return {"triplane": Triplane, "fourier": Fourier, "hash": HashGrid}[self.kind](rng, like=like)

    def _stages(self, side: int, volume: Volume) -> tuple[ResolutionStage, ...]:
        """The first grid until `finer`, then the others, each for an equal share of what is left."""
        more = volume.levels - 1
        first = ResolutionStage(0.0, max(1, round(self.coarse * side)) if more else side)
        later = (
            ResolutionStage(self.finer + (1 - self.finer) * k / more, side, k + 1, self.prune) for k in range(more)
        )
        return (first, *later)


@dataclass(frozen=True)
class MeshConfig:
    """A mesh whose vertex colours are optimised: a second stage after a volume.

    Attributes:
        path: a .ply file with vertex colours, such as a run on a volume leaves in exports/.
        views: cameras a step, each an item.
        size: side of its pictures, pixels; null is what the prior sees.
        samples: sub-pixels along each side of a pixel.
        background: constant (white), random (a colour an item) or learned.
        orbit: where cameras may stand; null is what the prior suggests.
    """

    path: Path
    views: int = 4
    size: int | None = None
    samples: int = 2
    background: Literal["constant", "random", "learned"] = "constant"
    orbit: Orbit | None = None

    def __post_init__(self) -> None:
        if self.views < 1:
            raise ValueError(f"a surface needs views >= 1: got {self.views}")

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator:
        like = torch.empty(0, dtype=loaded.prior.dtype, device=loaded.prior.device)
        codec, side = _sized(loaded, self.size)
        surface = Surface(
            read_mesh(self.path, like),
            orbit=self.orbit or loaded.orbit or Orbit(),
            size=side,
            background=Background(self.background, like=like),
            samples=self.samples,
        )
        return BuiltGenerator(surface, codec, self.views, pixels=True)


def _sized(loaded: LoadedPrior, size: int | None, *, resizes: bool = False) -> tuple[Codec, int]:
    """The codec, which resizes where it must or shall be able to, and the side that is rendered.

    Raises:
        ValueError: a prior that sees no square colour pictures.
    """
    channels, height, width = image_shape(loaded)
    if channels != 3 or height != width:
        raise ValueError(
            f"a thing in three dimensions needs a prior of square colour pictures: got {channels} channels of {height} "
            f"x {width} pixels; choose another prior or size"
        )
    size = height if size is None else size
    if size == height and not resizes:
        return loaded.codec, height
    return ResizeCodec(loaded.codec, height, width), size
