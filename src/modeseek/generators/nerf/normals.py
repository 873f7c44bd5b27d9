"""Which way a volume's surface faces."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


def density_normals(
    density: Callable[[Float[Tensor, "m 3"]], Float[Tensor, "m"]], points: Float[Tensor, "m 3"], step: float
) -> Float[Tensor, "m 3"]:
    """Unit vectors against the density's gradient, by central differences; 0 where density is even.

    Differences serve every volume alike, are differentiable in its parameters by first derivatives only, and reach
    beyond a single cell of a grid (Li, Mueller, Evans, Taylor, Unberath, Liu, Lin 2023, arXiv 2306.03092).

    Args:
        density: at points.
        points: where.
        step: to either side.
    """
    slopes = []
    for axis in range(3):
        shift = torch.zeros_like(points[0])
        shift[axis] = step
        slopes.append(density(points - shift) - density(points + shift))
    return torch.nn.functional.normalize(torch.stack(slopes, -1), dim=-1)
