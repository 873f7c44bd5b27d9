"""Conversion of viser's cameras to `modeseek.generators.camera.Cameras`.

A viser camera is given by its centre and a unit quaternion (w, x, y, z) that rotates OpenCV's camera axes (x right, y
down, z forward) into the world's; its field of view is vertical, in radians. With +y as viser's up direction its world
axes are those of `modeseek.generators.camera`, so only the camera's own axes differ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.generators.camera import CameraFrame, Cameras

_MAX_ASPECT = 4.0  # of a window that frames follow, and its inverse


@dataclass(frozen=True)
class PosedCameras(Cameras):
    """Cameras with arbitrary orientation, not only towards the origin.

    Attributes:
        axes: positions and axes; the angles and the distance of `Cameras` then describe the position only.
    """

    axes: CameraFrame

    @property
    def frame(self) -> CameraFrame:
        """Positions and axes."""
        return self.axes

    def select(self, rows: int | slice | Int[Tensor, "r"]) -> PosedCameras:
        """The cameras of these rows."""
        cameras = super().select(rows)
        index = slice(rows, rows + 1) if isinstance(rows, int) else rows
        axes = CameraFrame(*(part[index] for part in self.axes))
        return PosedCameras(cameras.azimuth, cameras.elevation, cameras.distance, cameras.fov, axes)

    def to(self, like: Tensor) -> PosedCameras:
        """The cameras in the dtype and on the device of another tensor."""
        cameras = super().to(like)
        axes = CameraFrame(*(part.to(like) for part in self.axes))
        return PosedCameras(cameras.azimuth, cameras.elevation, cameras.distance, cameras.fov, axes)


@dataclass(frozen=True)
class Pose:
    """Pose of one viser camera, as plain numbers.

    Attributes:
        wxyz: unit quaternion from OpenCV's camera axes to the world's.
        position: centre of the camera, world units.
        fov: vertical field of view, radians, in (0, pi).
        aspect: width of the window over its height, > 0.
    """

    wxyz: tuple[float, float, float, float]
    position: tuple[float, float, float]
    fov: float
    aspect: float

    def __post_init__(self) -> None:
        numbers = (*self.wxyz, *self.position, self.fov, self.aspect)
        if not all(map(math.isfinite, numbers)) or not 0 < self.fov < math.pi or not self.aspect > 0:
            raise ValueError(f"a pose must have finite numbers, fov in (0, pi) and aspect > 0, got {numbers}")

    @property
    def clamped_aspect(self) -> float:
        """Aspect ratio of the frame: that of the window, clamped to [1/4, 4]."""
        return min(max(self.aspect, 1 / _MAX_ASPECT), _MAX_ASPECT)

    def cameras(self) -> PosedCameras:
        """The camera whose square image just covers the window; `window` gives the crop."""
        right, down, forward = rotation(self.wxyz).T
        x, y, z = self.position
        distance = max(math.sqrt(x * x + y * y + z * z), 1e-6)
        azimuth, elevation = math.atan2(x, z), math.asin(max(-1.0, min(1.0, y / distance)))
        fov = 2 * math.atan(math.tan(self.fov / 2) * max(1.0, self.clamped_aspect))
        axes = CameraFrame(*(part[None] for part in (torch.tensor(self.position), right, -down, forward)))
        return PosedCameras(
            torch.tensor([math.degrees(azimuth)]),
            torch.tensor([math.degrees(elevation)]),
            torch.tensor([distance]),
            torch.tensor([math.degrees(fov)]),
            axes,
        )

    def side(self, size: int) -> int:
        """Side of the square image, pixels, with `size` pixels along the window's shorter side."""
        return max(1, round(size * max(self.clamped_aspect, 1 / self.clamped_aspect)))

    def window(self, side: int) -> tuple[slice, slice]:
        """Rows and columns of the square image that the window shows: a centred crop."""
        share = min(self.clamped_aspect, 1 / self.clamped_aspect)
        margin = round(side * (1 - share) / 2)
        full, cropped = slice(0, side), slice(margin, side - margin)
        return (cropped, full) if self.clamped_aspect >= 1 else (full, cropped)


def rotation(wxyz: Sequence[float]) -> Float[Tensor, "3 3"]:
    """Rotation matrix of a quaternion of any positive length; its columns are the rotated axes.

    Raises:
        ValueError: the quaternion is zero.
    """
    length = math.sqrt(sum(q * q for q in wxyz))
    if not length > 0:
        raise ValueError(f"a quaternion must have length > 0, got {tuple(wxyz)}")
    w, x, y, z = (q / length for q in wxyz)
    return torch.tensor(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
