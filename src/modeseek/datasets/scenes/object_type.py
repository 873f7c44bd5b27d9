"""Object types: unions of painted solids with decals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.datasets.scenes.sdf_points import SDFPoints
from modeseek.datasets.scenes.sdf_primitives import SDF
from modeseek.datasets.scenes.vocabulary import PAINTS

MAIN, DARK = "main", "dark"
_INDEX = {name: i for i, name in enumerate((MAIN, DARK, *PAINTS))}


@dataclass(frozen=True)
class SolidPart:
    """Solid part of an object type.

    Attributes:
        sdf: signed distance function of the solid.
        paint: "main" for the caption's colour, "dark" for a darker shade of it, else a key of `PAINTS`.
    """

    sdf: SDF
    paint: str = MAIN


@dataclass(frozen=True)
class Decal:
    """Paint on every surface point inside a volume.

    Attributes:
        sdf: signed distance function of the volume.
        paint: "main", "dark" or a key of `PAINTS`.
    """

    sdf: SDF
    paint: str


@dataclass(frozen=True)
class ObjectType:
    """Union of solid parts about the origin, front face towards +z, upright along +y, about the size of the unit ball.

    Attributes:
        name: name in captions.
        parts: solids whose union is the shape.
        decals: paint over the parts, later decals over earlier ones.
        seat: point on which another object can stand, or None.
    """

    name: str
    parts: tuple[SolidPart, ...]
    decals: tuple[Decal, ...] = ()
    seat: tuple[float, float, float] | None = None

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        """Signed distance of the union; outside, a lower bound of the true distance."""
        return reduce(torch.minimum, (part.sdf.distance(p) for part in self.parts))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        """Support function of the union: its extent along each direction."""
        return reduce(torch.maximum, (part.sdf.support(d) for part in self.parts))

    def paint_index(self, p: SDFPoints) -> Int[Tensor, "m"]:
        """Paint index of surface points: 0 the caption's colour, 1 its darker shade, then the rows of `PAINTS`."""
        index = torch.full_like(p.x, _INDEX[self.parts[0].paint], dtype=torch.long)
        nearest = None
        for part in self.parts if len({part.paint for part in self.parts}) > 1 else ():
            distance = part.sdf.distance(p)
            index = index if nearest is None else index.masked_fill(distance < nearest, _INDEX[part.paint])
            nearest = distance if nearest is None else nearest.minimum(distance)
        for decal in self.decals:
            index = index.masked_fill(decal.sdf.distance(p) < 0, _INDEX[decal.paint])
        return index

    @cached_property
    def bounding_box(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """Corners (low, high) of the axis-aligned bounding box."""
        axes = torch.eye(3, dtype=torch.float64)
        high, low = self.support(SDFPoints(*axes)), -self.support(SDFPoints(*-axes))
        return (*low.tolist(),), (*high.tolist(),)

    @cached_property
    def box_center(self) -> tuple[float, float, float]:
        """Centre of the bounding box."""
        low, high = self.bounding_box
        return (low[0] + high[0]) / 2, (low[1] + high[1]) / 2, (low[2] + high[2]) / 2
