"""The default volume: one grid of raw numbers, coarse first and finer later."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.generators.nerf.interpolate import trilinear
from modeseek.generators.nerf.volume import BlobInit, RawVolume


class Dense(RawVolume):
    """Raw density and colour on a cubic grid, interpolated and then activated.

    In this order a surface may be sharper than a cell (Sun, Sun, Chen 2021, DVGO, arXiv 2111.11215). Adam with betas
    (0.9, 0.99) and a rate of 0.25 that falls to a fifth suits it.

    The grids of all sides are parameters from the beginning, so an optimizer made once holds them all. Only the one in
    use gets a gradient (torch's optimizers pass over parameters without one); `refine` writes it, enlarged, into the
    next, whose steps the optimizer then begins to count. Which is in use is part of the state dict.

    Args:
        sides: points along each axis, coarse to fine.
        blob: what it starts with; colours start grey.
        like: dtype and device.

    Raises:
        ValueError: no sides, sides below 2, or sides that do not grow.
    """

    def __init__(
        self, sides: Sequence[int] = (32, 64), blob: BlobInit | None = None, like: Tensor | None = None
    ) -> None:
        super().__init__()
        sides = tuple(sides)
        if not sides or min(sides) < 2 or list(sides) != sorted(set(sides)):
            raise ValueError(f"a dense grid's sides are at least 2 and grow: got {sides}; mend them")
        like = torch.empty(0) if like is None else like
        self.sides = sides
        ticks = torch.linspace(-1, 1, sides[0], dtype=like.dtype, device=like.device)
        z, y, x = torch.meshgrid(ticks, ticks, ticks, indexing="ij")
        first = torch.zeros(1, 4, *z.shape, dtype=like.dtype, device=like.device)
        first[0, 0] = (BlobInit() if blob is None else blob)(torch.stack([x, y, z], -1))
        self.grid_of = nn.ParameterList([first] + [like.new_zeros(1, 4, side, side, side) for side in sides[1:]])
        self.register_buffer("level", torch.zeros((), dtype=torch.long))

    @property
    def grid(self) -> Float[Tensor, "1 4 z y x"]:
        """The one in use: raw density, red, green, blue."""
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
            raise ValueError(f"a grid of sides {self.sides} has levels 0 to {self.levels - 1}: got {level}; add sides")
        now = self.get_buffer("level")
        for coarse, fine in zip(self.grid_of[int(now) : level], self.grid_of[int(now) + 1 : level + 1], strict=True):
            fine.copy_(nn.functional.interpolate(coarse, fine.shape[2:], mode="trilinear", align_corners=True))
            now.add_(1)
