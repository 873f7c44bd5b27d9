"""Directional light of a static scene."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.camera import Cameras


@dataclass(frozen=True)
class Light:
    """Directional light, fixed in the world or moving with the camera.

    Shading is diffuse, so under a light fixed in the world every surface point has one colour from all cameras: the
    images agree. A light that moves with the camera lights every side well, as in the scenes dataset, but no single
    object of fixed colours explains all the images.

    Attributes:
        direction: vector from the object to the light, any length; (right, up, backward) camera axes, or world axes
            (x, y, z) if `fixed`.
        fixed: whether the light is fixed in the world.
    """

    direction: tuple[float, float, float] = (0.0, 0.65, 0.85)
    fixed: bool = False

    def __post_init__(self) -> None:
        if not 0 < sum(a * a for a in self.direction) < float("inf"):
            raise ValueError(f"light direction must have finite length above 0, got {self.direction}; try (0, 1, 0)")

    def camera_direction(self, cameras: Cameras) -> Float[Tensor, "n 3"]:
        """Unit vectors towards the light in each camera's (right, up, backward) axes."""
        toward = torch.tensor(self.direction)
        toward = (toward / toward.norm()).expand(len(cameras), 3)
        if not self.fixed:
            return toward.clone()
        _, right, up, forward = (axis.float().cpu() for axis in cameras.frame)
        return torch.stack([(axis * toward).sum(-1) for axis in (right, up, -forward)], -1)


OVERHEAD_LIGHT = Light((0.0, 1.0, 0.0), fixed=True)
"""Light straight above, fixed in the world: the same from every azimuth."""
