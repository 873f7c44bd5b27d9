"""Configurations of generators of points and images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from modeseek.codec import Identity
from modeseek.config.built_generator import BuiltGenerator
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.config.source_images import encode_sources, fit_sources, read_sources
from modeseek.config.starts import NoiseStart, StartConfig, check_size
from modeseek.generators.base import BaseGenerator
from modeseek.generators.ensemble import Ensemble
from modeseek.generators.field import Field, FieldKind
from modeseek.generators.generator3d import Generator3D
from modeseek.generators.image import Image, Latent
from modeseek.generators.orbit import Orbit
from modeseek.generators.points import Points
from modeseek.rng import Streams, randn

_FIT_RATES: dict[FieldKind, float] = {"fourier": 0.01, "hash": 0.01, "siren": 0.0003}  # of Adam, see `Field`


class GeneratorConfig(ABC):
    """Base class of configurations of generators."""

    encodes: ClassVar[bool] = True  # False: optimised in the prior's own space, without rendered images to encode

    @abstractmethod
    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator[BaseGenerator]:
        """Builds the generator for a prior; the seed fixes its random initialisation."""

    @property
    @abstractmethod
    def rows(self) -> int | None:
        """Number of rows on which the prior is evaluated at each step; None where only a data file determines it."""

    @property
    def as_3d(self) -> Generator3DConfig | None:
        """This configuration if its generator is 3D, else None."""
        return None

    @property
    def max_svg_bytes(self) -> int | None:
        """Largest size of an SVG file of vector drawings, bytes; None for a generator of anything else."""
        return None


class ImageConfig(GeneratorConfig):
    """Base class of configurations of n images."""

    n: int

    @property
    def rows(self) -> int:
        return self.n


class Generator3DConfig(GeneratorConfig):
    """Base class of configurations of 3D generators.

    Attributes:
        views: number of cameras per step, one item each.
        size: side of the rendered images, pixels; None is the prior's input size.
        orbit: distribution of the cameras; None is the prior's own.
    """

    views: int
    size: int | None
    orbit: Orbit | None

    @abstractmethod
    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator[Generator3D | Ensemble]: ...

    @property
    def rows(self) -> int:
        return self.views

    @property
    def as_3d(self) -> Generator3DConfig:
        return self

    @property
    def density_radius(self) -> float:
        """Radius of the ball of its density, world units; 0 if it has none."""
        return 0.0


@dataclass(frozen=True)
class PointsConfig(GeneratorConfig):
    """Free points, or whole images, in the prior's space. Under SGD with learning rate 1, MSD is mean shift.

    Attributes:
        start: initial points: noise, grid or file.
    """

    encodes: ClassVar[bool] = False
    start: StartConfig = NoiseStart()

    @property
    def rows(self) -> int | None:
        return self.start.rows

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator[Points]:
        return BuiltGenerator(Points(self.start.z(loaded, seed)), Identity(), 1, pixels=False)


@dataclass(frozen=True)
class PixelsConfig(ImageConfig):
    """Images parametrised by their pixels in [0, 1], one item each.

    Attributes:
        n: number of images, >= 1.
        gray: mean of the initial pixels, in [0, 1].
        spread: standard deviation of the initial pixels, >= 0.
        levels: number of levels of an image pyramid whose sum is the image, >= 1; 1 is plain pixels.
        files: image files that the images start from, item i from file i modulo their number; empty: from noise.
    """

    n: int = 16
    gray: float = 0.5
    spread: float = 0.1
    levels: int = 1
    files: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.n < 1 or not 0 <= self.gray <= 1 or not 0 <= self.spread < float("inf") or not 1 <= self.levels <= 16:
            raise ValueError(f"pixels need n >= 1, gray in [0, 1], spread >= 0, levels 1 to 16, got {self}")

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator[Image]:
        shape = image_shape(loaded)
        if self.files:
            sources = read_sources(self.files, self.n, shape, loaded)
            return BuiltGenerator(Image(sources, self.levels), loaded.codec, self.n, pixels=True, sources=sources)
        check_size(self.n, shape)
        noise = randn((self.n, *shape), Streams(seed, use="start"), loaded.like)
        start = (self.gray + self.spread * noise).clamp(0, 1)
        return BuiltGenerator(Image(start, self.levels), loaded.codec, self.n, pixels=True)


@dataclass(frozen=True)
class LatentConfig(ImageConfig):
    """Latents in the prior's space, one item each, decoded to images for display only.

    Attributes:
        n: number of latents, >= 1.
        spread: standard deviation of the initial latents, units of z, >= 0.
        files: image files whose encodings the latents start from, item i from file i modulo their number; empty: from
            noise.
    """

    encodes: ClassVar[bool] = False
    n: int = 1
    spread: float = 1.0
    files: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        NoiseStart(self.n, self.spread)

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator[Latent]:
        if self.files:
            sources = read_sources(self.files, self.n, image_shape(loaded), loaded)
            latent = Latent(encode_sources(sources, loaded))
            return BuiltGenerator(latent, Identity(), self.n, pixels=False, sources=sources)
        return BuiltGenerator(Latent(NoiseStart(self.n, self.spread).z(loaded, seed)), Identity(), self.n, pixels=False)


@dataclass(frozen=True)
class FieldConfig(ImageConfig):
    """Coordinate networks, one per image; smoother than free pixels under noisy gradients.

    Attributes:
        n: number of images, >= 1.
        kind: fourier (random Fourier features), siren (sine activations) or hash (multi-resolution hash grids).
        width: width of the hidden layers, units.
        depth: number of hidden layers.
        frequency: standard deviation of the Fourier features, cycles per image side, > 0; for siren, factor of the
            first layer.
        files: image files that the networks are first fitted to, item i to file i modulo their number; empty: none.
        fit_steps: number of steps in which they are fitted to the files, >= 0.
    """

    n: int = 1
    kind: FieldKind = "fourier"
    width: int = 128
    depth: int = 3
    frequency: float = 4.8
    files: tuple[Path, ...] = ()
    fit_steps: int = 400

    def __post_init__(self) -> None:
        if self.fit_steps < 0:
            raise ValueError(f"fit_steps of a field must be at least 0, got {self.fit_steps}; try 400")

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator[Field]:
        channels, height, width = image_shape(loaded)
        check_size(self.n, (channels, height, width))
        rng = Streams(seed, use="start")
        field = Field(
            self.n, (height, width), rng, self.kind, channels, self.width, self.depth, self.frequency, loaded.like
        )
        if not self.files:
            return BuiltGenerator(field, loaded.codec, self.n, pixels=True)
        sources = read_sources(self.files, self.n, (channels, height, width), loaded)
        fit = partial(fit_sources, field, sources, self.fit_steps, _FIT_RATES[self.kind])
        return BuiltGenerator(field, loaded.codec, self.n, pixels=True, initialize=fit, sources=sources)


def image_shape(loaded: LoadedPrior) -> tuple[int, ...]:
    """Shape of one image in pixels, (c, h, w): the shape of z, or of its decoding by the VAE."""
    shape = loaded.prior.shape
    if len(shape) != 3:
        raise ValueError(f"pixels need a prior of images, got shape {shape}; try generator: points")
    return loaded.codec.image_shape(shape)
