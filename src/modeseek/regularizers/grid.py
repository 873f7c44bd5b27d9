"""Regularizers on the parameter grids of a volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from modeseek.generators.base import Rendering
from modeseek.regularizers.base import Penalty, require_3d


@dataclass(frozen=True)
class TotalVariation(Penalty):
    """Total variation: `|v_{i+1} - v_i|^power`, mean over cells, sum over axes, mean over the grids.

    Power 1 (Rudin, Osher, Fatemi 1992, Physica D 60) preserves edges; the default is squared, as is common for volumes
    (Yu et al. 2021, Plenoxels, arXiv 2112.05131, take the root over the axes). Differences are between neighbouring
    cells and not divided by their size: on a grid twice as fine the same field has half the difference.

    Attributes:
        power: exponent of the differences, 1 or 2.
    """

    power: Literal[1, 2] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.power not in (1, 2):
            raise ValueError(f"TotalVariation power must be 1 or 2, got {self.power}")

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        grids = require_3d(rendering, self).grids
        if not grids:
            raise ValueError("TotalVariation needs a volume with grids, got none; remove it for networks")
        total = rendering.image.new_zeros(())
        for grid in grids:
            for axis in range(2, grid.ndim):
                if grid.shape[axis] > 1:
                    step = grid.diff(dim=axis)
                    total = total + (step.abs() if self.power == 1 else step.square()).mean()
        return total / len(grids)
