"""Penalties on the grids that hold a volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from modeseek.generators.base import Rendering
from modeseek.regularizers.base import Penalty, require_3d


@dataclass(frozen=True)
class TotalVariation(Penalty):
    """Sum over the axes of the mean of `|v_{i+1} - v_i|^power` over a grid's cells; mean over the grids.

    Rudin, Osher, Fatemi 1992 (Physica D 60) for power 1, which keeps edges; squared by default, as volumes are commonly
    smoothed (Yu et al. 2021, Plenoxels, arXiv 2112.05131, take the root over the axes). Differences are between
    neighbouring cells, whatever their size: on a grid twice as fine the same field has half the difference.

    Attributes:
        power: 1 or 2.
    """

    power: Literal[1, 2] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.power not in (1, 2):
            raise ValueError(f"TotalVariation takes power 1 or 2: got {self.power}; choose one")

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        grids = require_3d(rendering, self).grids
        if not grids:
            raise ValueError("TotalVariation reads the volume's grids: got a volume without; drop it for networks")
        total = rendering.image.new_zeros(())
        for grid in grids:
            for axis in range(2, grid.ndim):
                if grid.shape[axis] > 1:
                    step = grid.diff(dim=axis)
                    total = total + (step.abs() if self.power == 1 else step.square()).mean()
        return total / len(grids)
