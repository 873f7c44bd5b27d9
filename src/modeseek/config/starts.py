"""Configurations of the points that a run starts from: noise, a grid, or those of a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from modeseek.config.loaded_prior import LoadedPrior
from modeseek.io.points import read_points
from modeseek.rng import Streams, randn

_MAX_NUMBERS = 50_000_000  # in the initial values of a generator


class StartConfig(ABC):
    """Base class of configurations of initial points."""

    @abstractmethod
    def z(self, loaded: LoadedPrior, seed: int) -> Tensor:
        """Initial points z, (n, *d), in the prior's space."""

    @property
    def rows(self) -> int | None:
        """Number of points; None where only a file determines it."""
        return None


@dataclass(frozen=True)
class NoiseStart(StartConfig):
    """Initial points from a normal distribution.

    Attributes:
        n: number of points or images, >= 1.
        spread: standard deviation, units of z, >= 0.
    """

    n: int = 100
    spread: float = 1.0

    def __post_init__(self) -> None:
        if self.n < 1 or not 0 <= self.spread < float("inf"):
            raise ValueError(f"noise needs n >= 1 and a finite spread >= 0, got {self.n} and {self.spread}")

    @property
    def rows(self) -> int:
        return self.n

    def z(self, loaded: LoadedPrior, seed: int) -> Tensor:
        shape = loaded.prior.shape
        check_size(self.n, shape)
        return self.spread * randn((self.n, *shape), Streams(seed, use="start"), loaded.like)


@dataclass(frozen=True)
class GridStart(StartConfig):
    """Initial points on a regular grid over the extent of a 2-D prior, side^2 points.

    Attributes:
        side: number of points along each side, >= 1.
    """

    side: int = 20

    def __post_init__(self) -> None:
        if self.side < 1:
            raise ValueError(f"grid needs side >= 1, got {self.side}")

    @property
    def rows(self) -> int:
        return self.side**2

    def z(self, loaded: LoadedPrior, seed: int) -> Tensor:
        if loaded.prior.shape != (2,) or loaded.extent is None:
            raise ValueError(f"a grid start needs a 2-D prior, got shape {loaded.prior.shape}; try start: noise")
        check_size(self.side**2, (2,))
        prior = loaded.prior
        ticks = torch.linspace(-loaded.extent, loaded.extent, self.side, dtype=prior.dtype, device=prior.device)
        return torch.cartesian_prod(ticks, ticks)


@dataclass(frozen=True)
class FileStart(StartConfig):
    """Initial points from a file.

    Attributes:
        path: .npy file of shape (n, d) or a table such as .csv, one point per row.
        columns: columns of the coordinates, by name or by number from 1; empty: all but an index, ids, dates and text.
    """

    path: Path
    columns: tuple[str, ...] = ()

    def z(self, loaded: LoadedPrior, seed: int) -> Tensor:
        points = read_points(self.path, self.columns)
        shape = loaded.prior.shape
        if points[0].numel() != torch.Size(shape).numel():
            raise ValueError(
                f"points of {self.path.name} must match the prior's shape {shape}, got {points.shape[1]} numbers each"
            )
        return points.reshape(-1, *shape).to(dtype=loaded.prior.dtype, device=loaded.prior.device)


def check_size(n: int, shape: tuple[int, ...]) -> None:
    """Raises ValueError if n initial values of a shape hold too many numbers."""
    total = n * torch.Size(shape).numel()
    if total > _MAX_NUMBERS:
        raise ValueError(f"initial values must hold at most {_MAX_NUMBERS:,} numbers, got {total:,}; try fewer items")
