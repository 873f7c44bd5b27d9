"""Configuration of Gaussian splats, and of what they start from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from modeseek.config.built_generator import BuiltGenerator, Initialize, StartContext
from modeseek.config.generators import Generator3DConfig
from modeseek.config.generators3d import (
    TEXTURE_SIZE,
    NeRFConfig,
    check_particles,
    check_size,
    check_texture_size,
    codec_and_size,
)
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.config.optimizers import AdamConfig
from modeseek.generators.background import Background
from modeseek.generators.ensemble import Ensemble
from modeseek.generators.mesh.read import read_mesh
from modeseek.generators.nerf import NeRF
from modeseek.generators.orbit import Orbit
from modeseek.generators.splats import Ball, FromVolume, MeshSurface, RelocateSplats, Splats
from modeseek.generators.splats.ply import read_splats
from modeseek.generators.splats.starts import GivenSplats, SplatStart
from modeseek.io.progress import Progress
from modeseek.rng import Streams

_MOST_SPLATS = 1_000_000
_RELOCATE = RelocateSplats()
VOLUME_ADAM = AdamConfig(0.25, fall=0.2)  # of a dense volume


class SplatsStart:
    """Base class of configurations of the splats that a run starts from."""

    def read(self) -> SplatStart:
        """Returns the first splats; of a start that needs the prior, those before it."""
        return Ball()

    def initialize(self, splats: Sequence[Splats], loaded: LoadedPrior, views: int, size: int) -> Initialize | None:
        """Returns the function that sets the splats by the prior; None: they are the first ones."""
        return None


@dataclass(frozen=True)
class BallStart(SplatsStart):
    """Splats that are uniform in a ball, in grey.

    Attributes:
        radius: radius of the ball, world units, > 0.
        opacity: initial opacity, in (0, 1).
    """

    radius: float = 0.5
    opacity: float = 0.1

    def __post_init__(self) -> None:
        self.read()

    def read(self) -> SplatStart:
        return Ball(self.radius, self.opacity)


@dataclass(frozen=True)
class VolumeStart(SplatsStart):
    """Splats in a dense volume that the same method optimises first, with the run's inner steps.

    Attributes:
        steps: number of steps of the volume, >= 1; their prior calls count as the run's.
        opacity: initial opacity of the splats, in (0, 1).
    """

    steps: int = 30
    opacity: float = 0.5

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 < self.opacity < 1:
            raise ValueError(f"a volume to start from needs steps >= 1 and an opacity in (0, 1), got {self}")

    def initialize(self, splats: Sequence[Splats], loaded: LoadedPrior, views: int, size: int) -> Initialize:
        return partial(self._run, splats, loaded, views, size)

    def _run(
        self, splats: Sequence[Splats], loaded: LoadedPrior, views: int, size: int, context: StartContext
    ) -> Iterator[Progress]:
        for particle, each in enumerate(splats):
            built = NeRFConfig(views=views, size=size).make(loaded, context.seed + particle)
            volume, optimizer = built.module, VOLUME_ADAM.make(built.module.parameter_groups())
            if not isinstance(volume, NeRF):  # one particle
                raise TypeError(f"a start must be one volume, got {type(volume).__name__}")
            yield from context.distill(volume, built.codec, built.batch, optimizer, VOLUME_ADAM.rate, self.steps)
            start = FromVolume(volume.density_field, opacity=self.opacity)
            each.set(start.splats(each.capacity, Streams(context.seed, items=(particle,), use="start"), each.means))


@dataclass(frozen=True)
class SplatFileStart(SplatsStart):
    """Splats of a PLY file, or on the surface of a mesh.

    Attributes:
        path: PLY file of splats, or a mesh with vertex colours: PLY, GLB, OBJ or STL.
    """

    path: Path

    def read(self) -> SplatStart:
        if _is_splats(self.path):
            return GivenSplats(read_splats(self.path))
        return MeshSurface(read_mesh(self.path, torch.empty(0)))


@dataclass(frozen=True)
class SplatsConfig(Generator3DConfig):
    """Gaussian splats of fixed number, rendered by cameras around them.

    Attributes:
        capacity: number of splats, 1 to 1,000,000; of a file of splats its own.
        start: splats that the run starts from: in a volume that the method optimises first, a ball, or a file.
        views: number of cameras per step of each particle, one item each, >= 1.
        size: side of the rendered images, pixels, resized for the prior; null is the prior's input size.
        relocate: when and which transparent splats are relocated; null: never.
        background: constant (white), random (one colour per item) or learned (smooth environment map).
        orbit: distribution of the cameras; null is the prior's own.
        particles: number of objects that are optimised together (`modeseek.Ensemble`), 1 to 64.
        texture_size: side of the texture of the mesh that is exported, pixels, 16 to 8192; null exports none.
    """

    capacity: int = 2000
    start: SplatsStart = VolumeStart()
    views: int = 4
    size: int | None = None
    relocate: RelocateSplats | None = _RELOCATE
    background: Literal["constant", "random", "learned"] = "constant"
    orbit: Orbit | None = None
    particles: int = 1
    texture_size: int | None = TEXTURE_SIZE

    def __post_init__(self) -> None:
        check_particles(self.particles)
        check_size(self.size)
        check_texture_size(self.texture_size)
        if not 1 <= self.capacity <= _MOST_SPLATS or self.views < 1:
            raise ValueError(
                f"splats need capacity 1 to {_MOST_SPLATS:,} and views >= 1, got {self.capacity} and {self.views}; "
                "try 2000 and 4"
            )

    @property
    def rows(self) -> int:
        return self.views * self.particles

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator[Splats | Ensemble]:
        codec, side = codec_and_size(loaded, self.size)
        first = self.start.read()
        splats = [
            Splats(
                self.capacity,
                first,
                rng=Streams(seed, items=(particle,), use="start"),
                orbit=self.orbit or loaded.orbit or Orbit(),
                size=side,
                background=Background(self.background, like=loaded.like),
                relocate=self.relocate,
                like=loaded.like,
            )
            for particle in range(self.particles)
        ]
        for each in splats:
            each.texture_size = self.texture_size
        initialize = self.start.initialize(splats, loaded, self.views, side)
        module = splats[0] if len(splats) == 1 else Ensemble(splats)
        return BuiltGenerator(module, codec, self.rows, pixels=True, initialize=initialize)


def _is_splats(path: Path) -> bool:
    """Whether a file is a PLY file with the rotations of splats."""
    with path.open("rb") as file:
        return b"property float rot_0" in file.read(4096)
