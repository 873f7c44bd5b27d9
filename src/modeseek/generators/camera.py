"""Camera convention: the one definition of axes, signs and units for 3D generators, datasets and metrics.

The world is right-handed, y up, without units; angles are in degrees. The front face of an object looks along +z. The
camera looks at the origin from the position

    distance * (sin azimuth cos elevation, sin elevation, cos azimuth cos elevation).

At azimuth 0 and elevation 0 the camera is on +z, looks along -z and sees the front face, with +x on the right of the
image. Positive azimuth moves the camera to ITS right (90: it is on +x and sees the object's +x side; captions say "90
degrees right"), negative azimuth to its left, and 180 sees the back; positive elevation raises it. Images are square,
row 0 on top, and `fov` is the full angle between two opposite sides. Depth is measured along the viewing axis, not
along the ray. Normals are in world axes, pointing out of the surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.generators.base import View, concatenate_optional

Degrees = TypeVar("Degrees", float, Tensor)


class CameraFrame(NamedTuple):
    """Camera positions and axes in world coordinates, each (n, 3).

    Attributes:
        position: camera centres, world units.
        right: unit vectors towards the right of the image.
        up: unit vectors towards the top of the image.
        forward: unit vectors from the camera to the origin.
    """

    position: Float[Tensor, "n 3"]
    right: Float[Tensor, "n 3"]
    up: Float[Tensor, "n 3"]
    forward: Float[Tensor, "n 3"]


def camera_frame(
    azimuth: Float[Tensor, "n"], elevation: Float[Tensor, "n"], distance: Float[Tensor, "n"]
) -> CameraFrame:
    """Returns camera frames for spherical coordinates; angles in degrees, elevation in [-90, 90]."""
    a, e = azimuth.deg2rad(), elevation.deg2rad()
    out = torch.stack([a.sin() * e.cos(), e.sin(), a.cos() * e.cos()], -1)
    right = torch.stack([a.cos(), torch.zeros_like(a), -a.sin()], -1)
    up = torch.stack([-a.sin() * e.sin(), e.cos(), -a.cos() * e.sin()], -1)
    return CameraFrame(distance[:, None] * out, right, up, -out)


def pixel_centres(size: int, *, device: torch.device | None = None) -> Float[Tensor, "size"]:
    """Returns the centres of `size` pixels across [-1, 1], in units of half the image width."""
    return (2 * torch.arange(size, device=device, dtype=torch.float32) + 1) / size - 1


def wrap_degrees(degrees: Degrees) -> Degrees:
    """Wraps angles, a number or a tensor, to [-180, 180) degrees."""
    return (degrees + 180) % 360 - 180


@dataclass(frozen=True)
class Cameras:
    """A batch of n cameras that look at the origin, in the convention of this module.

    Attributes:
        azimuth: azimuths in degrees, unbounded.
        elevation: elevations in degrees, in [-90, 90].
        distance: distances from the origin in world units, > 0.
        fov: full fields of view in degrees, in (0, 180).
    """

    azimuth: Float[Tensor, "n"]
    elevation: Float[Tensor, "n"]
    distance: Float[Tensor, "n"]
    fov: Float[Tensor, "n"]

    def __post_init__(self) -> None:
        if not (self.azimuth.isfinite().all() and (self.elevation.abs() <= 90).all()):
            raise ValueError(
                "camera azimuths must be finite and elevations in [-90, 90] degrees, got "
                f"{self.azimuth.tolist()} and {self.elevation.tolist()}"
            )
        if not ((self.distance > 0).all() and (self.fov > 0).all() and (self.fov < 180).all()):
            raise ValueError(
                "camera distances must be > 0 and fields of view in (0, 180) degrees, got "
                f"{self.distance.tolist()} and {self.fov.tolist()}"
            )

    def __len__(self) -> int:
        return len(self.azimuth)

    def select(self, rows: int | slice | Int[Tensor, "r"]) -> Cameras:
        """Returns a subset of the cameras, by indices or a slice; an integer selects a batch of one."""
        subset = slice(rows, rows + 1) if isinstance(rows, int) else rows
        return Cameras(self.azimuth[subset], self.elevation[subset], self.distance[subset], self.fov[subset])

    @classmethod
    def concatenate(cls, parts: Sequence[Cameras]) -> Cameras:
        """Returns the cameras of several batches, in order."""
        columns = zip(*((c.azimuth, c.elevation, c.distance, c.fov) for c in parts), strict=True)
        return cls(*(torch.cat(column) for column in columns))

    def to(self, like: Tensor) -> Cameras:
        """Returns the cameras in the dtype and on the device of another tensor."""
        return Cameras(*(part.to(like) for part in (self.azimuth, self.elevation, self.distance, self.fov)))

    @property
    def frame(self) -> CameraFrame:
        """Positions and axes of the cameras."""
        return camera_frame(self.azimuth, self.elevation, self.distance)

    def rays(self, size: int) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n s s 3"]]:
        """Returns camera centres and unit ray directions through the centres of size x size pixels, row 0 on top."""
        position, right, up, forward = self.frame
        centres = pixel_centres(size, device=self.fov.device).to(self.fov)
        tangent = (self.fov / 2).deg2rad().tan()[:, None, None, None]
        u, v = centres[None, None, :, None], -centres[None, :, None, None]
        right, up, forward = (axis[:, None, None] for axis in (right, up, forward))
        direction = forward + tangent * (u * right + v * up)
        return position, direction / direction.norm(dim=-1, keepdim=True)


@dataclass(frozen=True)
class CameraView(View):
    """Request to render one batch of items, each from its own camera: all random draws included.

    Attributes:
        cameras: one camera per item.
        size: side length of the images in pixels.
        normals: whether a normal map is rendered.
        backdrop: background colour of each item; None is the background's own.
        jitter: position of the samples along a ray within their intervals, in [0, 1), one number per pixel; None is the
            midpoint.
    """

    cameras: Cameras
    size: int
    normals: bool = False
    backdrop: Float[Tensor, "n 3"] | None = None
    jitter: Float[Tensor, "n s s"] | None = None

    @property
    def particle_of_item(self) -> tuple[int, ...]:
        return (0,) * len(self.items) if self.particles is None else self.particles

    def select(self, rows: slice) -> CameraView:
        backdrop, jitter = (draws if draws is None else draws[rows] for draws in (self.backdrop, self.jitter))
        kept, cameras = super().select(rows), self.cameras.select(rows)
        return replace(
            self, items=kept.items, particles=kept.particles, cameras=cameras, backdrop=backdrop, jitter=jitter
        )

    @classmethod
    def concatenate(cls, views: Sequence[CameraView]) -> CameraView:
        backdrop, jitter = (concatenate_optional(p) for p in zip(*((v.backdrop, v.jitter) for v in views), strict=True))
        cameras = Cameras.concatenate([view.cameras for view in views])
        whole = super().concatenate(views)
        return CameraView(
            whole.items, cameras, views[0].size, views[0].normals, backdrop, jitter, particles=whole.particles
        )
