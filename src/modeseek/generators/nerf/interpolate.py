"""Trilinear and bilinear interpolation of feature grids."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def trilinear(grid: Float[Tensor, "c z y x"], points: Float[Tensor, "m 3"]) -> Float[Tensor, "c m"]:
    """Interpolates a grid at points; its outermost samples lie on the faces of [-1, 1]^3, the last axis along x.

    On the CPU torch parallelises grid_sample over the batch axis only, so the points are split into one batch per
    thread; all batches share the grid.
    """
    batches = _batch_count(points)
    padding = -len(points) % batches
    if padding:
        points = torch.cat([points, points.new_zeros(padding, 3)])
    values = nn.functional.grid_sample(
        grid.expand(batches, *grid.shape), points.view(batches, -1, 1, 1, 3), padding_mode="border", align_corners=True
    )
    values = values[0] if batches == 1 else values.transpose(0, 1)
    return values.reshape(len(grid), -1)[:, : len(points) - padding]


def bilinear(planes: Float[Tensor, "p c v u"], points: Float[Tensor, "p m 2"]) -> Float[Tensor, "p c m"]:
    """Interpolates each plane at its own points (u, v); the outermost samples lie on the edges of [-1, 1]^2.

    On the CPU the points of each plane are split into batches as in `trilinear`.
    """
    batches = _batch_count(points[0])
    padding = -points.shape[1] % batches
    if padding:
        points = torch.cat([points, points.new_zeros(len(points), padding, 2)], 1)
    values = nn.functional.grid_sample(
        planes.repeat_interleave(batches, 0),
        points.reshape(len(planes) * batches, -1, 1, 2),
        padding_mode="border",
        align_corners=True,
    )
    values = values.view(len(planes), batches, planes.shape[1], -1).transpose(1, 2)
    return values.reshape(*planes.shape[:2], -1)[..., : points.shape[1] - padding]


def _batch_count(points: Float[Tensor, "m _"]) -> int:
    """Returns the number of batches to split points into: one per CPU thread, fewer for few points, 1 on a GPU."""
    return max(1, min(torch.get_num_threads(), -(-len(points) // 4096))) if points.is_cpu else 1
