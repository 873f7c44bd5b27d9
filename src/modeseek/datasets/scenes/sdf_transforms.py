"""SDF transforms: translation, rotations, mirroring and difference."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.scenes.sdf_points import SDFPoints
from modeseek.datasets.scenes.sdf_primitives import SDF


@dataclass(frozen=True)
class Translated:
    """Solid translated by (x, y, z)."""

    sdf: SDF
    x: float = 0.0
    y: float = 0.0
    z: float = 0.0

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.distance(p.minus(self.x, self.y, self.z))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.support(d) + d.dot(self.x, self.y, self.z)


@dataclass(frozen=True)
class RotatedYToX:
    """Solid rotated by 90 degrees about z: its +y axis points along +x."""

    sdf: SDF

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.distance(SDFPoints(-p.y, p.x, p.z))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.support(SDFPoints(-d.y, d.x, d.z))


@dataclass(frozen=True)
class RotatedYToZ:
    """Solid rotated by 90 degrees about x: its +y axis points along +z."""

    sdf: SDF

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.distance(SDFPoints(p.x, p.z, -p.y))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.support(SDFPoints(d.x, d.z, -d.y))


@dataclass(frozen=True)
class RotatedAboutX:
    """Solid rotated about x by `degrees`: its +y axis leans towards +z."""

    sdf: SDF
    degrees: float

    def _inverse_rotation(self, p: SDFPoints) -> SDFPoints:
        c, s = math.cos(math.radians(self.degrees)), math.sin(math.radians(self.degrees))
        return SDFPoints(p.x, c * p.y + s * p.z, c * p.z - s * p.y)

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.distance(self._inverse_rotation(p))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.support(self._inverse_rotation(d))


@dataclass(frozen=True)
class Mirrored:
    """Union of a solid, mostly at x, z >= 0, with its mirror images across x = 0 and, if `across_z`, z = 0.

    Coordinates are folded by |x|, and a point at x >= 0 is never nearer to a mirror image than to the solid itself: the
    distance stays a lower bound as long as the solid's own part at x < 0, if any, lies inside the mirrored one.
    """

    sdf: SDF
    across_z: bool = False

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.distance(SDFPoints(p.x.abs(), p.y, p.z.abs() if self.across_z else p.z))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.support(SDFPoints(d.x.abs(), d.y, d.z.abs() if self.across_z else d.z))


@dataclass(frozen=True)
class Difference:
    """Difference of two solids, `sdf` minus `subtracted`: max(a, -b), a lower bound outside."""

    sdf: SDF
    subtracted: SDF

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.distance(p).maximum(self.subtracted.distance(p).neg_())

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.support(d)
