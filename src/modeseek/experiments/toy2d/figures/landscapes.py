"""Figure of the objectives of SDS and MSD, side by side."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from modeseek.experiments.toy2d.objective_grid import landscape, minima
from modeseek.priors.base import DensityPrior
from modeseek.pytree import Cond
from modeseek.reports.figure_style import figure_style

_GRID = 161  # grid points per side
_DEPTH = 7.0  # shown range above the minimum, nats


def draw_landscapes(prior: DensityPrior, bandwidth: float, extent: float, cond: Cond, path: Path) -> None:
    """Draws two contour maps, each with its minima marked."""
    field = landscape(prior, bandwidth, extent, _GRID, cond)
    with figure_style() as plt:
        figure, grid = plt.subplots(1, 2, figsize=(12, 6.2), sharex=True, sharey=True, layout="constrained")
        sides = (
            ("SDS descends a blurred log density", "−E log p_H(z + H n)", field.sds),
            ("MSD descends the log density itself", "−log p_H(z)", field.msd),
        )
        lowest = min(field.sds.min().item(), field.msd.min().item())
        image: Any = None
        for axes, (title, formula, objective) in zip(grid, sides, strict=True):
            ticks = field.ticks.numpy()
            levels = [lowest + _DEPTH * i / 28 for i in range(29)]
            image = axes.contourf(ticks, ticks, objective.numpy(), levels=levels, cmap="viridis_r", extend="max")
            axes.contour(
                ticks, ticks, objective.numpy(), levels=levels[::2], colors="black", linewidths=0.25, alpha=0.5
            )
            indices = minima(objective)
            indices = indices[objective[indices[:, 1], indices[:, 0]] < lowest + _DEPTH]
            x, y = ticks[indices[:, 0]], ticks[indices[:, 1]]
            axes.scatter(x, y, s=34, c="#ff4d6d", edgecolors="white", linewidths=0.8, zorder=3)
            axes.set_aspect("equal")
            axes.set_title(title, pad=20)
            count = f"{len(indices)} minimum" if len(indices) == 1 else f"{len(indices)} minima"
            axes.text(
                0,
                1.015,
                f"{formula},  H = {field.bandwidth:.3g}:  {count} (red)",
                transform=axes.transAxes,
                fontsize=9.5,
                color="#444a54",
                va="bottom",
            )
        bar = figure.colorbar(image, ax=grid, shrink=0.8, aspect=30, pad=0.012)
        bar.set_ticks(list(range(math.ceil(lowest), math.floor(lowest + _DEPTH) + 1)))
        bar.set_label("objective, nats", fontsize=9)
        bar.outline.set_linewidth(0.4)
        figure.savefig(path, dpi=100, bbox_inches="tight", pad_inches=0.12)
