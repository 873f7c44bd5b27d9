"""What a run can optimise, and where it starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from modeseek.codec import Codec, Identity
from modeseek.config.priors import LoadedPrior
from modeseek.generators.field import Field, FieldKind
from modeseek.generators.image import Image, Latent
from modeseek.generators.points import Points
from modeseek.io.points import read_points
from modeseek.priors.pipeline.vae import VAECodec
from modeseek.rng import Streams, randn

_MOST = 50_000_000  # numbers in a start


@dataclass(frozen=True)
class BuiltGenerator:
    """A generator, ready to be optimised.

    Attributes:
        module: the generator.
        codec: between what it renders and z.
        batch: items a step.
        pixels: whether it renders pixels in [0, 1], which guards can judge.
    """

    module: nn.Module
    codec: Codec
    batch: int
    pixels: bool


@runtime_checkable
class GeneratorConfig(Protocol):
    """A frozen description of a generator."""

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator:
        """Builds it for a prior, its random numbers fixed by the seed."""
        ...


@runtime_checkable
class StartConfig(Protocol):
    """Where points start."""

    def z(self, loaded: LoadedPrior, seed: int) -> Tensor:
        """(n, *d), in the prior's space."""
        ...


@dataclass(frozen=True)
class NoiseStart:
    """Normal random numbers.

    Attributes:
        n: how many points or images.
        spread: their standard deviation, units of z.
    """

    n: int = 100
    spread: float = 1.0

    def __post_init__(self) -> None:
        if self.n < 1 or not 0 <= self.spread < float("inf"):
            raise ValueError(f"noise needs n >= 1 and a finite spread >= 0: got {self.n} and {self.spread}; fix them")

    def z(self, loaded: LoadedPrior, seed: int) -> Tensor:
        shape = loaded.prior.shape
        _check_size(self.n, shape)
        like = torch.empty(0, dtype=loaded.prior.dtype, device=loaded.prior.device)
        return self.spread * randn((self.n, *shape), Streams(seed, use="start"), like)


@dataclass(frozen=True)
class GridStart:
    """side^2 points of the plane, dense over the square worth drawing.

    Attributes:
        side: points along one side.
    """

    side: int = 20

    def __post_init__(self) -> None:
        if self.side < 1:
            raise ValueError(f"a grid needs side >= 1: got {self.side}; raise it")

    def z(self, loaded: LoadedPrior, seed: int) -> Tensor:
        if loaded.prior.shape != (2,) or loaded.extent is None:
            raise ValueError(f"a grid lies in the plane: got a prior of shape {loaded.prior.shape}; start from noise")
        _check_size(self.side**2, (2,))
        prior = loaded.prior
        ticks = torch.linspace(-loaded.extent, loaded.extent, self.side, dtype=prior.dtype, device=prior.device)
        return torch.cartesian_prod(ticks, ticks)


@dataclass(frozen=True)
class FileStart:
    """Points from a file.

    Attributes:
        path: .npy or .csv, one point a row.
    """

    path: Path

    def z(self, loaded: LoadedPrior, seed: int) -> Tensor:
        points = read_points(self.path)
        shape = loaded.prior.shape
        if points[0].numel() != torch.Size(shape).numel():
            raise ValueError(f"{self.path.name} has points of {points.shape[1]} numbers: the prior's shape is {shape}")
        return points.reshape(-1, *shape).to(dtype=loaded.prior.dtype, device=loaded.prior.device)


@dataclass(frozen=True)
class PointsConfig:
    """Points, or whole images, moved directly in the prior's own space. With SGD of rate 1, MSD is mean shift.

    Attributes:
        start: noise, grid or file.
    """

    start: StartConfig = NoiseStart()

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator:
        return BuiltGenerator(Points(self.start.z(loaded, seed)), Identity(), 1, pixels=False)


@dataclass(frozen=True)
class PixelsConfig:
    """Pictures whose pixels are optimised directly, in [0, 1]: one item each.

    Attributes:
        n: pictures.
        gray: mean of the start.
        spread: standard deviation of the start about it.
        levels: grids of a pyramid whose sum is the picture; 1 is plain pixels.
    """

    n: int = 16
    gray: float = 0.5
    spread: float = 0.1
    levels: int = 1

    def __post_init__(self) -> None:
        if self.n < 1 or not 0 <= self.gray <= 1 or not 0 <= self.spread < float("inf"):
            raise ValueError(f"pixels need n >= 1, gray in [0, 1], spread >= 0: got {self}; fix them")

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator:
        shape = image_shape(loaded)
        _check_size(self.n, shape)
        like = torch.empty(0, dtype=loaded.prior.dtype, device=loaded.prior.device)
        noise = randn((self.n, *shape), Streams(seed, use="start"), like)
        start = (self.gray + self.spread * noise).clamp(0, 1)
        return BuiltGenerator(Image(start, self.levels), loaded.codec, self.n, pixels=True)


@dataclass(frozen=True)
class LatentConfig:
    """Latents optimised directly in the prior's own space: one item each, decoded for pictures only.

    Attributes:
        n: how many.
        spread: standard deviation of the start, units of z.
    """

    n: int = 1
    spread: float = 1.0

    def __post_init__(self) -> None:
        NoiseStart(self.n, self.spread)

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator:
        return BuiltGenerator(Latent(NoiseStart(self.n, self.spread).z(loaded, seed)), Identity(), self.n, pixels=False)


@dataclass(frozen=True)
class FieldConfig:
    """Coordinate networks: each picture is a function of its coordinates, which resists noise that pixels follow.

    Attributes:
        n: pictures.
        kind: fourier (random features), siren (sines) or hash (multi-resolution grids).
        width: of the hidden layers.
        depth: hidden layers.
        frequency: of the features, cycles over the picture.
    """

    n: int = 1
    kind: FieldKind = "fourier"
    width: int = 128
    depth: int = 3
    frequency: float = 4.8

    def make(self, loaded: LoadedPrior, seed: int) -> BuiltGenerator:
        channels, height, width = image_shape(loaded)
        _check_size(self.n, (channels, height, width))
        like = torch.empty(0, dtype=loaded.prior.dtype, device=loaded.prior.device)
        rng = Streams(seed, use="start")
        field = Field(self.n, (height, width), rng, self.kind, channels, self.width, self.depth, self.frequency, like)
        return BuiltGenerator(field, loaded.codec, self.n, pixels=True)


def image_shape(loaded: LoadedPrior) -> tuple[int, ...]:
    """Shape of one picture in pixels: that of z, or of what the codec decodes it to."""
    shape = loaded.prior.shape
    if len(shape) != 3:
        raise ValueError(f"pixels need a prior of images: this one's shape is {shape}; use generator: points")
    if not isinstance(loaded.codec, VAECodec):
        return shape
    factor = 2 ** (len(loaded.codec.network.config.block_out_channels) - 1)
    return (loaded.codec.network.config.in_channels, factor * shape[1], factor * shape[2])


def _check_size(n: int, shape: tuple[int, ...]) -> None:
    total = n * torch.Size(shape).numel()
    if total > _MOST:
        raise ValueError(f"a start holds at most {_MOST:,} numbers: got {total:,}; ask for fewer items")
