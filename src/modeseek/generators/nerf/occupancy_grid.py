"""Occupancy grid of a volume, for pruning and empty space skipping."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from modeseek.generators.nerf.rays import Rays

_CELLS = 64  # cells along each axis


class OccupancyGrid(nn.Module):
    """Binary grid over [-1, 1]^3 (in radii of the ball), all open at first; density outside open cells is 0.

    Pruning closes nearly empty cells permanently (as Fridovich-Keil, Yu, Tancik, Chen, Recht, Kanazawa 2021, Plenoxels,
    arXiv 2112.05131). It removes haze in front of a white background, which has no gradient of its own, and closed
    cells can be skipped without changing the image.

    Args:
        like: tensor on whose device the grid is created.
    """

    def __init__(self, like: Tensor) -> None:
        super().__init__()
        self.register_buffer("open", torch.ones((_CELLS,) * 3, dtype=torch.bool, device=like.device))

    @property
    def all_open(self) -> bool:
        """Whether no cell is closed."""
        return bool(self.get_buffer("open").all())

    def contains_samples(self, rays: Rays) -> Bool[Tensor, "m s"]:
        """Returns which samples of the rays lie in open cells."""
        middle = _CELLS / 2
        steps = torch.arange(rays.samples, dtype=rays.near.dtype, device=rays.near.device)
        x, y, z = (
            torch.addcmul((f * middle + middle)[:, None], (w * middle)[:, None], steps).int().clamp_(0, _CELLS - 1)
            for f, w in zip(*(part.T for part in rays.origins_and_strides()), strict=True)
        )
        index = z.mul_(_CELLS).add_(y).mul_(_CELLS).add_(x)
        return self.get_buffer("open").flatten().index_select(0, index.flatten()).view(index.shape)

    def contains_points(self, points: Float[Tensor, "m 3"]) -> Bool[Tensor, "m"]:
        """Returns which points, in radii, lie in open cells."""
        x, y, z = ((points + 1) * (_CELLS / 2)).long().clamp(0, _CELLS - 1).unbind(-1)
        return self.get_buffer("open")[z, y, x]

    @torch.no_grad()
    def prune(self, density: Callable[[Float[Tensor, "m 3"]], Float[Tensor, "m"]], below: float, like: Tensor) -> None:
        """Closes cells whose density, at their corners and the corners of all neighbours, is below a threshold.

        Args:
            density: density function of points in radii.
            below: density threshold per world unit, >= 0.
            like: tensor whose dtype and device the evaluation points take.
        """
        ticks = torch.linspace(-1, 1, _CELLS + 1, dtype=like.dtype, device=like.device)
        y, x = torch.meshgrid(ticks, ticks, indexing="ij")
        planes = [density(torch.stack([x, y, z.expand_as(x)], -1).reshape(-1, 3)).view_as(x) for z in ticks]
        corners = nn.functional.max_pool3d(torch.stack(planes)[None], 2, 1)
        near = nn.functional.max_pool3d(corners, 3, 1, 1)[0]
        self.get_buffer("open").logical_and_(near >= below)
