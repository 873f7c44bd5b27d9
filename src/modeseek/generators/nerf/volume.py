"""Volume protocol, density activation and initial blob."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

_GAIN = 20.0  # asymptotic slope of density in the raw value


@runtime_checkable
class Volume(Protocol):
    """Density and colour field in the unit ball; world axes, in units of the bounding ball's radius."""

    @property
    def spacing(self) -> float:
        """Finest representable detail in radii; the step of finite-difference normals."""
        ...

    def __call__(self, points: Float[Tensor, "m 3"]) -> tuple[Float[Tensor, "m"], Float[Tensor, "m 3"]]:
        """Returns density per world unit, >= 0, and colour in [0, 1]."""
        ...

    def density(self, points: Float[Tensor, "m 3"]) -> Float[Tensor, "m"]:
        """Returns the density alone, which may be cheaper."""
        ...

    def grids(self) -> tuple[Tensor, ...]:
        """Returns the active parameter grids, (1, c, *size) each; empty for networks."""
        ...

    @property
    def levels(self) -> int:
        """Number of refinement levels; 1 for networks."""
        ...

    def refine(self, level: int) -> None:
        """Switches to the parameters of a finer level, starting from 0, keeping the same volume; irreversible."""
        ...


@dataclass(frozen=True)
class BlobInit:
    """Initial density blob at the centre: raw density `peak - fall |x|^2` (x in radii).

    DreamFusion (Poole, Jain, Barron, Mildenhall 2022, arXiv 2209.14988) starts from such a blob: an empty volume has
    no useful gradient, and density away from the centre tends to settle in front of the cameras.

    Attributes:
        peak: raw density at the centre.
        fall: decrease of raw density from the centre to radius 1.
    """

    peak: float = -1.0
    fall: float = 8.0

    def __call__(self, points: Float[Tensor, "*m 3"]) -> Float[Tensor, "*m"]:
        """Returns the raw density at points."""
        return self.peak - self.fall * points.square().sum(-1)


def density_activation(raw: Float[Tensor, "*m"]) -> Float[Tensor, "*m"]:
    """Density activation `20 softplus(raw)`: non-negative, with a gradient everywhere."""
    return _GAIN * nn.functional.softplus(raw)


class RawVolume(nn.Module, ABC):
    """Base of volumes with raw outputs: density is `density_activation(raw)`, colour is `sigmoid(raw)`."""

    @property
    @abstractmethod
    def spacing(self) -> float:
        """See `Volume`."""

    @abstractmethod
    def raw(self, points: Float[Tensor, "m 3"], colour: bool) -> Float[Tensor, "c m"]:
        """Returns raw density and, if `colour`, raw red, green and blue in the rows after it."""

    def forward(self, points: Float[Tensor, "m 3"]) -> tuple[Float[Tensor, "m"], Float[Tensor, "m 3"]]:
        raw = self.raw(points, colour=True)
        return density_activation(raw[0]), raw[1:4].sigmoid().T

    def density(self, points: Float[Tensor, "m 3"]) -> Float[Tensor, "m"]:
        return density_activation(self.raw(points, colour=False)[0])

    def grids(self) -> tuple[Tensor, ...]:
        return ()

    @property
    def levels(self) -> int:
        return 1

    def refine(self, level: int) -> None:
        return None
