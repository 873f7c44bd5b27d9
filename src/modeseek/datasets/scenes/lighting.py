"""Where the light of a still thing comes from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.camera import Cameras


@dataclass(frozen=True)
class Light:
    """A distant lamp.

    Light is diffuse, so under a lamp that stands still in the world every point has one colour, whoever looks: the
    pictures of all cameras agree. A lamp that moves with the camera lights every side well, as the scenes do, and no
    one thing of fixed colours explains all the pictures.

    Attributes:
        toward: from the thing to the lamp, any length; (right, up, backward) of the camera, or (x, y, z) of the world.
        fixed: whether it stands still in the world.
    """

    direction: tuple[float, float, float] = (0.0, 0.65, 0.85)
    fixed: bool = False

    def __post_init__(self) -> None:
        if not 0 < sum(a * a for a in self.direction) < float("inf"):
            raise ValueError(f"a lamp is somewhere: got a direction of {self.direction}; give it a finite length above 0")

    def camera_direction(self, cameras: Cameras) -> Float[Tensor, "n 3"]:
        """Unit, towards the lamp, in each camera's (right, up, backward) axes."""
        toward = torch.tensor(self.direction)
        toward = (toward / toward.norm()).expand(len(cameras), 3)
        if not self.fixed:
            return toward.clone()
        _, right, up, forward = (axis.float().cpu() for axis in cameras.frame)
        return torch.stack([(axis * toward).sum(-1) for axis in (right, up, -forward)], -1)


OVERHEAD_LIGHT = Light((0.0, 1.0, 0.0), fixed=True)
"""Straight above: fixed, and the same from every azimuth."""
