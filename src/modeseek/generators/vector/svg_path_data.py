"""Path data of SVG: outlines of cubics from the attribute `d`, and from basic shapes."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from modeseek.io.errors import one_line

_MAX_CUBICS = 20_000  # of one path
_MAX_OUTLINES = 2_000  # of one path
_GRAMMAR = re.compile(r"[\sMmZzLlHhVvCcSsQqTtAa0-9eE.,+-]*")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


class Point(NamedTuple):
    """Point in user units."""

    x: float
    y: float


_ORIGIN = Point(0.0, 0.0)


@dataclass(frozen=True)
class Outline:
    """Subpath of cubics.

    Attributes:
        points: start, then two handles and the end of each cubic.
        closed: whether it ends with Z.
    """

    points: tuple[Point, ...]
    closed: bool


def read_path_data(data: str) -> tuple[Outline, ...]:
    """Subpaths of path data, all commands of SVG 1.1, as cubics: lines and quadratics exactly, arcs in quarters.

    Costs time linear in the length of the data.

    Raises:
        ValueError: the data break the grammar, or have more than 20,000 cubics or 2,000 outlines.
    """
    from svgelements import SVGLexicalParser

    builder = _Builder()
    if not _GRAMMAR.fullmatch(data):
        raise _malformed(data)
    try:
        SVGLexicalParser().parse(builder, data)
    except (TypeError, OverflowError, ZeroDivisionError) as error:  # a number that is missing or too large
        raise _malformed(data) from error
    except ValueError as error:
        raise (error if error.args else _malformed(data)) from error
    builder.finish()
    return tuple(builder.outlines)


def _malformed(data: str) -> ValueError:
    return ValueError(f"path data must follow the grammar of SVG, got {one_line(data, 60)!r}; export the file again")


class _Builder:
    """Receiver of the commands that svgelements' lexer reads; coordinates arrive absolute, lengths as written."""

    def __init__(self) -> None:
        self.outlines: list[Outline] = []
        self._points: list[Point] = []
        self._cubics = 0
        self._smooth: tuple[str, Point] = ("", _ORIGIN)  # kind and handle of the last curve, for S and T

    @property
    def current_point(self) -> Point | None:
        return self._points[-1] if self._points else None

    def start(self) -> None:
        """Begins; the lexer calls it first."""

    def end(self) -> None:
        """Ends; the lexer does not reach it, so `finish` follows its return."""

    def move(self, to: Any, relative: bool) -> None:
        self.finish()
        self._points = [_point(to)]

    def line(self, to: Any, relative: bool) -> None:
        start, end = self._here(), _point(to)
        self._cubic(_between(start, end, 1 / 3), _between(start, end, 2 / 3), end)

    def horizontal(self, value: float, relative: bool) -> None:
        start = self._here()
        self.line((value + start.x * relative, start.y), relative)

    def vertical(self, value: float, relative: bool) -> None:
        start = self._here()
        self.line((start.x, value + start.y * relative), relative)

    def cubic(self, first: Any, second: Any, to: Any, relative: bool) -> None:
        self._cubic(_point(first), _point(second), _point(to), "cubic", _point(second))

    def smooth_cubic(self, second: Any, to: Any, relative: bool) -> None:
        self.cubic(self._mirrored("cubic"), second, to, relative)

    def quad(self, handle: Any, to: Any, relative: bool) -> None:
        start, control, end = self._here(), _point(handle), _point(to)
        self._cubic(_between(start, control, 2 / 3), _between(end, control, 2 / 3), end, "quad", control)

    def smooth_quad(self, to: Any, relative: bool) -> None:
        self.quad(self._mirrored("quad"), to, relative)

    def arc(self, rx: float, ry: float, rotation: float, large: bool, sweep: bool, to: Any, relative: bool) -> None:
        from svgelements import Arc

        start, end = self._here(), _point(to)
        if start == end:
            return
        if not rx or not ry:
            return self.line(end, relative)
        arc: Any = Arc(start, abs(rx), abs(ry), rotation, large, sweep, end)  # svgelements has no types
        if not math.isfinite(arc.sweep):
            raise OverflowError
        curves = list(arc.as_cubic_curves(max(1, math.ceil(abs(arc.sweep) / (math.pi / 2) - 1e-9))))
        ends = [start, *(Point(curve.end.x, curve.end.y) for curve in curves[:-1]), end]
        longer = _handle_ratio(abs(arc.sweep) / len(curves))
        for curve, (here, to) in zip(curves, pairwise(ends), strict=True):
            first, second = Point(curve.control1.x, curve.control1.y), Point(curve.control2.x, curve.control2.y)
            self._cubic(_between(here, first, longer), _between(to, second, longer), to)

    def closed(self, relative: bool) -> None:
        self._here()
        start = self._points[0]
        self._count()
        self.finish(closed=True)
        self._points = [start]

    def _here(self) -> Point:
        if not self._points:
            raise TypeError
        return self._points[-1]

    def _mirrored(self, kind: str) -> Point:
        """The last handle mirrored at the current point, or the current point after a curve of another kind."""
        here, (last, handle) = self._here(), self._smooth
        return Point(2 * here.x - handle.x, 2 * here.y - handle.y) if last == kind else here

    def _cubic(self, first: Point, second: Point, end: Point, kind: str = "", handle: Point = _ORIGIN) -> None:
        self._here()
        self._count()
        self._points += [first, second, end]
        self._smooth = (kind, handle)

    def _count(self) -> None:
        self._cubics += 1
        if self._cubics > _MAX_CUBICS:
            raise ValueError(f"a path must have at most {_MAX_CUBICS:,} curves, got more; simplify the drawing first")

    def finish(self, closed: bool = False) -> None:
        """Ends the current subpath."""
        if len(self._points) > 1 or (closed and self._points):
            self.outlines.append(Outline(tuple(self._points), closed))
        if len(self.outlines) > _MAX_OUTLINES:
            raise ValueError(f"a path must have at most {_MAX_OUTLINES:,} outlines, got more; split it into several")
        self._points = []
        self._smooth = ("", _ORIGIN)


def _handle_ratio(angle: float) -> float:
    """Handles of the usual cubic of an arc, `4/3 tan(angle / 4)`, over those of svgelements.

    The usual ones are off by less than 3e-4 radii for a quarter, those of svgelements by 2e-3.
    """
    theirs = math.sin(angle) * (math.sqrt(4 + 3 * math.tan(angle / 2) ** 2) - 1) / 3
    return 4 / 3 * math.tan(angle / 4) / theirs


def _point(coordinates: Any) -> Point:
    x, y = coordinates  # TypeError, which means malformed data, where the lexer found none
    return Point(x, y)


def _between(start: Point, end: Point, share: float) -> Point:
    return Point(start.x + (end.x - start.x) * share, start.y + (end.y - start.y) * share)


def rectangle_data(x: float, y: float, width: float, height: float, rx: float, ry: float) -> str:
    """Path data of a rectangle with rounded corners; empty where it has no area."""
    if not (width > 0 and height > 0):
        return ""
    rx, ry = min(rx, width / 2), min(ry, height / 2)
    right, bottom = x + width, y + height
    if not (rx > 0 and ry > 0):
        return f"M{x} {y}H{right}V{bottom}H{x}Z"
    arc = f"A{rx} {ry} 0 0 1 "
    return (
        f"M{x + rx} {y}H{right - rx}{arc}{right} {y + ry}V{bottom - ry}{arc}{right - rx} {bottom}"
        f"H{x + rx}{arc}{x} {bottom - ry}V{y + ry}{arc}{x + rx} {y}Z"
    )


def ellipse_data(x: float, y: float, rx: float, ry: float) -> str:
    """Path data of an ellipse, four arcs from the right end on; empty where it has no area."""
    if not (rx > 0 and ry > 0):
        return ""
    ends = [(x, y + ry), (x - rx, y), (x, y - ry), (x + rx, y)]
    return f"M{x + rx} {y}" + "".join(f"A{rx} {ry} 0 0 1 {to_x} {to_y}" for to_x, to_y in ends) + "Z"


def polyline_data(points: str, closed: bool) -> str:
    """Path data of the attribute `points`; an odd last number is left out, as renderers do."""
    numbers = _NUMBER.findall(points)
    pairs = [f"{x} {y}" for x, y in zip(numbers[::2], numbers[1::2], strict=False)]
    return f"M{'L'.join(pairs)}{'Z' * closed}" if pairs else ""
