"""Dense voxel grids, refined from coarse to fine; the default volume."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.generators.nerf.interpolate import trilinear
from modeseek.generators.nerf.volume import BlobInit, RawVolume


class Dense(RawVolume):
    """Volume on a cubic voxel grid: raw density and colour are interpolated, then activated.

    Post-activation makes surfaces sharper than a voxel possible (Sun, Sun, Chen 2021, DVGO, arXiv 2111.11215).
    Recommended optimizer: Adam with betas (0.9, 0.99) and a learning rate of 0.25 that decays to a fifth.

    The grids of all resolutions are parameters from the start, so one optimizer holds them all. Only the active grid
    gets a gradient (torch's optimizers skip parameters without one); `refine` upsamples it into the next grid, for
    which the optimizer's step count then starts. The active level is part of the state dict.

    Args:
        sides: grid points along each axis, coarse to fine, each >= 2.
        blob: initial raw density; initial colours are grey.
        like: tensor whose dtype and device the parameters take; default float32 on the CPU.

    Raises:
        ValueError: no sides, sides below 2, or sides that do not increase.
    """

    def __init__(
        self, sides: Sequence[int] = (32, 64), blob: BlobInit | None = None, like: Tensor | None = None
    ) -> None:
        super().__init__()
        sides = tuple(sides)
        if not sides or min(sides) < 2 or list(sides) != sorted(set(sides)):
            raise ValueError(f"dense grid sides must be >= 2 and increase, got {sides}")
        like = torch.empty(0) if like is None else like
        self.sides = sides
        ticks = torch.linspace(-1, 1, sides[0], dtype=like.dtype, device=like.device)
        z, y, x = torch.meshgrid(ticks, ticks, ticks, indexing="ij")
        coarsest = torch.zeros(1, 4, *z.shape, dtype=like.dtype, device=like.device)
        coarsest[0, 0] = (BlobInit() if blob is None else blob)(torch.stack([x, y, z], -1))
        self.grid_of = nn.ParameterList([coarsest] + [like.new_zeros(1, 4, side, side, side) for side in sides[1:]])
        self.register_buffer("level", torch.zeros((), dtype=torch.long))

    @property
    def grid(self) -> Float[Tensor, "1 4 z y x"]:
        """The active grid: raw density, red, green, blue."""
        return self.grid_of[int(self.get_buffer("level"))]

    @property
    def spacing(self) -> float:
        return 2 / (self.grid.shape[-1] - 1)

    def raw(self, points: Float[Tensor, "m 3"], colour: bool) -> Float[Tensor, "c m"]:
        return trilinear(self.grid[0] if colour else self.grid[0, :1], points)

    def grids(self) -> tuple[Tensor, ...]:
        return (self.grid,)

    @property
    def levels(self) -> int:
        return len(self.grid_of)

    @torch.no_grad()
    def refine(self, level: int) -> None:
        if not 0 <= level < self.levels:
            raise ValueError(f"a grid of sides {self.sides} has levels 0 to {self.levels - 1}, got {level}; add sides")
        active = self.get_buffer("level")
        start = int(active)
        for coarse, fine in zip(self.grid_of[start:level], self.grid_of[start + 1 : level + 1], strict=True):
            fine.copy_(nn.functional.interpolate(coarse, fine.shape[2:], mode="trilinear", align_corners=True))
            active.add_(1)
