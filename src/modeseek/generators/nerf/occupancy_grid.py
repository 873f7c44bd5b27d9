"""Which part of the bounding ball is still open to a volume."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from modeseek.generators.nerf.rays import Rays

_BOXES = 64  # along each axis


class OccupancyGrid(nn.Module):
    """Equal boxes of [-1, 1]^3 (in radii), open at first; a volume's density counts in open ones only.

    Pruning closes what holds next to nothing, for good (as Fridovich-Keil, Yu, Tancik, Chen, Recht, Kanazawa 2021,
    Plenoxels, arXiv 2112.05131): it clears the haze that a white background never pays to remove, and it is what a
    fast path can leave out without changing the picture.

    Args:
        like: device.
    """

    def __init__(self, like: Tensor) -> None:
        super().__init__()
        self.register_buffer("open", torch.ones((_BOXES,) * 3, dtype=torch.bool, device=like.device))

    @property
    def all_open(self) -> bool:
        """Whether nothing is closed."""
        return bool(self.get_buffer("open").all())

    def contains_samples(self, rays: Rays) -> Bool[Tensor, "m s"]:
        """Which samples of the rays stand in open boxes."""
        middle = _BOXES / 2
        steps = torch.arange(rays.samples, dtype=rays.near.dtype, device=rays.near.device)
        x, y, z = (
            torch.addcmul((f * middle + middle)[:, None], (w * middle)[:, None], steps).int().clamp_(0, _BOXES - 1)
            for f, w in zip(*(part.T for part in rays.origins_and_strides()), strict=True)
        )
        index = z.mul_(_BOXES).add_(y).mul_(_BOXES).add_(x)
        return self.get_buffer("open").flatten().index_select(0, index.flatten()).view(index.shape)

    def contains_points(self, points: Float[Tensor, "m 3"]) -> Bool[Tensor, "m"]:
        """Which points, in radii, stand in open boxes."""
        x, y, z = ((points + 1) * (_BOXES / 2)).long().clamp(0, _BOXES - 1).unbind(-1)
        return self.get_buffer("open")[z, y, x]

    @torch.no_grad()
    def prune(self, density: Callable[[Float[Tensor, "m 3"]], Float[Tensor, "m"]], below: float, like: Tensor) -> None:
        """Closes boxes at whose corners, and at those of all their neighbours, density is below that.

        Args:
            density: at points, in radii.
            below: density, a world unit.
            like: dtype and device of the points.
        """
        ticks = torch.linspace(-1, 1, _BOXES + 1, dtype=like.dtype, device=like.device)
        y, x = torch.meshgrid(ticks, ticks, indexing="ij")
        planes = [density(torch.stack([x, y, z.expand_as(x)], -1).reshape(-1, 3)).view_as(x) for z in ticks]
        corners = nn.functional.max_pool3d(torch.stack(planes)[None], 2, 1)
        near = nn.functional.max_pool3d(corners, 3, 1, 1)[0]
        self.get_buffer("open").logical_and_(near >= below)
