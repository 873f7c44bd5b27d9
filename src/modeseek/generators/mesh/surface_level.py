"""At which density a volume is taken to end: where cameras see it end."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

_LEVELS = 64
_SEEN = math.log(2.0)  # optical depth behind which less than half of the light comes


def surface_level(density: Float[Tensor, "n n n"], step: float) -> float:
    """The density whose surface lies where the volume is seen, by cameras far away on all six axes.

    Along each of 6 n^2 parallel rays the volume is seen at the depth where half of the light is stopped (optical depth
    ln 2); a ray that never stops half of it sees nothing. A level's surface is met where the density first exceeds it.
    Between densities that occur, the level is chosen that makes the mean distance of the two depths least; a ray that
    meets only one of them counts the whole side of the cube, so silhouettes come first and depths second. A haze
    through which most of the light passes counts as nothing, however large it is; a thick thing of low density and a
    thin one of high density are both kept; and the choice does not depend on how fine the grid is.

    Args:
        density: samples on a regular grid, >= 0; 1 / world units.
        step: between neighbours of the grid, world units.

    Returns:
        The level, in units of the density; between the least and the greatest density, both excluded.

    Raises:
        ValueError: half of the light passes along every one of the rays: there is nothing to be seen.
    """
    rays = torch.cat([turned.reshape(-1, density.shape[0]) for turned in _six(density)])
    stopped = (rays[:, 1:] + rays[:, :-1]).mul(step / 2).cumsum(1)
    stopped = torch.cat([torch.zeros_like(stopped[:, :1]), stopped], 1)
    if stopped[:, -1].max() <= _SEEN:
        most = 1 - math.exp(-stopped[:, -1].max().item())
        raise ValueError(
            f"the volume is too thin for a surface: got an opacity of at most {most:.2g} along the axes; train it "
            "longer, or name a level yourself"
        )
    seen = _crossing(stopped, torch.tensor([_SEEN]).to(stopped))[:, 0]
    top = density.max().item()
    low = max(density[density > 0].min().item(), 1e-4 * top)
    levels = torch.logspace(math.log10(low), math.log10(top), _LEVELS + 2, dtype=torch.float64)[1:-1].to(density)
    met = _crossing(rays.cummax(1).values, levels)
    return levels[(met - seen[:, None]).abs().mean(0).argmin()].item()


def _six(density: Tensor) -> list[Tensor]:
    """The grid along each axis, in both directions, the axis last."""
    along = [density.movedim(axis, -1) for axis in range(3)]
    return [*along, *(grid.flip(-1) for grid in along)]


def _crossing(rising: Float[Tensor, "r n"], levels: Float[Tensor, "k"]) -> Float[Tensor, "r k"]:
    """Where each never falling row first exceeds the levels, in steps, linearly interpolated; n where it never does."""
    r, n = rising.shape
    index = torch.searchsorted(rising.contiguous(), levels.expand(r, -1).contiguous(), right=True)
    after = index.clamp(1, n - 1)
    low, high = rising.gather(1, after - 1), rising.gather(1, after)
    share = ((levels - low) / (high - low).clamp(min=1e-30)).clamp(0, 1)
    return torch.where(index == n, float(n), torch.where(index == 0, 0.0, after - 1 + share))
