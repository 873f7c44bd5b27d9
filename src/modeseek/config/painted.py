"""Configuration of a given mesh whose texture is optimised."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from modeseek.config.built_generator import BuiltGenerator
from modeseek.config.generators import Generator3DConfig
from modeseek.config.generators3d import check_particles, check_size, check_texture_size, codec_and_size
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.generators.background import Background
from modeseek.generators.ensemble import Ensemble
from modeseek.generators.mesh.atlas import SIZES, unwrap
from modeseek.generators.mesh.given import MOST_FACES, GivenMesh, read_given_mesh
from modeseek.generators.mesh.painted import PaintedMesh
from modeseek.generators.mesh.placement import UpAxis
from modeseek.generators.mesh.surface_texture import AtlasTexture, FieldTexture, SurfaceTexture
from modeseek.generators.nerf import HashGrid, RandomFourier
from modeseek.generators.orbit import Orbit
from modeseek.io.remarks import add_remark
from modeseek.rng import Streams

TextureKind = Literal["field", "hash", "atlas"]
_LEAST_FACES = 4


@dataclass(frozen=True)
class PaintedMeshConfig(Generator3DConfig):
    """Mesh of a file whose texture is optimised; its shape is fixed.

    Attributes:
        path: .obj, .ply, .glb or .stl file; its colours are not read.
        texture: field (network of random Fourier features of the position), hash (network of hash grids) or atlas
            (texels of a UV atlas); tuned for Adam with learning rates 0.01, 0.01 and 0.15.
        texels: side of the atlas of an atlas texture, texels, 16 to 8192.
        up: axis of the file that points up: y, or z with the front face along -y.
        faces: number of faces to decimate the mesh to; null keeps all, at most a million.
        radius: distance of the farthest vertex from the middle of the bounding box, which lies at the origin, world
            units, > 0.
        views: number of cameras per step of each particle, one item each, >= 1.
        size: side of the rendered images, pixels, resized for the prior; null is the prior's input size.
        samples: number of sub-pixels along each side of a pixel.
        background: constant (white), random (one colour per item) or learned (smooth environment map).
        orbit: distribution of the cameras; null is the prior's own.
        particles: number of textures that are optimised together (`modeseek.Ensemble`), 1 to 64.
        texture_size: side of the texture of the mesh that is exported, pixels, 16 to 8192; null exports none.
    """

    path: Path
    texture: TextureKind = "field"
    texels: int = 256
    up: UpAxis = "y"
    faces: int | None = None
    radius: float = 0.8
    views: int = 4
    size: int | None = None
    samples: int = 2
    background: Literal["constant", "random", "learned"] = "constant"
    orbit: Orbit | None = None
    particles: int = 1
    texture_size: int | None = 1024

    def __post_init__(self) -> None:
        check_particles(self.particles)
        check_size(self.size)
        check_texture_size(self.texture_size)
        if self.views < 1 or self.texels not in SIZES or not 0 < self.radius < float("inf"):
            raise ValueError(
                f"a painted mesh needs views >= 1, texels 16 to 8192 and radius > 0, got {self.views}, {self.texels} "
                f"and {self.radius}; try 4, 256 and 0.8"
            )
        if self.faces is not None and not _LEAST_FACES <= self.faces <= MOST_FACES:
            raise ValueError(f"faces must be {_LEAST_FACES} to {MOST_FACES:,}, got {self.faces}; try 20000")

    @property
    def rows(self) -> int:
        return self.views * self.particles

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator[PaintedMesh | Ensemble]:
        codec, side = codec_and_size(loaded, self.size)
        given = read_given_mesh(self.path, loaded.like, up=self.up, faces=self.faces, radius=self.radius)
        for remark in given.remarks:
            add_remark(remark)
        painted = [
            PaintedMesh(
                given.mesh,
                self._texture(given, loaded, Streams(seed, items=(particle,), use="start")),
                placement=given.placement,
                orbit=self.orbit or loaded.orbit or Orbit(),
                size=side,
                background=Background(self.background, like=loaded.like),
                samples=self.samples,
            )
            for particle in range(self.particles)
        ]
        for each in painted:
            each.texture_size = self.texture_size
        module = painted[0] if len(painted) == 1 else Ensemble(painted)
        return BuiltGenerator(module, codec, self.rows, pixels=True)

    def _texture(self, given: GivenMesh, loaded: LoadedPrior, rng: Streams) -> SurfaceTexture:
        if self.texture == "atlas":
            return AtlasTexture(unwrap(given.mesh, self.texels), self.texels, rng, loaded.like)
        volume = RandomFourier(rng, like=loaded.like) if self.texture == "field" else HashGrid(rng, like=loaded.like)
        return FieldTexture(volume, max(1.0, self.radius))
