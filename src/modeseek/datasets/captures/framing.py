"""Similarity that maps the world of a capture to the world of 3D generators: the object upright at the origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.captures.capture import Capture
from modeseek.generators.camera import Cameras

Up = Literal["z", "y"]
_TO_Y_UP = {"z": [[1.0, 0, 0], [0, 0, 1], [0, -1, 0]], "y": [[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]}


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
        up: Up = "z",
        front: float = 0.0,
        centre: tuple[float, float, float] | None = None,
        scale: float | None = None,
    ) -> Framing:
        """Returns the framing of a capture.

        Args:
            capture: the photographs.
            span: half the image width at the origin of the views, in the generators' units.
            up: axis of the capture's world that points up: z as in nerfstudio and Blender, or y.
            front: azimuth from which the object's front face is seen, degrees. Before it is turned to the front,
                azimuth 0 is on -y where z is up (the front view of Blender) and on +z where y is up.
            centre: centre of the object in the capture's world; None is the point nearest to all optical axes.
            scale: generators' units per unit of the capture; None is the one with which the shorter side of the
                photographs is as wide at the centre as the views are, in the median.

        Raises:
            ValueError: the centre cannot be found, or a camera stands in it.
        """
        point = capture.centre() if centre is None else torch.tensor(centre, dtype=torch.float64)
        turn = torch.tensor(-front, dtype=torch.float64).deg2rad()
        zero, one = torch.zeros_like(turn), torch.ones_like(turn)
        rows = [[turn.cos(), zero, turn.sin()], [zero, one, zero], [-turn.sin(), zero, turn.cos()]]
        axes = torch.stack([torch.stack(row) for row in rows]) @ torch.tensor(_TO_Y_UP[up], dtype=torch.float64)
        distance = torch.stack([(photograph.position - point).norm() for photograph in capture.photographs])
        if not (distance > 0).all():
            raise ValueError(f"a camera of {capture.file} stands in the centre of the object; try another centre")
        if scale is None:
            reach = torch.tensor([photograph.reach for photograph in capture.photographs], dtype=torch.float64)
            scale = span / (distance * reach).median().item()
        return cls(point, axes, scale, span)

    def cameras(self, capture: Capture) -> Cameras:
        """Returns cameras at the photographs' positions that look at the origin, `span` wide there to each side."""
        position = torch.stack([photograph.position for photograph in capture.photographs])
        x, y, z = (self.scale * (position - self.centre) @ self.axes.T).T
        distance = (x * x + y * y + z * z).sqrt()
        azimuth, elevation = torch.atan2(x, z).rad2deg(), (y / distance).clamp(-1, 1).asin().rad2deg()
        fov = 2 * torch.atan(self.span / distance).rad2deg()
        return Cameras(azimuth.float(), elevation.float(), distance.float(), fov.float())
