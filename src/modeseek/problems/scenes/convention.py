"""Where the camera stands: the one place that fixes axes, signs and units for everything with a view.

The world is right-handed, y up, without units; angles are in degrees. A thing's front looks along +z. The camera looks
at the origin and stands at

    distance * (sin azimuth cos elevation, sin elevation, cos azimuth cos elevation).

So at azimuth 0 and elevation 0 it is on +z, looks along -z and sees the front, +x being right in the image. Positive
azimuth carries the camera to ITS right (90: it stands on +x and sees the thing's +x side; captions say "90 degrees
right"), negative to its left, 180 sees the back; positive elevation lifts it. Images are square, row 0 on top, and
`fov` is the full angle between two opposite sides. Depth is measured along the viewing axis, not along the ray.
Normals are in world axes, pointing out of the surface.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Frame(NamedTuple):
    """Where a camera stands and its axes, all in world coordinates, shape (n, 3).

    Attributes:
        position: the camera's centre.
        right: unit, towards the image's right.
        up: unit, towards the image's top.
        forward: unit, from the camera to the origin.
    """

    position: Float[Tensor, "n 3"]
    right: Float[Tensor, "n 3"]
    up: Float[Tensor, "n 3"]
    forward: Float[Tensor, "n 3"]


def frame(azimuth: Float[Tensor, "n"], elevation: Float[Tensor, "n"], distance: Float[Tensor, "n"]) -> Frame:
    """The camera of the convention above; angles in degrees, elevation within [-90, 90]."""
    a, e = azimuth.deg2rad(), elevation.deg2rad()
    out = torch.stack([a.sin() * e.cos(), e.sin(), a.cos() * e.cos()], -1)
    right = torch.stack([a.cos(), torch.zeros_like(a), -a.sin()], -1)
    up = torch.stack([-a.sin() * e.sin(), e.cos(), -a.cos() * e.sin()], -1)
    return Frame(distance[:, None] * out, right, up, -out)


def pixels(size: int, *, device: torch.device | None = None) -> Float[Tensor, "size"]:
    """Centres of `size` pixels across [-1, 1], the image's half width being 1."""
    return (2 * torch.arange(size, device=device, dtype=torch.float32) + 1) / size - 1


def wrap(degrees: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The same angle in [-180, 180)."""
    return (degrees + 180) % 360 - 180
