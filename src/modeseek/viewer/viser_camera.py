"""Between viser's cameras and ours.

viser tells a camera's centre and a unit quaternion (w, x, y, z) that turns OpenCV's camera axes (x right, y down,
z forward) into the world's; its field of view is that from the window's top to its bottom, in radians. With +y as
viser's up direction its world axes are ours (`modeseek.generators.camera`), so only the camera's own axes differ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.camera import CameraFrame, Cameras

_WIDEST = 4.0  # sides of a window, one over the other, at most


@dataclass(frozen=True)
class PosedCameras(Cameras):
    """Cameras that may look anywhere, not at the origin alone.

    Attributes:
        axes: where they stand and their axes; the angles and the distance of `Cameras` then only tell where.
    """

    axes: CameraFrame

    @property
    def frame(self) -> CameraFrame:
        """Where they stand, and their axes."""
        return self.axes

    def select(self, rows: int | slice) -> PosedCameras:
        """Some of them."""
        kept = super().select(rows)
        chosen = slice(rows, rows + 1) if isinstance(rows, int) else rows
        axes = CameraFrame(*(part[chosen] for part in self.axes))
        return PosedCameras(kept.azimuth, kept.elevation, kept.distance, kept.fov, axes)

    def to(self, like: Tensor) -> PosedCameras:
        """In another number's dtype and on its device."""
        kept = super().to(like)
        axes = CameraFrame(*(part.to(like) for part in self.axes))
        return PosedCameras(kept.azimuth, kept.elevation, kept.distance, kept.fov, axes)


@dataclass(frozen=True)
class Pose:
    """One camera as viser tells it, as plain numbers.

    Attributes:
        wxyz: unit quaternion, see above.
        position: its centre, world units.
        fov: from top to bottom, radians.
        aspect: the window's width over its height.
    """

    wxyz: tuple[float, float, float, float]
    position: tuple[float, float, float]
    fov: float
    aspect: float

    def __post_init__(self) -> None:
        numbers = (*self.wxyz, *self.position, self.fov, self.aspect)
        if not all(map(math.isfinite, numbers)) or not 0 < self.fov < math.pi or not self.aspect > 0:
            raise ValueError(f"a pose has finite numbers, a field of view in (0, pi) and a window: got {numbers}")

    @property
    def stretch(self) -> float:
        """The window's width over its height, no farther from 1 than a picture follows."""
        return min(max(self.aspect, 1 / _WIDEST), _WIDEST)

    def cameras(self) -> PosedCameras:
        """The camera whose square picture just covers the window, cut by `window`."""
        right, down, forward = rotation(self.wxyz).T
        x, y, z = self.position
        distance = max(math.sqrt(x * x + y * y + z * z), 1e-6)
        azimuth, elevation = math.atan2(x, z), math.asin(max(-1.0, min(1.0, y / distance)))
        fov = 2 * math.atan(math.tan(self.fov / 2) * max(1.0, self.stretch))
        axes = CameraFrame(*(part[None] for part in (torch.tensor(self.position), right, -down, forward)))
        return PosedCameras(
            torch.tensor([math.degrees(azimuth)]),
            torch.tensor([math.degrees(elevation)]),
            torch.tensor([distance]),
            torch.tensor([math.degrees(fov)]),
            axes,
        )

    def side(self, size: int) -> int:
        """Side of the square picture, pixels, of which `size` lie along the window's shorter side."""
        return max(1, round(size * max(self.stretch, 1 / self.stretch)))

    def window(self, side: int) -> tuple[slice, slice]:
        """Rows and columns of the square picture that the window shows, the same number left out on both sides."""
        share = min(self.stretch, 1 / self.stretch)
        spare = round(side * (1 - share) / 2)
        whole, part = slice(0, side), slice(spare, side - spare)
        return (part, whole) if self.stretch >= 1 else (whole, part)


def rotation(wxyz: Sequence[float]) -> Float[Tensor, "3 3"]:
    """The matrix of a quaternion that need not be of unit length; its columns are the turned axes.

    Raises:
        ValueError: a quaternion of no length.
    """
    length = math.sqrt(sum(q * q for q in wxyz))
    if not length > 0:
        raise ValueError(f"a quaternion has a length above 0: got {tuple(wxyz)}")
    w, x, y, z = (q / length for q in wxyz)
    return torch.tensor(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
