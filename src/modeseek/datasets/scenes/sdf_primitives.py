"""Signed distance functions (SDFs) and support functions of primitive solids.

`distance(p)` is signed (negative inside) and never more than the true distance, so a ray may always advance by it
(sphere tracing, Hart 1996, The Visual Computer 12); it is exact for the primitives here except the prism and the cap.
`support(d)` is the support function max_{p in solid} p . d, from which bounding boxes, framing and contacts follow in
closed form. The distance formulas are the classical ones (collected by Quilez,
iquilezles.org/articles/distfunctions), on coordinate columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.scenes.sdf_points import SDFPoints, constant, hypotenuse


@runtime_checkable
class SDF(Protocol):
    """Solid with a signed distance function and a support function."""

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        """Signed distance of points; outside, possibly a lower bound."""
        ...

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        """Support function along directions, possibly an upper bound."""
        ...


@dataclass(frozen=True)
class Sphere:
    """Solid sphere about the origin."""

    radius: float

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        return (p.x * p.x).addcmul_(p.y, p.y).addcmul_(p.z, p.z).sqrt_().sub_(constant(self.radius))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.radius * (d.x * d.x + d.y * d.y + d.z * d.z).sqrt()


@dataclass(frozen=True)
class Box:
    """Box of half sides (x, y, z), edges rounded with radius `rounding` inside the box."""

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
    """Cylinder about the y axis, edges rounded with radius `rounding` inside the cylinder."""

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
    """Truncated cone about the y axis: radius `bottom` at y = -half_height, `top` at y = +half_height."""

    bottom: float
    top: float
    half_height: float

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        r = hypotenuse(p.x, p.z)
        # To the nearer disc: (r - its radius)+ across, |y| - half_height along.
        a_y = p.y.abs().sub_(constant(self.half_height))
        radius = (p.y < 0).to(r.dtype).mul_(constant(self.bottom - self.top)).add_(constant(self.top))
        a_r = (r - radius).clamp_(min=0)
        # To the side, a segment from (top, half_height) to (bottom, -half_height) of the half-plane (r, y).
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
    """Torus about the y axis: `radius` to the centre of the tube, `tube_radius` of the tube."""

    radius: float
    tube_radius: float

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        return hypotenuse(hypotenuse(p.x, p.z).sub_(constant(self.radius)), p.y).sub_(constant(self.tube_radius))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.radius * hypotenuse(d.x, d.z) + self.tube_radius * (d.x * d.x + d.y * d.y + d.z * d.z).sqrt()


@dataclass(frozen=True)
class Capsule:
    """Capsule along the y axis: centres of the round ends at y = -half_height and +half_height."""

    half_height: float
    radius: float

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        y = p.y - p.y.clamp(-self.half_height, self.half_height)
        return y.mul_(y).addcmul_(p.x, p.x).addcmul_(p.z, p.z).sqrt_().sub_(constant(self.radius))

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        return self.half_height * d.y.abs() + self.radius * (d.x * d.x + d.y * d.y + d.z * d.z).sqrt()


@dataclass(frozen=True)
class TriangularPrism:
    """Gable-roof prism about its box's centre: triangle of base 2 x and height 2 y, ridge of length 2 z along z."""

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


@dataclass(frozen=True)
class SphereCap:
    """Cap of a solid sphere about the origin: its part above y = floor, |floor| < radius."""

    radius: float
    floor: float

    def distance(self, p: SDFPoints) -> Float[Tensor, "m"]:
        sphere = (p.x * p.x).addcmul_(p.y, p.y).addcmul_(p.z, p.z).sqrt_().sub_(constant(self.radius))
        return sphere.maximum(constant(self.floor) - p.y)

    def support(self, d: SDFPoints) -> Float[Tensor, "m"]:
        whole = (d.x * d.x + d.y * d.y + d.z * d.z).sqrt()
        rim = math.sqrt(self.radius**2 - self.floor**2) * (d.x * d.x + d.z * d.z).sqrt() + self.floor * d.y
        return (self.radius * whole).where(self.radius * d.y >= self.floor * whole, rim)
