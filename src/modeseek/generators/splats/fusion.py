"""Mesh of splats: depth images of many views, fused into a truncated signed distance field."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.camera import Cameras
from modeseek.generators.mesh.extract import DensityField
from modeseek.generators.rendering3d import Rendering3D

SURFACE = 1.0
"""Level of the surface in the field, whose values are 0 outside and 2 inside."""
_COVERED = 0.5  # least opacity of the foreground


def fuse_depths(
    render: Callable[[Cameras], Rendering3D], cameras: Cameras, radius: float, truncation: float, like: Tensor
) -> DensityField:
    """Fuses depth images (Curless and Levoy 1996), and returns the field with its surface at `SURFACE`.

    A view says of a point how far it lies in front of the surface, at most the truncation; it says nothing where the
    point lies further behind it, and that it is outside where it sees the background there. The field is the mean over
    the views, and inside where no view says anything. Colours are the mean of the views near the surface.

    Args:
        render: function that renders a single camera.
        cameras: cameras of the views.
        radius: radius of the ball around the origin that holds the object, world units.
        truncation: largest distance from the surface that counts, world units.
        like: tensor whose dtype and device points take.
    """
    with torch.no_grad():
        views = [render(cameras.select(i)) for i in range(len(cameras))]

    def evaluate(points: Tensor) -> tuple[Float[Tensor, "m"], Float[Tensor, "m 3"]]:
        distance, count = points.new_zeros(len(points)), points.new_zeros(len(points))
        color, shares = torch.zeros_like(points), torch.full_like(distance, 1e-6)
        for i, view in enumerate(views):
            ahead, seen, image = _look_up(view, cameras.select(i).to(points), points)
            ahead = torch.where(seen, ahead / truncation, 1.0)
            known = ahead > -1
            distance = distance + torch.where(known, ahead.clamp(max=1), 0.0)
            count = count + known
            near = torch.where(seen, (1 - ahead.abs()).clamp(min=0), 0.0)
            color, shares = color + near[:, None] * image, shares + near
        mean = torch.where(count > 0, distance / count.clamp(min=1), -1.0)
        return 1 - mean, color / shares[:, None]

    return DensityField(evaluate, radius, like)


def _look_up(view: Rendering3D, camera: Cameras, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How far points lie in front of what a view shows at their pixel, whether it shows anything, and its colour."""
    position, right, up, forward = (part[0] for part in camera.frame)
    local = points - position
    depth = local @ forward
    reach = depth.clamp(min=1e-6) * (camera.fov[0] / 2).deg2rad().tan()
    grid = torch.stack([local @ right / reach, -(local @ up) / reach], -1)[None, None]
    maps = torch.cat([view.depth, view.opacity, view.image], 1).to(points)
    sampled = torch.nn.functional.grid_sample(maps, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    surface, opacity, *image = sampled[0, :, 0]
    return surface - depth, opacity >= _COVERED, torch.stack(image, -1)
