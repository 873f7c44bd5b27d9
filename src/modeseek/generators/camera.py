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

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.base import View


class CameraFrame(NamedTuple):
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


def camera_frame(azimuth: Float[Tensor, "n"], elevation: Float[Tensor, "n"], distance: Float[Tensor, "n"]) -> CameraFrame:
    """The camera of the convention above; angles in degrees, elevation within [-90, 90]."""
    a, e = azimuth.deg2rad(), elevation.deg2rad()
    out = torch.stack([a.sin() * e.cos(), e.sin(), a.cos() * e.cos()], -1)
    right = torch.stack([a.cos(), torch.zeros_like(a), -a.sin()], -1)
    up = torch.stack([-a.sin() * e.sin(), e.cos(), -a.cos() * e.sin()], -1)
    return CameraFrame(distance[:, None] * out, right, up, -out)


def pixel_centres(size: int, *, device: torch.device | None = None) -> Float[Tensor, "size"]:
    """Centres of `size` pixels across [-1, 1], the image's half width being 1."""
    return (2 * torch.arange(size, device=device, dtype=torch.float32) + 1) / size - 1


def wrap_degrees(degrees: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The same angle in [-180, 180)."""
    return (degrees + 180) % 360 - 180


@dataclass(frozen=True)
class Cameras:
    """n cameras of the convention above, looking at the origin.

    Attributes:
        azimuth: degrees, unbounded.
        elevation: degrees in [-90, 90].
        distance: from the origin, world units, > 0.
        fov: full field of view, degrees in (0, 180).
    """

    azimuth: Float[Tensor, "n"]
    elevation: Float[Tensor, "n"]
    distance: Float[Tensor, "n"]
    fov: Float[Tensor, "n"]

    def __post_init__(self) -> None:
        if not (self.azimuth.isfinite().all() and (self.elevation.abs() <= 90).all()):
            raise ValueError(
                "a camera stands at a finite azimuth and an elevation in [-90, 90] degrees: got "
                f"{self.azimuth.tolist()} and {self.elevation.tolist()}; mend them"
            )
        if not ((self.distance > 0).all() and (self.fov > 0).all() and (self.fov < 180).all()):
            raise ValueError(
                "a camera has a distance above 0 and a field of view in (0, 180) degrees: got "
                f"{self.distance.tolist()} and {self.fov.tolist()}; mend them"
            )

    def __len__(self) -> int:
        return len(self.azimuth)

    def select(self, rows: int | slice) -> Cameras:
        """Some of them."""
        chosen = slice(rows, rows + 1) if isinstance(rows, int) else rows
        return Cameras(self.azimuth[chosen], self.elevation[chosen], self.distance[chosen], self.fov[chosen])

    def to(self, like: Tensor) -> Cameras:
        """In another number's dtype and on its device."""
        return Cameras(*(part.to(like) for part in (self.azimuth, self.elevation, self.distance, self.fov)))

    @property
    def frame(self) -> CameraFrame:
        """Where they stand, and their axes."""
        return camera_frame(self.azimuth, self.elevation, self.distance)

    def rays(self, size: int) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n s s 3"]]:
        """Each camera's centre, and the unit directions through the centres of size x size pixels, row 0 on top."""
        position, right, up, forward = self.frame
        across = pixel_centres(size, device=self.fov.device).to(self.fov)
        tangent = (self.fov / 2).deg2rad().tan()[:, None, None, None]
        u, v = across[None, None, :, None], -across[None, :, None, None]
        right, up, forward = (axis[:, None, None] for axis in (right, up, forward))
        toward = forward + tangent * (u * right + v * up)
        return position, toward / toward.norm(dim=-1, keepdim=True)


@dataclass(frozen=True)
class CameraView(View):
    """One batch of items, each seen by a camera of its own.

    Attributes:
        cameras: one an item.
        size: side of the image, pixels.
    """

    cameras: Cameras
    size: int

    def select(self, rows: slice) -> CameraView:
        return replace(self, items=self.items[rows], cameras=self.cameras.select(rows))
