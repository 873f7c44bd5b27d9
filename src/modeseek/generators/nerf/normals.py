"""Surface normals of a density by finite differences."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


def density_normals(
    density: Callable[[Float[Tensor, "m 3"]], Float[Tensor, "m"]], points: Float[Tensor, "m 3"], step: float
) -> Float[Tensor, "m 3"]:
    """Returns unit normals, opposite to the density gradient, by central differences; 0 where density is constant.

    Finite differences work for every volume, need only first derivatives to be differentiable in its parameters, and
    reach beyond a single cell of a grid (Li, Mueller, Evans, Taylor, Unberath, Liu, Lin 2023, arXiv 2306.03092).

    Args:
        density: density function of points.
        points: evaluation points.
        step: offset of the differences to either side, in units of the points.
    """
    slopes = []
    for axis in range(3):
        shift = torch.zeros_like(points[0])
        shift[axis] = step
        slopes.append(density(points - shift) - density(points + shift))
    return torch.nn.functional.normalize(torch.stack(slopes, -1), dim=-1)
