"""Curves as inline SVG that takes its colours from the page, light or dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from modeseek.reports.axis import ChartAxis, axis_for
from modeseek.reports.html import safe

_WIDE, _HIGH = 420, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 12, 26, 38
_MOST = 300  # points a curve
_STRETCHES = 40  # of a trend
_LARGEST = 1e150  # beyond it differences overflow
COLOURS = 7  # after so many the dashes change


@dataclass(frozen=True)
class Curve:
    """One curve.

    Attributes:
        name: of it, where there are several.
        x: finite values, rising.
        y: finite values.
        lost: points that had no finite value.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    lost: int = 0

    @property
    def thinned(self) -> list[tuple[float, float]]:
        """At most 300 points that keep the ends, and the lowest and highest value of every stretch."""
        points = list(zip(self.x, self.y, strict=True))
        if len(points) <= _MOST:
            return points
        n, kept = _MOST // 2 - 1, [points[0]]
        for i in range(n):
            part = range(1 + i * (len(points) - 2) // n, 1 + (i + 1) * (len(points) - 2) // n)
            ends = {min(part, key=self.y.__getitem__), max(part, key=self.y.__getitem__)}
            kept += [points[j] for j in sorted(ends)]
        return [*kept, points[-1]]

    @property
    def rough(self) -> bool:
        """Whether it is long and turns at more than a fifth of its points: noise, whose trend is worth drawing."""
        moves = [b - a for a, b in zip(self.y, self.y[1:], strict=False)]
        turns = sum(1 for a, b in zip(moves, moves[1:], strict=False) if a * b < 0)
        return len(self.x) > 3 * _STRETCHES and 5 * turns > len(self.x)

    @property
    def trend(self) -> list[tuple[float, float]]:
        """Medians of 40 equal stretches: what is left of a curve when its noise is taken away."""
        cuts = [i * len(self.x) // _STRETCHES for i in range(_STRETCHES + 1)]
        return [(median(self.x[a:b]), median(self.y[a:b])) for a, b in zip(cuts, cuts[1:], strict=False) if b > a]


@dataclass(frozen=True)
class Chart:
    """Curves over common axes.

    Attributes:
        title: above it.
        y_label: what goes up, with its unit.
        x_label: what goes right, with its unit.
        lines: the curves, each with points.
        colours: number of each curve's colour.
        level: a height worth a dashed line, and its name.
        smooth: whether noise may hide what matters: then trends are drawn boldly, the curves faintly.
        amount: whether it is an amount, measured from 0.
    """

    title: str
    y_label: str
    x_label: str
    lines: tuple[Curve, ...] = ()
    colours: tuple[int, ...] = (0,)
    level: tuple[float, str] | None = None
    smooth: bool = False
    amount: bool = False


def finite_number(value: object) -> float | None:
    """A finite float that can be drawn, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        told = float(value)
    except OverflowError:
        return None
    return told if abs(told) < _LARGEST else None  # False for NaN too


def read_curve(rows: Sequence[Mapping[str, Any]], x: str, y: str, name: str = "") -> Curve | None:
    """The curve of one measure over another, or None where nothing of it can be drawn."""
    found = [(finite_number(row.get(x)), row.get(y)) for row in rows if y in row]
    points = [(a, b) for a, told in found if a is not None and (b := finite_number(told)) is not None]
    if not points:
        return None
    points.sort(key=lambda point: point[0])
    return Curve(name, tuple(a for a, _ in points), tuple(b for _, b in points), len(found) - len(points))


def draw_chart(chart: Chart) -> str:
    """The chart as a figure."""
    heights = [y for line in chart.lines for y in line.y]
    if chart.level is not None:
        heights.append(chart.level[0])
    ends = [x for line in chart.lines for x in (line.x[0], line.x[-1])]
    first, last = min(ends), max(ends)
    first = 0.0 if 0 < first < 0.1 * last else first
    across = ChartAxis(first, last) if last > first else axis_for(ends, log=False)
    up = axis_for([*heights, 0.0], log=False) if chart.amount else axis_for(heights)
    inside = [*_grid(across, up), *_level(chart, up)]
    for chosen, curve in zip(chart.colours, chart.lines, strict=True):
        kind = f"c{chosen % COLOURS} dash{chosen // COLOURS % 4}"
        smooth = chart.smooth and curve.rough
        inside.append(_path(curve.thinned, across, up, f"{kind} faint" if smooth else kind))
        if smooth:
            inside.append(_path(curve.trend, across, up, kind))
    y_label = f"{chart.y_label}, log scale" if up.log else chart.y_label
    inside.append(f"<text x='0' y='12'>{safe(y_label)}</text>")
    inside.append(f"<text x='{_WIDE - _RIGHT}' y='{_HIGH - 4}' text-anchor='end'>{safe(chart.x_label)}</text>")
    return (
        f"<figure class='curve'><figcaption>{safe(chart.title)}</figcaption>"
        f"<svg viewBox='0 0 {_WIDE} {_HIGH}' role='img' aria-label='{safe(_words(chart))}'>{''.join(inside)}</svg>"
        f"{_remarks(chart, up)}</figure>"
    )


def legend_key(colour: int) -> str:
    """A piece of a line in its colour and dashes, for legends."""
    kind = f"line c{colour % COLOURS} dash{colour // COLOURS % 4}"
    return f"<svg class='key' viewBox='0 0 28 10' aria-hidden='true'><path class='{kind}' d='M1 5H27'/></svg>"


def _grid(across: ChartAxis, up: ChartAxis) -> list[str]:
    inside: list[str] = []
    for share, text in up.ticks:
        y = _down(share)
        inside.append(f"<path class='grid' d='M{_LEFT} {y:.1f}H{_WIDE - _RIGHT}'/>")
        inside.append(f"<text x='{_LEFT - 7}' y='{y + 4:.1f}' text-anchor='end'>{text}</text>")
    for share, text in across.ticks:
        x = _right(share)
        inside.append(f"<path class='grid' d='M{x:.1f} {_HIGH - _BOTTOM}v4'/>")
        inside.append(f"<text x='{x:.1f}' y='{_HIGH - _BOTTOM + 17}' text-anchor='middle'>{text}</text>")
    return [*inside, f"<path class='grid' d='M{_LEFT} {_HIGH - _BOTTOM}H{_WIDE - _RIGHT}'/>"]


def _level(chart: Chart, up: ChartAxis) -> list[str]:
    if chart.level is None:
        return []
    value, name = chart.level
    y = _down(up.place(value))
    return [
        f"<path class='level' d='M{_LEFT} {y:.1f}H{_WIDE - _RIGHT}'/>",
        f"<text x='{_WIDE - _RIGHT}' y='{y - 5:.1f}' text-anchor='end'>{safe(name)}</text>",
    ]


def _path(points: Sequence[tuple[float, float]], across: ChartAxis, up: ChartAxis, kind: str) -> str:
    told = [f"{_right(across.place(x)):.1f} {_down(up.place(y)):.1f}" for x, y in points]
    if len(set(told)) == 1:
        x, y = told[0].split()
        return f"<circle class='dot {kind}' cx='{x}' cy='{y}' r='3'/>"
    return f"<path class='line {kind}' d='M{'L'.join(told)}'/>"


def _remarks(chart: Chart, up: ChartAxis) -> str:
    told: list[str] = []
    if chart.smooth and any(curve.rough for curve in chart.lines):
        told.append(f"Bold: medians of {_STRETCHES} equal stretches.")
    lost = sum(curve.lost for curve in chart.lines)
    if lost:
        told.append(f"{lost} {'value was' if lost == 1 else 'values were'} not finite and could not be drawn.")
    if up.log and any(y <= 0 for curve in chart.lines for y in curve.y):
        told.append("Values of 0 lie on the bottom edge.")
    return f"<p class='small'>{' '.join(told)}</p>" if told else ""


def _words(chart: Chart) -> str:
    """The chart for those who cannot see it."""
    told = ", ".join(f"{c.name + ': ' if c.name else ''}from {c.y[0]:.3g} to {c.y[-1]:.3g}" for c in chart.lines)
    return f"{chart.title} ({chart.y_label}) against {chart.x_label}: {told}"


def _right(share: float) -> float:
    return _LEFT + share * (_WIDE - _LEFT - _RIGHT)


def _down(share: float) -> float:
    return _TOP + (1 - share) * (_HIGH - _TOP - _BOTTOM)
