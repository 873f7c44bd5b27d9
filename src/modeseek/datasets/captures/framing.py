"""Similarity that maps the world of a capture to the world of 3D generators: the object upright at the origin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.captures.capture import Capture
from modeseek.generators.camera import Cameras
from modeseek.generators.mesh.placement import to_y_up

Up = Literal["auto", "x", "y", "z", "-x", "-y", "-z"]
_NEAR = 5.0  # degrees from an axis of the file within which that axis is up


@dataclass(frozen=True)
class Framing:
    """Similarity `p -> scale * axes (p - centre)` from a capture's world to that of `generators.camera`.

    Attributes:
        centre: point that becomes the origin, in the capture's world.
        axes: rotation, its rows the generators' axes in the capture's world.
        scale: generators' units per unit of the capture, > 0.
        span: half the image width at the origin of the views that photographs become, > 0.
    """

    centre: Float[Tensor, "3"]
    axes: Float[Tensor, "3 3"]
    scale: float
    span: float

    @classmethod
    def fit(
        cls,
        capture: Capture,
        span: float,
        up: Up = "auto",
        front: float = 0.0,
        centre: tuple[float, float, float] | None = None,
        scale: float | None = None,
    ) -> Framing:
        """Returns the framing of a capture.

        Args:
            capture: the photographs.
            span: half the image width at the origin of the views, in the generators' units.
            up: direction in the capture's world that points up: an axis, or auto, the vertical of the cameras, which is
                the axis within 5 degrees of it.
            front: azimuth from which the object's front face is seen, degrees. Before it is turned to the front,
                azimuth 0 is on -y where z is up (the front view of Blender) and on +z where y is up.
            centre: centre of the object in the capture's world; None is the point nearest to all optical axes.
            scale: generators' units per unit of the capture; None is the one with which the shorter side of the
                photographs, in the median, is as wide at the centre as the views.

        Raises:
            ValueError: the centre or the vertical cannot be found, or a camera stands in the centre.
        """
        point = capture.centre() if centre is None else torch.tensor(centre, dtype=torch.float64)
        axes = _turn(-front) @ to_y_up(_upright(_vertical(capture, up)).T, "z").T
        distance = (capture.positions - point).norm(dim=1)
        if not (distance > 0).all():
            raise ValueError(
                f"the cameras of {capture.file} must stand outside the object's centre, got one in it; "
                "try --set photographs.capture.centre=[0,0,0], the object's centre in the file's world"
            )
        if scale is None:
            reach = torch.tensor([photograph.reach for photograph in capture.photographs], dtype=torch.float64)
            scale = span / (distance * reach).median().item()
        return cls(point, axes, scale, span)

    def cameras(self, capture: Capture) -> Cameras:
        """Returns cameras at the photographs' positions that look at the origin, `span` wide there to each side."""
        x, y, z = (self.scale * (capture.positions - self.centre) @ self.axes.T).T
        distance = (x * x + y * y + z * z).sqrt()
        azimuth, elevation = torch.atan2(x, z).rad2deg(), (y / distance).clamp(-1, 1).asin().rad2deg()
        fov = 2 * torch.atan(self.span / distance).rad2deg()
        return Cameras(azimuth.float(), elevation.float(), distance.float(), fov.float())


def _vertical(capture: Capture, up: Up) -> Float[Tensor, "3"]:
    axes = torch.eye(3, dtype=torch.float64)
    if up != "auto":
        return axes["xyz".index(up[-1])] * (-1.0 if up[0] == "-" else 1.0)
    found = capture.up()
    nearest = int(found.abs().argmax())
    axis = axes[nearest] * found[nearest].sign()
    return axis if found @ axis > math.cos(math.radians(_NEAR)) else found


def _upright(up: Float[Tensor, "3"]) -> Float[Tensor, "3 3"]:
    """Smallest rotation that takes a unit vector to +z; half a turn about x for -z."""
    x, y, z = up.tolist()
    if z < -1 + 1e-9:
        return torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    cross = torch.tensor([[0.0, 0, -x], [0, 0, -y], [x, y, 0]], dtype=torch.float64)
    return torch.eye(3, dtype=torch.float64) + cross + cross @ cross / (1 + z)


def _turn(degrees: float) -> Float[Tensor, "3 3"]:
    """Rotation about y that adds to azimuths."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]], dtype=torch.float64)
