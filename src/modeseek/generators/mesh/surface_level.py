"""Automatic isosurface level of a density: the level that best matches the visible surface."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

_LEVELS = 64  # candidate levels
_VISIBLE_DEPTH = math.log(2.0)  # optical depth at which the transmittance is 1/2


def surface_level(density: Float[Tensor, "n n n"], step: float) -> float:
    """Returns the density level whose isosurface is nearest to the visible surface, seen along all six axis directions.

    Along each of 6 n^2 parallel rays the visible surface is at optical depth ln 2, where the transmittance is 1/2; a
    ray that stays below it sees nothing. The isosurface of a level is where the density first exceeds the level. Among
    the occurring densities, the chosen level minimises the mean distance of the two depths; a ray that hits only one of
    the two surfaces counts as the whole side of the cube, so silhouettes dominate and depths are secondary. Haze with a
    transmittance above 1/2 is ignored however large it is; thick objects of low density and thin objects of high
    density are both kept; and the level does not depend on the grid resolution.

    Args:
        density: density samples on a regular grid, per world unit, >= 0.
        step: grid spacing, world units.

    Returns:
        The level, a density strictly between the least and the greatest density.

    Raises:
        ValueError: the transmittance is above 1/2 along every ray, so no surface is visible.
    """
    rays = torch.cat([grid.reshape(-1, density.shape[0]) for grid in _axis_directions(density)])
    depth = (rays[:, 1:] + rays[:, :-1]).mul(step / 2).cumsum(1)
    depth = torch.cat([torch.zeros_like(depth[:, :1]), depth], 1)
    if depth[:, -1].max() <= _VISIBLE_DEPTH:
        opacity = 1 - math.exp(-depth[:, -1].max().item())
        raise ValueError(
            f"the volume is too thin for a surface, got an opacity of at most {opacity:.2g} along the axes; train it "
            "longer, or pass a level"
        )
    visible = _crossing(depth, torch.tensor([_VISIBLE_DEPTH]).to(depth))[:, 0]
    high = density.max().item()
    low = max(density[density > 0].min().item(), 1e-4 * high)
    levels = torch.logspace(math.log10(low), math.log10(high), _LEVELS + 2, dtype=torch.float64)[1:-1].to(density)
    surface = _crossing(rays.cummax(1).values, levels)
    return levels[(surface - visible[:, None]).abs().mean(0).argmin()].item()


def _axis_directions(density: Tensor) -> list[Tensor]:
    """Returns the grid with each axis moved last, in both directions."""
    along = [density.movedim(axis, -1) for axis in range(3)]
    return [*along, *(grid.flip(-1) for grid in along)]


def _crossing(rising: Float[Tensor, "r n"], levels: Float[Tensor, "k"]) -> Float[Tensor, "r k"]:
    """Returns where each non-decreasing row first exceeds the levels, in interpolated steps; n where it never does."""
    r, n = rising.shape
    index = torch.searchsorted(rising.contiguous(), levels.expand(r, -1).contiguous(), right=True)
    after = index.clamp(1, n - 1)
    low, high = rising.gather(1, after - 1), rising.gather(1, after)
    fraction = ((levels - low) / (high - low).clamp(min=1e-30)).clamp(0, 1)
    return torch.where(index == n, float(n), torch.where(index == 0, 0.0, after - 1 + fraction))
