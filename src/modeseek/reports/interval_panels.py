"""Figure of scores against costs with their intervals: a panel per method, each beside the same baseline."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import median_high, median_low
from typing import Any, Literal

from modeseek.reports.figure_style import figure_style

_COLUMNS = 4
_WIDTH, _HEIGHT = 3.0, 2.35  # of a panel, inches
_METHOD, _BASELINE, _LEVEL = "#0b3d77", "#8a8f98", "#2d3136"


@dataclass(frozen=True)
class IntervalCurve:
    """Score of a method at several costs.

    Attributes:
        title: title of the panel.
        x: costs, ascending, > 0.
        y: scores.
        low: lower ends of their intervals; where there is none, the score itself.
        high: upper ends of their intervals.
    """

    title: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class IntervalPanels:
    """Content of a figure.

    Attributes:
        curves: curves, a panel each.
        baseline: curve that every panel shows in grey; None for none.
        levels: values and labels of dotted horizontal lines in every panel.
        x_label: quantity of the horizontal axis, which is logarithmic.
        y_label: quantity of the vertical axis.
        best: whether low or high scores are better: the frame is cut at the side of the worst ones.
        ticks: ticks of the horizontal axis.
    """

    curves: Sequence[IntervalCurve]
    baseline: IntervalCurve | None
    levels: Sequence[tuple[float, str]]
    x_label: str
    y_label: str
    best: Literal["low", "high", ""]
    ticks: Sequence[float]


def draw_interval_panels(panels: IntervalPanels) -> bytes:
    """PNG of the panels on common axes; methods and baseline differ in tone, dashes and marks, so that grey will do."""
    columns = min(_COLUMNS, len(panels.curves))
    rows = -(-len(panels.curves) // columns)
    with figure_style() as plt:
        figure, grid = plt.subplots(
            rows,
            columns,
            figsize=(columns * _WIDTH + 0.4, rows * _HEIGHT + 0.3),
            sharex=True,
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        for axes, curve in zip(grid.flat, panels.curves, strict=False):
            _draw_panel(axes, curve, panels)
        grid[0][0].legend(fontsize=7, frameon=False)
        for axes in list(grid.flat)[len(panels.curves) :]:
            axes.set_visible(False)
        for column in range(columns):  # the lowest panel of a column bears its labels, also above an empty place
            lowest = grid[(len(panels.curves) - 1 - column) // columns][column]
            lowest.tick_params(labelbottom=True)
        grid[0][0].set_ylim(*_frame(panels))
        figure.supxlabel(f"{panels.x_label}, log scale", fontsize=10)
        figure.supylabel(panels.y_label, fontsize=10)
        out = io.BytesIO()
        figure.savefig(out, dpi=130, format="png")
    return out.getvalue()


def _frame(panels: IntervalPanels) -> tuple[float, float]:
    """Limits of the vertical axis, so that a few bad methods do not flatten all others.

    They hold every level and every best value; at the side of the worst values the baseline, and the worst value of
    every second curve.
    """
    curves = [*panels.curves, *([] if panels.baseline is None else [panels.baseline])]
    levels = [value for value, _ in panels.levels]
    lows, highs = [min(curve.low) for curve in curves], [max(curve.high) for curve in curves]
    low, high = min((*levels, *lows)), max((*levels, *highs))
    if panels.best == "low":
        high = max((*levels, median_high(highs), -inf if panels.baseline is None else highs[-1]))
    elif panels.best == "high":
        low = min((*levels, median_low(lows), inf if panels.baseline is None else lows[-1]))
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin


def _draw_panel(axes: Any, curve: IntervalCurve, panels: IntervalPanels) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(panels.ticks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(visible=True, color="#e6e8eb", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(curve.title)
    for value, label in panels.levels:
        axes.axhline(value, color=_LEVEL, linewidth=1, linestyle=":", label=label)
    base = panels.baseline
    if base is not None and base is not curve:
        axes.fill_between(base.x, base.low, base.high, color=_BASELINE, alpha=0.22, linewidth=0)
        axes.plot(base.x, base.y, color=_BASELINE, linewidth=1.4, linestyle="--", marker="o", markersize=3.5,
                  markerfacecolor="white", label=base.title)  # fmt: skip
    axes.fill_between(curve.x, curve.low, curve.high, color=_METHOD, alpha=0.25, linewidth=0)
    axes.plot(curve.x, curve.y, color=_METHOD, linewidth=1.8, marker="s", markersize=4, label="the method")
