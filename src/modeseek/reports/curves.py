"""Charts of curves as inline SVG that takes its colours from the page, light or dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from markupsafe import Markup, escape

from modeseek.reports.axis import ChartAxis, axis_for

_WIDTH, _HEIGHT = 420, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 12, 26, 38
_MAX_POINTS = 300  # per curve
_TREND_POINTS = 40
_LARGEST = 1e150  # beyond it differences overflow
COLOURS = 7  # number of colours before the dashes change


@dataclass(frozen=True)
class Curve:
    """One curve of a chart.

    Attributes:
        name: name of the curve, if there are several.
        x: finite values, ascending.
        y: finite values.
        lost: number of points left out because they were not finite.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    lost: int = 0

    @property
    def thinned(self) -> list[tuple[float, float]]:
        """At most 300 points: both ends, and the minimum and maximum of each of equal intervals."""
        points = list(zip(self.x, self.y, strict=True))
        if len(points) <= _MAX_POINTS:
            return points
        n, thinned = _MAX_POINTS // 2 - 1, [points[0]]
        for i in range(n):
            interval = range(1 + i * (len(points) - 2) // n, 1 + (i + 1) * (len(points) - 2) // n)
            extremes = {min(interval, key=self.y.__getitem__), max(interval, key=self.y.__getitem__)}
            thinned += [points[j] for j in sorted(extremes)]
        return [*thinned, points[-1]]

    @property
    def noisy(self) -> bool:
        """Whether the curve has more than 120 points and changes direction at more than a fifth of them."""
        differences = [b - a for a, b in zip(self.y, self.y[1:], strict=False)]
        turns = sum(1 for a, b in zip(differences, differences[1:], strict=False) if a * b < 0)
        return len(self.x) > 3 * _TREND_POINTS and 5 * turns > len(self.x)

    @property
    def trend(self) -> list[tuple[float, float]]:
        """Medians of 40 equal intervals, which remove the noise of a curve."""
        cuts = [i * len(self.x) // _TREND_POINTS for i in range(_TREND_POINTS + 1)]
        return [(median(self.x[a:b]), median(self.y[a:b])) for a, b in zip(cuts, cuts[1:], strict=False) if b > a]


@dataclass(frozen=True)
class Chart:
    """Curves over common axes.

    Attributes:
        title: title above the chart.
        y_label: quantity and unit of the vertical axis.
        x_label: quantity and unit of the horizontal axis.
        lines: curves, each with at least one point.
        colours: index of each curve's colour.
        level: value of a dashed horizontal line, and its label; None for none.
        smooth: whether to draw the trend of noisy curves boldly, and the curves faintly.
        amount: whether the quantity is an amount, shown on a linear axis from 0.
        meaning: explanation of the title, shown as a tooltip; empty for none.
    """

    title: str
    y_label: str
    x_label: str
    lines: tuple[Curve, ...] = ()
    colours: tuple[int, ...] = (0,)
    level: tuple[float, str] | None = None
    smooth: bool = False
    amount: bool = False
    meaning: str = ""


def finite_number(value: object) -> float | None:
    """The value as a finite float that can be drawn; None otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) < _LARGEST else None  # False for NaN too


def read_curve(rows: Sequence[Mapping[str, Any]], x: str, y: str, name: str = "") -> Curve | None:
    """The curve of metric `y` over metric `x`; None if it has no finite point."""
    pairs = [(finite_number(row.get(x)), row.get(y)) for row in rows if y in row]
    points = [(a, b) for a, value in pairs if a is not None and (b := finite_number(value)) is not None]
    if not points:
        return None
    points.sort(key=lambda point: point[0])
    return Curve(name, tuple(a for a, _ in points), tuple(b for _, b in points), len(pairs) - len(points))


def draw_chart(chart: Chart) -> Markup:
    """The chart as an HTML figure."""
    heights = [y for line in chart.lines for y in line.y]
    if chart.level is not None:
        heights.append(chart.level[0])
    ends = [x for line in chart.lines for x in (line.x[0], line.x[-1])]
    first, last = min(ends), max(ends)
    first = 0.0 if 0 < first < 0.1 * last else first
    across = ChartAxis(first, last) if last > first else axis_for(ends, log=False)
    up = axis_for([*heights, 0.0], log=False) if chart.amount else axis_for(heights)
    elements = [*_grid(across, up), *_level(chart, up)]
    for colour, curve in zip(chart.colours, chart.lines, strict=True):
        classes = f"c{colour % COLOURS} dash{colour // COLOURS % 4}"
        smooth = chart.smooth and curve.noisy
        elements.append(_path(curve.thinned, across, up, f"{classes} faint" if smooth else classes, curve.name))
        if smooth:
            elements.append(_path(curve.trend, across, up, classes))
    y_label = f"{chart.y_label}, log scale" if up.log else chart.y_label
    elements.append(f"<text x='0' y='12'>{escape(y_label)}</text>")
    elements.append(f"<text x='{_WIDTH - _RIGHT}' y='{_HEIGHT - 4}' text-anchor='end'>{escape(chart.x_label)}</text>")
    return Markup(
        f"<figure class='curve'><figcaption>{_title(chart)}<output></output></figcaption>"
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' tabindex='0' data-x='{escape(chart.x_label)}' "
        f"aria-label='{escape(_aria_label(chart))}'>"
        f"{''.join(elements)}</svg>{_notes(chart, up)}</figure>"
    )


def legend_key(colour: int) -> Markup:
    """Line sample in a colour and its dashes, for legends."""
    classes = f"line c{colour % COLOURS} dash{colour // COLOURS % 4}"
    return Markup(
        f"<svg class='key' viewBox='0 0 28 10' aria-hidden='true'><path class='{classes}' d='M1 5H27'/></svg>"
    )


def _grid(across: ChartAxis, up: ChartAxis) -> list[str]:
    elements: list[str] = []
    for position, label in up.ticks:
        y = _y(position)
        elements.append(f"<path class='grid' d='M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}'/>")
        elements.append(f"<text x='{_LEFT - 7}' y='{y + 4:.1f}' text-anchor='end'>{label}</text>")
    for position, label in across.ticks:
        x = _x(position)
        elements.append(f"<path class='grid' d='M{x:.1f} {_HEIGHT - _BOTTOM}v4'/>")
        elements.append(f"<text x='{x:.1f}' y='{_HEIGHT - _BOTTOM + 17}' text-anchor='middle'>{label}</text>")
    return [*elements, f"<path class='grid' d='M{_LEFT} {_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}'/>"]


def _level(chart: Chart, up: ChartAxis) -> list[str]:
    if chart.level is None:
        return []
    value, name = chart.level
    y = _y(up.position(value))
    return [
        f"<path class='level' d='M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}'/>",
        f"<text x='{_WIDTH - _RIGHT}' y='{y - 5:.1f}' text-anchor='end'>{escape(name)}</text>",
    ]


def _title(chart: Chart) -> Markup:
    """Title of a chart, with a tooltip if it has a meaning; markup of the macro `term`."""
    title = escape(chart.title)
    if not chart.meaning:
        return title
    return Markup("<button type='button' class='term'>{}<span role='tooltip'>{}</span></button>").format(
        title, chart.meaning
    )


def _path(
    points: Sequence[tuple[float, float]], across: ChartAxis, up: ChartAxis, classes: str, name: str | None = None
) -> str:
    """A line, or a dot if it has no length; with a name, its values can be read in the page (`templates/curves.js`)."""
    pixels = [f"{_x(across.position(x)):.1f} {_y(up.position(y)):.1f}" for x, y in points]
    if len(set(pixels)) == 1:
        x, y = pixels[0].split()
        return f"<circle class='dot {classes}' cx='{x}' cy='{y}' r='3'/>"
    values = "" if name is None else f" data-name='{escape(name)}' data-values='{_values(points)}'"
    return f"<path class='line {classes}' d='M{'L'.join(pixels)}'{values}/>"


def _values(points: Sequence[tuple[float, float]]) -> str:
    """The points as text, in the order of the line's own: x and y, which a blank separates from the next."""
    return " ".join(f"{x:.10g},{y:.4g}" for x, y in points)


def _notes(chart: Chart, up: ChartAxis) -> str:
    notes: list[str] = []
    if chart.smooth and any(curve.noisy for curve in chart.lines):
        notes.append(f"Bold: medians of {_TREND_POINTS} equal intervals.")
    lost = sum(curve.lost for curve in chart.lines)
    if lost:
        notes.append(f"{lost} {'value was' if lost == 1 else 'values were'} not finite and could not be drawn.")
    if up.log and any(y <= 0 for curve in chart.lines for y in curve.y):
        notes.append("Values of 0 lie on the bottom edge.")
    return f"<p class='small'>{' '.join(notes)}</p>" if notes else ""


def _aria_label(chart: Chart) -> str:
    """Description of the chart for screen readers."""
    ranges = ", ".join(f"{c.name + ': ' if c.name else ''}from {c.y[0]:.3g} to {c.y[-1]:.3g}" for c in chart.lines)
    return f"{chart.title} ({chart.y_label}) against {chart.x_label}: {ranges}"


def _x(position: float) -> float:
    return _LEFT + position * (_WIDTH - _LEFT - _RIGHT)


def _y(position: float) -> float:
    return _TOP + (1 - position) * (_HEIGHT - _TOP - _BOTTOM)
