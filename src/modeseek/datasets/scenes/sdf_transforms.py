"""Solids moved, turned, doubled and cut."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.scenes.sdf_points import SDFPoints, constant
from modeseek.datasets.scenes.sdf_primitives import SDF


@dataclass(frozen=True)
class Translated:
    """The solid with its origin carried to (x, y, z)."""

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
    """The solid laid down: its +y end now points along +x."""

    sdf: SDF

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.distance(SDFPoints(-p.y, p.x, p.z))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.support(SDFPoints(-d.y, d.x, d.z))


@dataclass(frozen=True)
class RotatedYToZ:
    """The solid laid down: its +y end now points along +z."""

    sdf: SDF

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.distance(SDFPoints(p.x, p.z, -p.y))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.support(SDFPoints(d.x, d.z, -d.y))


@dataclass(frozen=True)
class RotatedAboutX:
    """The solid turned about x by `degrees`: its +y end leans towards +z."""

    sdf: SDF
    degrees: float

    def _back(self, p: SDFPoints) -> SDFPoints:
        c, s = math.cos(math.radians(self.degrees)), math.sin(math.radians(self.degrees))
        return SDFPoints(p.x, c * p.y + s * p.z, c * p.z - s * p.y)

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.distance(self._back(p))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.support(self._back(d))


@dataclass(frozen=True)
class Mirrored:
    """The solid and its mirror images across x = 0 and, if asked, z = 0; the solid itself lies at x, z >= 0 mostly.

    |x| folds space, and a point at x >= 0 is never nearer to a mirror image than to the solid itself: the distance
    stays a lower bound as long as the solid's own part at x < 0, if any, lies inside the mirrored one.
    """

    sdf: SDF
    across_z: bool = False

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.distance(SDFPoints(p.x.abs(), p.y, p.z.abs() if self.across_z else p.z))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.support(SDFPoints(d.x.abs(), d.y, d.z.abs() if self.across_z else d.z))


@dataclass(frozen=True)
class Difference:
    """The solid without what `tool` covers: max(a, -b), a lower bound outside."""

    sdf: SDF
    subtracted: SDF

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.distance(p).maximum(self.subtracted.distance(p).neg_())

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.sdf.support(d)


@dataclass(frozen=True)
class SphereCap:
    """The part of a ball about the origin above y = floor (|floor| < radius)."""

    radius: float
    floor: float

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        ball = (p.x * p.x).addcmul_(p.y, p.y).addcmul_(p.z, p.z).sqrt_().sub_(constant(self.radius))
        return ball.maximum(constant(self.floor) - p.y)

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        whole = (d.x * d.x + d.y * d.y + d.z * d.z).sqrt()
        rim = math.sqrt(self.radius**2 - self.floor**2) * (d.x * d.x + d.z * d.z).sqrt() + self.floor * d.y
        return (self.radius * whole).where(self.radius * d.y >= self.floor * whole, rim)
