"""Trilinear and bilinear interpolation of feature grids."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def trilinear(grid: Float[Tensor, "c z y x"], points: Float[Tensor, "m 3"]) -> Float[Tensor, "c m"]:
    """Interpolates a grid at points; its outermost samples lie on the faces of [-1, 1]^3, the last axis along x."""
    return _interpolate(grid[None], points[None])[0]


def bilinear(planes: Float[Tensor, "p c v u"], points: Float[Tensor, "p m 2"]) -> Float[Tensor, "p c m"]:
    """Interpolates each plane at its own points (u, v); the outermost samples lie on the edges of [-1, 1]^2."""
    return _interpolate(planes, points)


def _interpolate(grids: Float[Tensor, "p c *size"], points: Float[Tensor, "p m k"]) -> Float[Tensor, "p c m"]:
    """Interpolates each grid at its own points.

    On the CPU torch parallelises grid_sample over the batch axis only, so the points are split into one batch per
    thread; all batches share the grid.
    """
    batches, (p, m, k) = _batch_count(points[0]), points.shape
    padding = -m % batches
    if padding:
        points = torch.cat([points, points.new_zeros(p, padding, k)], 1)
    values = nn.functional.grid_sample(
        grids[:, None].expand(p, batches, *grids.shape[1:]).flatten(0, 1),
        points.reshape(p * batches, -1, *[1] * (k - 1), k),
        padding_mode="border",
        align_corners=True,
    )
    values = values.view(p, batches, grids.shape[1], -1).transpose(1, 2)
    return values.reshape(p, grids.shape[1], -1)[..., :m]


def _batch_count(points: Float[Tensor, "m _"]) -> int:
    """Returns the number of batches to split points into: one per CPU thread, fewer for few points, 1 on a GPU."""
    return max(1, min(torch.get_num_threads(), -(-len(points) // 4096))) if points.is_cpu else 1
