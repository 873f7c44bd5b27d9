"""Configurations of 3D generators: NeRFs and meshes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from modeseek.codec import ImageCodec, ResizeCodec
from modeseek.config.generators import BuiltGenerator, Generator3DConfig, image_shape
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.generators.ensemble import Ensemble
from modeseek.generators.mesh.atlas import SIZES
from modeseek.generators.mesh.read import read_mesh
from modeseek.generators.mesh.surface import Surface
from modeseek.generators.nerf import Background, Dense, Fourier, HashGrid, NeRF, ResolutionStage, Triplane, Volume
from modeseek.generators.orbit import Orbit
from modeseek.rng import Streams

_MAX_SIDE = 8192  # of rendered images, pixels
_MAX_PARTICLES = 64
TEXTURE_SIZE = 512  # side of the texture of an exported mesh, pixels
VolumeKind = Literal["dense", "triplane", "fourier", "hash"]


@dataclass(frozen=True)
class NeRFConfig(Generator3DConfig):
    """NeRF: density and colour inside a ball, rendered by cameras around it.

    Attributes:
        kind: representation: dense (grids, coarse to fine; tuned for Adam with learning rate 0.25, falling to a fifth),
            triplane, fourier or hash (small networks; tuned for Adam with learning rates 0.02, 0.005 and 0.01).
        views: number of cameras per step of each particle, one item each, >= 1.
        size: side of the rendered images, pixels, resized for the prior; null is the prior's input size.
        coarse: share of `size` that is rendered while the first grid is in use, in (0, 1].
        samples: number of samples per ray.
        radius: radius of the ball, world units.
        sides: number of grid points along each axis of the dense grids, coarse to fine.
        finer: progress at which the second grid takes over, in (0, 1); the others follow evenly until the end.
        prune: density per world unit below which space is marked empty when a finer grid begins, >= 0; 0 marks nothing.
        background: constant (white), random (one colour per item) or learned (smooth environment map).
        orbit: distribution of the cameras; null is the prior's own.
        particles: number of NeRFs that are optimised together (`modeseek.Ensemble`), 1 to 64, for methods that compare
            them (vsd, esd, asd, rsd); they differ by their cameras, noise and random initial parameters.
        texture_size: side of the texture of the mesh that is exported, pixels, 16 to 8192; null exports none.
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
    particles: int = 1
    texture_size: int | None = TEXTURE_SIZE

    def __post_init__(self) -> None:
        check_particles(self.particles)
        check_texture_size(self.texture_size)
        if self.views < 1 or not 0 < self.finer < 1 or not 0 <= self.prune < float("inf"):
            raise ValueError(
                f"nerf needs views >= 1, finer in (0, 1), prune >= 0, got {self.views}, {self.finer}, {self.prune}"
            )
        check_size(self.size)
        if not 0 < self.coarse <= 1:
            raise ValueError(f"coarse must be in (0, 1], got {self.coarse}; 1 renders the full size")

    @property
    def density_radius(self) -> float:
        return self.radius

    @property
    def rows(self) -> int:
        return self.views * self.particles

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator[NeRF | Ensemble]:
        codec, side = codec_and_size(loaded, self.size, resizes=self.coarse < 1)
        nerfs = [self._nerf(loaded, side, seed, particle) for particle in range(self.particles)]
        return BuiltGenerator(nerfs[0] if len(nerfs) == 1 else Ensemble(nerfs), codec, self.rows, pixels=True)

    def _nerf(self, loaded: LoadedPrior, side: int, seed: int, particle: int) -> NeRF:
        like = loaded.like
        volume = self._volume(Streams(seed, items=(particle,), use="start"), like)
        nerf = NeRF(
            volume,
            orbit=self.orbit or loaded.orbit or Orbit(),
            size=side,
            samples=self.samples,
            radius=self.radius,
            background=Background(self.background, like=like),
            stages=self._stages(side, volume),
        )
        nerf.texture_size = self.texture_size
        return nerf

    def _volume(self, rng: Streams, like: Tensor) -> Dense | Triplane | Fourier | HashGrid:
        if self.kind == "dense":
            return Dense(self.sides, like=like)
        return {"triplane": Triplane, "fourier": Fourier, "hash": HashGrid}[self.kind](rng, like=like)

    def _stages(self, side: int, volume: Volume) -> tuple[ResolutionStage, ...]:
        """Resolution stages: the first grid until `finer`, then the others in equal shares of the remaining run."""
        more = volume.levels - 1
        first = ResolutionStage(0.0, max(1, round(self.coarse * side)) if more else side)
        later = (
            ResolutionStage(self.finer + (1 - self.finer) * k / more, side, k + 1, self.prune) for k in range(more)
        )
        return (first, *later)


@dataclass(frozen=True)
class MeshConfig(Generator3DConfig):
    """Mesh whose vertex colours are optimised: a second stage after a NeRF.

    Attributes:
        path: .ply file with vertex colours, such as the mesh that a NeRF run exports.
        views: number of cameras per step, one item each, >= 1.
        size: side of the rendered images, pixels; null is the prior's input size.
        samples: number of sub-pixels along each side of a pixel.
        background: constant (white), random (one colour per item) or learned (smooth environment map).
        orbit: distribution of the cameras; null is the prior's own.
        texture_size: side of the texture of the mesh that is exported, pixels, 16 to 8192; null exports none.
    """

    path: Path
    views: int = 4
    size: int | None = None
    samples: int = 2
    background: Literal["constant", "random", "learned"] = "constant"
    orbit: Orbit | None = None
    texture_size: int | None = TEXTURE_SIZE

    def __post_init__(self) -> None:
        check_size(self.size)
        check_texture_size(self.texture_size)
        if self.views < 1:
            raise ValueError(f"surface needs views >= 1, got {self.views}")

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator[Surface]:
        like = loaded.like
        codec, side = codec_and_size(loaded, self.size)
        surface = Surface(
            read_mesh(self.path, like),
            orbit=self.orbit or loaded.orbit or Orbit(),
            size=side,
            background=Background(self.background, like=like),
            samples=self.samples,
        )
        surface.texture_size = self.texture_size
        return BuiltGenerator(surface, codec, self.views, pixels=True)


def check_particles(particles: int) -> None:
    """Raises ValueError for a number of particles outside 1 to 64."""
    if not 1 <= particles <= _MAX_PARTICLES:
        raise ValueError(f"particles must be 1 to {_MAX_PARTICLES}, got {particles}; try 4")


def check_texture_size(size: int | None) -> None:
    """Raises ValueError for a side of a texture outside 16 to 8192 pixels."""
    if size is not None and size not in SIZES:
        raise ValueError(f"texture_size must be {SIZES.start} to {SIZES.stop - 1} pixels, got {size}; try 512")


def check_size(size: int | None) -> None:
    """Raises ValueError for a side of rendered images of more than 8192 pixels."""
    if size is not None and size > _MAX_SIDE:
        raise ValueError(f"size must be at most {_MAX_SIDE} pixels, got {size}; try 64")


def codec_and_size(loaded: LoadedPrior, size: int | None, *, resizes: bool = False) -> tuple[ImageCodec, int]:
    """Codec, wrapped for resizing if needed, and side of the rendered images, pixels.

    Raises:
        ValueError: the prior is not one of square colour images.
    """
    channels, height, width = image_shape(loaded)
    if channels != 3 or height != width:
        raise ValueError(
            f"3D generators need a prior of square colour images, got {channels} channels of {height} x {width} "
            "pixels; try another prior or size"
        )
    size = height if size is None else size
    if size == height and not resizes:
        return loaded.codec, height
    return ResizeCodec(loaded.codec, height, width), size
