"""What a volume must answer, and what the volumes here share: activations, the first blob."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

_GAIN = 20.0  # density of a raw value: the slope it tends to


@runtime_checkable
class Volume(Protocol):
    """Density and colour everywhere in the unit ball; axes are the world's, the bounding ball's radius being 1."""

    @property
    def spacing(self) -> float:
        """The finest detail it can hold, in radii: what normals are taken over."""
        ...

    def __call__(self, points: Float[Tensor, "m 3"]) -> tuple[Float[Tensor, "m"], Float[Tensor, "m 3"]]:
        """Density, >= 0 a world unit, and colour in [0, 1]."""
        ...

    def density(self, points: Float[Tensor, "m 3"]) -> Float[Tensor, "m"]:
        """Density alone, which may be cheaper."""
        ...

    def grids(self) -> tuple[Tensor, ...]:
        """Its grids of parameters in use, (1, c, *size) each; none for networks."""
        ...

    @property
    def levels(self) -> int:
        """How many levels of fineness it has; 1 for networks."""
        ...

    def refine(self, level: int) -> None:
        """Goes over to the parameters of that level, from 0, which then stand for the same volume; never back."""
        ...


@dataclass(frozen=True)
class BlobInit:
    """A soft ball in the middle that optimisation begins with, as raw density `peak - fall |x|^2` (x in radii).

    DreamFusion (Poole, Jain, Barron, Mildenhall 2022, arXiv 2209.14988) starts from such a bump: an empty volume
    has nothing to pull at, and mass elsewhere likes to settle in front of the cameras.

    Attributes:
        peak: in the middle.
        fall: how much less at the ball's rim.
    """

    peak: float = -1.0
    fall: float = 8.0

    def __call__(self, points: Float[Tensor, "*m 3"]) -> Float[Tensor, "*m"]:
        """Raw density there."""
        return self.peak - self.fall * points.square().sum(-1)


def density_activation(raw: Float[Tensor, "*m"]) -> Float[Tensor, "*m"]:
    """Density `20 softplus(raw)`: never negative, and with a gradient everywhere."""
    return _GAIN * nn.functional.softplus(raw)


class RawVolume(nn.Module, ABC):
    """A volume that is raw numbers until the very end: density `dense(raw)`, colour their sigmoid."""

    @property
    @abstractmethod
    def spacing(self) -> float:
        """See `Volume`."""

    @abstractmethod
    def raw(self, points: Float[Tensor, "m 3"], colour: bool) -> Float[Tensor, "c m"]:
        """Raw density, then raw red, green and blue; density may stand alone where colour is not asked for."""

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
