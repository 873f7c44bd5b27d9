"""Looking grids up between their points."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def trilinear(grid: Float[Tensor, "c z y x"], points: Float[Tensor, "m 3"]) -> Float[Tensor, "c m"]:
    """The grid between its points; its outermost ones lie on the faces of [-1, 1]^3, last axis along x.

    On the CPU torch shares this work out over the batch axis alone, so the points are dealt to as many batches as
    there are threads; all of them see the same grid.
    """
    parts = _batches(points)
    rest = -len(points) % parts
    if rest:
        points = torch.cat([points, points.new_zeros(rest, 3)])
    found = nn.functional.grid_sample(
        grid.expand(parts, *grid.shape), points.view(parts, -1, 1, 1, 3), padding_mode="border", align_corners=True
    )
    found = found[0] if parts == 1 else found.transpose(0, 1)
    return found.reshape(len(grid), -1)[:, : len(points) - rest]


def bilinear(planes: Float[Tensor, "p c v u"], points: Float[Tensor, "p m 2"]) -> Float[Tensor, "p c m"]:
    """Each plane between its points, at points (u, v) of its own; the outermost ones lie on the edges of [-1, 1]^2.

    On the CPU the points of each plane are dealt to batches as those of `trilinear` are.
    """
    parts = _batches(points[0])
    rest = -points.shape[1] % parts
    if rest:
        points = torch.cat([points, points.new_zeros(len(points), rest, 2)], 1)
    found = nn.functional.grid_sample(
        planes.repeat_interleave(parts, 0),
        points.reshape(len(planes) * parts, -1, 1, 2),
        padding_mode="border",
        align_corners=True,
    )
    found = found.view(len(planes), parts, planes.shape[1], -1).transpose(1, 2)
    return found.reshape(*planes.shape[:2], -1)[..., : points.shape[1] - rest]


def _batches(points: Float[Tensor, "m _"]) -> int:
    """To how many batches they are dealt: threads on a processor, unless the points are few."""
    return max(1, min(torch.get_num_threads(), -(-len(points) // 4096))) if points.is_cpu else 1
