"""Figure of the end points and trajectories of every entry over the true density."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.experiments.toy2d.entries import ToyOutcome
from modeseek.experiments.toy2d.figures.style import POINT, TRACE, draw_density
from modeseek.meanshift.modes import Modes
from modeseek.reports.figure_style import figure_style
from modeseek.reports.table import Table

_TRACES = 24  # maximum number of trajectories in a panel


def draw_panels(
    truth: Modes,
    outcomes: Sequence[ToyOutcome],
    table: Table,
    field: Float[Tensor, "n n"],
    extent: float,
    path: Path,
) -> None:
    """Draws a panel of the true modes and one per outcome, on equal axes, over the log density `field`."""
    n = len(outcomes) + 1
    columns = min(n, 5 if n > 8 else 4 if n > 6 else 3)
    rows = math.ceil(n / columns)
    with figure_style() as plt:
        figure, grid = plt.subplots(
            rows,
            columns,
            figsize=(3.3 * columns, 3.75 * rows),
            sharex=True,
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        for axes in grid.flat[n:]:
            axes.set_axis_off()
        first = grid.flat[0]
        image = draw_density(first, field, extent)
        first.scatter(
            *truth.z.T.numpy(),
            s=4 + 500 * truth.weight.numpy(),
            facecolors="none",
            edgecolors=POINT,
            linewidths=0.7,
        )
        _title(first, "Ground truth", f"{len(truth.z)} modes of p_h, area by basin mass")
        for axes, outcome, row in zip(grid.flat[1:], outcomes, table.rows, strict=False):
            draw_density(axes, field, extent)
            _points(axes, outcome, extent)
            _title(axes, outcome.entry.title, f"NLL {row.values['nll']:.2f}   {outcome.calls:.0f} calls per point")
        bar = figure.colorbar(image, ax=grid, shrink=0.6, aspect=30, pad=0.012)
        bar.set_label("log p(z), nats", fontsize=9)
        bar.outline.set_linewidth(0.4)
        figure.savefig(path, dpi=110, bbox_inches="tight", pad_inches=0.12)


def _points(axes: Any, outcome: ToyOutcome, extent: float) -> None:
    from matplotlib.collections import LineCollection

    walk = outcome.trajectory
    if len(walk) > 1:
        chosen = torch.linspace(0, walk.shape[1] - 1, min(_TRACES, walk.shape[1])).long()
        lines = walk[:, chosen].transpose(0, 1).numpy()
        axes.add_collection(LineCollection(list(lines), colors=TRACE, linewidths=0.45, alpha=0.35))
    axes.scatter(*outcome.z.T.numpy(), s=7, c=POINT, edgecolors="black", linewidths=0.35, zorder=3)
    axes.set_xlim(-extent, extent)
    axes.set_ylim(-extent, extent)


def _title(axes: Any, title: str, line: str) -> None:
    axes.set_title(title, pad=19, fontsize=13)
    axes.text(0, 1.02, line, transform=axes.transAxes, fontsize=10.5, color="#444a54", va="bottom")
