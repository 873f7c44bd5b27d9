"""Camera conditioning of auxiliary networks by the pose of each row's camera."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.camera import CameraView
from modeseek.methods.base import RenderContext

POSE_NUMBERS = 6
"""Numbers per camera that `pose` returns: `cameras` of an auxiliary that is conditioned on it."""


def pose(context: RenderContext) -> Float[Tensor, "b 6"]:
    """Returns sine and cosine of azimuth and elevation, log distance and field of view (radians) of each row's camera.

    Raises:
        ValueError: a view without cameras.
    """
    view = context.view
    if not isinstance(view, CameraView):
        raise ValueError(f"camera pose needs a view with cameras, got a {type(view).__name__}; try camera=None")
    cameras = view.cameras
    azimuth, elevation, fov = (angle.deg2rad() for angle in (cameras.azimuth, cameras.elevation, cameras.fov))
    numbers = (azimuth.sin(), azimuth.cos(), elevation.sin(), elevation.cos(), cameras.distance.log(), fov)
    return torch.stack(numbers, 1).to(context.item.device)
