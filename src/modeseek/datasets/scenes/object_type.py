"""A thing: parts with paints, and marks painted on them."""

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
    """A solid and its paint: "main" is the colour that the caption names, "dark" a darker one, else one of `PAINTS`."""

    sdf: SDF
    paint: str = MAIN


@dataclass(frozen=True)
class Decal:
    """Paint on every surface point inside a solid."""

    sdf: SDF
    paint: str


@dataclass(frozen=True)
class ObjectType:
    """A union of parts about the origin, front towards +z, upright along +y, about as large as the unit ball.

    Attributes:
        name: as a caption says it.
        parts: its union is the shape.
        marks: painted over the parts, the later over the earlier.
        seat: where something can be put on it; None: nothing is put there.
    """

    name: str
    parts: tuple[SolidPart, ...]
    decals: tuple[Decal, ...] = ()
    seat: tuple[float, float, float] | None = None

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        """Signed distance of the union, a lower bound of the true one outside."""
        return reduce(torch.minimum, (part.sdf.distance(p) for part in self.parts))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        """The union's support function: how far it extends along each direction."""
        return reduce(torch.maximum, (part.sdf.support(d) for part in self.parts))

    def paint_index(self, p: SDFPoints) -> Int[Tensor, "m"]:
        """Which paint surface points wear: 0 the caption's colour, 1 that darkened, 2.. the rows of `PAINTS`."""
        worn = torch.full_like(p.x, _INDEX[self.parts[0].paint], dtype=torch.long)
        nearest = None
        for part in self.parts if len({part.paint for part in self.parts}) > 1 else ():
            far = part.sdf.distance(p)
            worn = worn if nearest is None else worn.masked_fill(far < nearest, _INDEX[part.paint])
            nearest = far if nearest is None else nearest.minimum(far)
        for mark in self.decals:
            worn = worn.masked_fill(mark.sdf.distance(p) < 0, _INDEX[mark.paint])
        return worn

    @cached_property
    def bounding_box(self) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """The corners (low, high) of the box around it."""
        axes = torch.eye(3, dtype=torch.float64)
        high, low = self.support(SDFPoints(*axes)), -self.support(SDFPoints(*-axes))
        return (*low.tolist(),), (*high.tolist(),)

    @cached_property
    def box_center(self) -> tuple[float, float, float]:
        """The middle of its box."""
        low, high = self.bounding_box
        return (low[0] + high[0]) / 2, (low[1] + high[1]) / 2, (low[2] + high[2]) / 2
