"""Primitive solids: how far a point is from them, and how far they reach.

Every solid answers two questions. `distance(p)` is signed (negative inside) and never more than the true distance, so a
ray may always walk that far (sphere tracing, Hart 1996, The Visual Computer 12); it is exact for the primitives here
but the gable. `reach(d)` is the support function max_{p in solid} p . d: bounding boxes, framing, and what touches what
follow from it in closed form. The distance formulas are the classical ones (collected by Quilez,
iquilezles.org/articles/distfunctions), written for columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.scenes.sdf_points import SDFPoints, hypotenuse, constant


@runtime_checkable
class SDF(Protocol):
    """Something with an inside."""

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        """Signed distance, or a lower bound of it outside."""
        ...

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        """The support function, or an upper bound of it."""
        ...


@dataclass(frozen=True)
class Sphere:
    """A ball about the origin."""

    radius: float

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        return (p.x * p.x).addcmul_(p.y, p.y).addcmul_(p.z, p.z).sqrt_().sub_(constant(self.radius))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.radius * (d.x * d.x + d.y * d.y + d.z * d.z).sqrt()


@dataclass(frozen=True)
class Box:
    """A box of half sides (x, y, z), edges rounded by `soft` without growing it."""

    x: float
    y: float
    z: float
    rounding: float = 0.0

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        x = p.x.abs().sub_(constant(self.x - self.rounding))
        y = p.y.abs().sub_(constant(self.y - self.rounding))
        z = p.z.abs().sub_(constant(self.z - self.rounding))
        inside = x.maximum(y).maximum(z).clamp_(max=0)
        x, y, z = x.clamp_(min=0), y.clamp_(min=0), z.clamp_(min=0)
        return x.mul_(x).addcmul_(y, y).addcmul_(z, z).sqrt_().add_(inside).sub_(constant(self.rounding))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.x * d.x.abs() + self.y * d.y.abs() + self.z * d.z.abs()


@dataclass(frozen=True)
class Cylinder:
    """An upright cylinder, edges rounded by `soft` without growing it."""

    radius: float
    half_height: float
    rounding: float = 0.0

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        r = hypotenuse(p.x, p.z).sub_(constant(self.radius - self.rounding))
        y = p.y.abs().sub_(constant(self.half_height - self.rounding))
        inside = r.maximum(y).clamp_(max=0)
        return hypotenuse(r.clamp_(min=0), y.clamp_(min=0)).add_(inside).sub_(constant(self.rounding))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.radius * hypotenuse(d.x, d.z) + self.half_height * d.y.abs()


@dataclass(frozen=True)
class Cone:
    """An upright cone from radius `bottom` at -half to radius `top` at +half."""

    bottom: float
    top: float
    half_height: float

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        r = hypotenuse(p.x, p.z)
        # To the nearer disc: (r - its radius)+ across, |y| - half along.
        a_y = p.y.abs().sub_(constant(self.half_height))
        radius = (p.y < 0).to(r.dtype).mul_(constant(self.bottom - self.top)).add_(constant(self.top))
        a_r = (r - radius).clamp_(min=0)
        # To the slope, a segment from (top, half) to (bottom, -half) of the half-plane (r, y).
        k_r, k_y = self.bottom - self.top, -2 * self.half_height
        s = r.sub_(constant(self.top))
        q = p.y - constant(self.half_height)
        share = (s * constant(k_r / (k_r**2 + k_y**2))).add_(q, alpha=k_y / (k_r**2 + k_y**2)).clamp_(0, 1)
        b_r = s.sub_(share, alpha=k_r)
        b_y = q.sub_(share, alpha=k_y)
        sign = ((b_r < 0) & (a_y < 0)).to(r.dtype).mul_(constant(-2.0)).add_(constant(1.0))
        squares = a_r.mul_(a_r).addcmul_(a_y, a_y).minimum(b_r.mul_(b_r).addcmul_(b_y, b_y))
        return squares.sqrt_().mul_(sign)

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        across = hypotenuse(d.x, d.z)
        return (self.bottom * across - self.half_height * d.y).maximum(self.top * across + self.half_height * d.y)


@dataclass(frozen=True)
class Torus:
    """A ring about the y axis: `radius` to the tube's centre, `tube` its radius."""

    radius: float
    tube_radius: float

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        return hypotenuse(hypotenuse(p.x, p.z).sub_(constant(self.radius)), p.y).sub_(constant(self.tube_radius))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.radius * hypotenuse(d.x, d.z) + self.tube_radius * (d.x * d.x + d.y * d.y + d.z * d.z).sqrt()


@dataclass(frozen=True)
class Capsule:
    """An upright rod with round ends: centres of the ends at y = -half and +half."""

    half_height: float
    radius: float

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        y = p.y - p.y.clamp(-self.half_height, self.half_height)
        return y.mul_(y).addcmul_(p.x, p.x).addcmul_(p.z, p.z).sqrt_().sub_(constant(self.radius))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.half_height * d.y.abs() + self.radius * (d.x * d.x + d.y * d.y + d.z * d.z).sqrt()


@dataclass(frozen=True)
class TriangularPrism:
    """A roof: a triangle (base 2 x, height 2 y, ridge along z) stretched to half length z, about its box's middle."""

    x: float
    y: float
    z: float

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        norm = math.hypot(2 * self.y, self.x)
        slope = (
            p.x.abs()
            .mul_(constant(2 * self.y / norm))
            .add_(p.y, alpha=self.x / norm)
            .sub_(constant(self.x * self.y / norm))
        )
        return slope.maximum(p.y.neg().sub_(constant(self.y))).maximum(p.z.abs().sub_(constant(self.z)))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return (self.x * d.x.abs() - self.y * d.y).maximum(self.y * d.y) + self.z * d.z.abs()
