"""Walk through the elements of an SVG: the shapes that they draw, in the order of painting."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.vector.cubics import straight
from modeseek.generators.vector.shapes import Shape, components
from modeseek.generators.vector.svg_color import read_paint, read_share
from modeseek.generators.vector.svg_path_data import (
    Outline,
    ellipse_data,
    polyline_data,
    read_path_data,
    rectangle_data,
)
from modeseek.generators.vector.svg_style import INITIAL, Color, Document, inherit
from modeseek.generators.vector.svg_tree import MAX_DEPTH, MAX_ELEMENTS, local_name, reference
from modeseek.generators.vector.svg_viewport import Affine, Viewport, read_length, read_viewport

_GROUPS = ("g", "a", "switch")
_SHAPES = ("path", "rect", "circle", "ellipse", "line", "polyline", "polygon")
_LEFT_OUT = {"text": "text is left out", "foreignObject": "embedded pages are left out"}
_CUTS = ("clip-path", "mask", "filter")
_MARKERS = ("marker", "marker-start", "marker-mid", "marker-end")
MAX_CUBICS = 200_000  # of all paths, each subdivided into as many as the longest has
_MAX_CHARACTERS = 8_000_000  # of path data
_URL = re.compile(r"url\(\s*['\"]?#([^'\")]*)['\"]?\s*\)")


@dataclass(frozen=True)
class Context:
    """What an element takes from those around it.

    Attributes:
        to_canvas: map from its user units to pixels of the canvas.
        viewport: the nearest viewport.
        style: inherited properties.
        opacity: product of the opacities of its groups.
        depth: levels above it.
    """

    to_canvas: Affine
    viewport: Viewport
    style: Mapping[str, str]
    opacity: float = 1.0
    depth: int = 0


class Walk:
    """Walk through an SVG; the outlines of its shapes are in pixels of the canvas, one shape a `<path>` in the end.

    Args:
        document: the SVG.

    Attributes:
        canvas: (height, width) of the canvas, pixels.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self._viewport = read_viewport(document.attributes(document.root), None, document.name)
        self.canvas = self._viewport.size
        self._visited = itertools.count(1)
        self._characters = self._cubics = 0

    def __iter__(self) -> Iterator[Shape]:
        """Shapes of the SVG, from the bottom to the top."""
        root, view = self.document.root, self._viewport
        attributes = self.document.attributes(root)
        context = Context(view.to_outer, view, inherit(attributes, INITIAL), depth=1)
        drawn = itertools.chain.from_iterable(self.shapes(child, context) for child in root)
        return self._faded(drawn, read_share(attributes.get("opacity")))

    def shapes(self, element: Element, context: Context) -> Iterator[Shape]:
        """Shapes of an element and all in it.

        Raises:
            ValueError: an element is malformed, or references go round in circles or expand without end.
        """
        if context.depth > MAX_DEPTH or next(self._visited) > MAX_ELEMENTS:
            raise ValueError(
                f"{self.document.name} must draw at most {MAX_ELEMENTS:,} elements, {MAX_DEPTH} levels deep, uses "
                "counted, got more; simplify the drawing first"
            )
        tag, attributes = local_name(element), self.document.attributes(element)
        if attributes.get("display") == "none":
            return
        if tag in _LEFT_OUT:
            self.document.remarks[_LEFT_OUT[tag]] += 1
        inner = self._enter(tag, attributes, context)
        if tag in _SHAPES:
            drawn = self._draw(tag, attributes, inner)
        elif tag == "use":
            drawn = self._use(attributes, inner)
        elif tag in _GROUPS or (tag == "svg" and context.depth):
            drawn = itertools.chain.from_iterable(self.shapes(child, inner) for child in element)
        else:
            return
        yield from self._faded(drawn, read_share(attributes.get("opacity")))

    def _enter(self, tag: str, attributes: Mapping[str, str], context: Context) -> Context:
        """Context of the inside of an element."""
        moved = context.to_canvas.after(Affine.read(attributes.get("transform")))
        viewport = context.viewport
        if tag == "svg":
            viewport = read_viewport(attributes, (viewport.width, viewport.height), self.document.name)
            moved = moved.after(viewport.to_outer)
        for cut in _CUTS:
            if attributes.get(cut, "none") != "none" and not self._covers_canvas(attributes[cut], cut, moved):
                self.document.remarks[f"{cut} is left out"] += 1
        if any(attributes.get(marker, "none") != "none" for marker in _MARKERS):
            self.document.remarks["markers are left out"] += 1
        style = inherit(attributes, context.style)
        return replace(context, to_canvas=moved, viewport=viewport, style=style, depth=context.depth + 1)

    def _faded(self, shapes: Iterator[Shape], opacity: float) -> Iterator[Shape]:
        """The shapes of an element of that opacity."""
        if opacity >= 1:
            yield from shapes
            return
        drawn = list(shapes)
        if len(drawn) > 1 and opacity > 0:
            self.document.remarks["the opacity of groups is given to each of their shapes"] += 1
        for shape in drawn:
            yield replace(shape, color=(*shape.color[:3], shape.color[3] * opacity))

    def _use(self, attributes: Mapping[str, str], context: Context) -> Iterator[Shape]:
        """Shapes of the element that a `<use>` refers to."""
        target = self.document.ids.get(reference(attributes)[1:])
        if target is None:
            return
        view = context.viewport
        x = read_length(attributes.get("x"), 0.0, view.width)
        y = read_length(attributes.get("y"), 0.0, view.height)
        moved = replace(context, to_canvas=context.to_canvas.after(Affine(e=x, f=y)))
        if local_name(target) != "symbol":
            yield from self.shapes(target, moved)
            return
        own = self.document.attributes(target)
        sides = {side: attributes[side] for side in ("width", "height") if side in attributes}
        moved = self._enter("svg", own | sides, moved)
        for child in target:
            yield from self.shapes(child, moved)

    def _draw(self, tag: str, attributes: Mapping[str, str], context: Context) -> Iterator[Shape]:
        """Fill and strokes of one shape."""
        style = context.style
        if style["visibility"] != "visible":
            return
        outlines = self._outlines(self._path_data(tag, attributes, context.viewport))
        moved = [(outline, context.to_canvas(_tensor(outline))) for outline in outlines]
        fill = read_paint(style["fill"], self.document, style["color"])
        if fill is not None and tag != "line":
            color = _faded_color(fill, style["fill-opacity"])
            closed = [_close(points) for _, points in moved if len(points) > 1]
            yield from _fills(closed, color, style["fill-rule"] == "evenodd")
        stroke = read_paint(style["stroke"], self.document, style["color"])
        view = context.viewport
        width = read_length(style["stroke-width"], 1.0, math.hypot(view.width, view.height) / math.sqrt(2))
        if stroke is not None and width > 0:
            self._remark_stroke(outlines, style, context.to_canvas)
            color = _faded_color(stroke, style["stroke-opacity"])
            for outline, points in moved:
                line = _close(points, again=True) if outline.closed else points
                if len(line) > 1 and color[3] > 0:
                    yield Shape((line,), color, width * context.to_canvas.scale)

    def _outlines(self, data: str) -> tuple[Outline, ...]:
        """Outlines of path data; all that were read together, uses counted each, are bounded."""
        self._characters += len(data)
        if self._characters <= _MAX_CHARACTERS:
            outlines = read_path_data(data)
            self._cubics += sum(len(outline.points) // 3 for outline in outlines)
            if self._cubics <= MAX_CUBICS:
                return outlines
        raise ValueError(
            f"{self.document.name} must draw at most {MAX_CUBICS:,} curves, uses counted, got more; simplify the "
            "drawing first"
        )

    def _path_data(self, tag: str, attributes: Mapping[str, str], view: Viewport) -> str:
        """Path data of a basic shape or path."""
        wholes = {"x": view.width, "y": view.height, "r": math.hypot(view.width, view.height) / math.sqrt(2)}

        def length(name: str, default: float = 0.0) -> float:
            axis = "x" if name in ("x", "cx", "rx", "x1", "x2", "width") else "y"
            return read_length(attributes.get(name), default, wholes["r" if name == "r" else axis])

        if tag == "path":
            return attributes.get("d", "")
        if tag in ("polygon", "polyline"):
            return polyline_data(attributes.get("points", ""), tag == "polygon")
        if tag == "line":
            return f"M{length('x1')} {length('y1')}L{length('x2')} {length('y2')}"
        if tag == "circle":
            return ellipse_data(length("cx"), length("cy"), length("r"), length("r"))
        rx = length("rx", length("ry"))
        ry = length("ry", rx)
        if tag == "ellipse":
            return ellipse_data(length("cx"), length("cy"), rx, ry)
        return rectangle_data(length("x"), length("y"), length("width"), length("height"), rx, ry)

    def _remark_stroke(self, outlines: tuple[Outline, ...], style: Mapping[str, str], to_canvas: Affine) -> None:
        """Remarks on what a stroke loses: caps and joins are round, the width is one, and there are no dashes."""
        remarks = self.document.remarks
        opened = any(not outline.closed for outline in outlines)
        bent = any(len(outline.points) > 4 for outline in outlines)
        if (opened and style["stroke-linecap"] != "round") or (bent and style["stroke-linejoin"] != "round"):
            remarks["strokes get round caps and joins"] += 1
        if style["stroke-dasharray"] not in ("none", "0", ""):
            remarks["dashes are drawn through"] += 1
        if not to_canvas.uniform:
            remarks["strokes that are scaled in one direction get one width"] += 1

    def _covers_canvas(self, url: str, cut: str, to_canvas: Affine) -> bool:
        """Whether a clip path is a rectangle around the canvas, as design programs write it: it clips nothing."""
        match = _URL.fullmatch(url.strip())
        target = self.document.ids.get(match[1]) if match and cut == "clip-path" else None
        if target is None or [local_name(child) for child in target] != ["rect"]:
            return False
        attributes = self.document.attributes(target[0])
        if target.get("clipPathUnits") == "objectBoundingBox" or to_canvas.b or to_canvas.c:
            return False
        placed = to_canvas.after(Affine.read(attributes.get("transform")))
        outlines = read_path_data(self._path_data("rect", attributes | {"rx": "0", "ry": "0"}, _WHOLE))
        return any(covers(placed(_tensor(outline)), self.canvas) for outline in outlines)


_WHOLE = Viewport(math.inf, math.inf, Affine(), (math.inf, math.inf))  # of percentages in a clip path


def covers(points: Float[Tensor, "m 2"], canvas: tuple[float, float]) -> bool:
    """Whether the bounding box of points covers a canvas of (height, width)."""
    slack = 1e-4 * max(canvas)
    corner = points.new_tensor([canvas[1], canvas[0]])
    return bool((points.amin(0) <= slack).all() and (points.amax(0) >= corner - slack).all())


def _tensor(outline: Outline) -> Float[Tensor, "m 2"]:
    return torch.tensor(outline.points, dtype=torch.float64).view(-1, 2)


def _close(points: Float[Tensor, "m 2"], again: bool = False) -> Float[Tensor, "k 2"]:
    """Control points of a curve, closed by a straight line where its ends differ; without its end, unless `again`."""
    start, end = points[0], points[-1]
    if not torch.equal(start, end):
        points = torch.cat([points[:-1], straight(end, start), start[None]])
    return points if again else points[:-1]


def _fills(outlines: list[Tensor], color: Color, even_odd: bool) -> Iterator[Shape]:
    """Fills of a path: outlines apart are fills of their own; those whose boxes meet are one, as they may be holes."""
    if not outlines or color[3] <= 0:
        return
    boxes = torch.stack([torch.cat([points.amin(0), points.amax(0)]) for points in outlines])
    for group in components(boxes):
        yield Shape(tuple(outlines[index] for index in group), color, None, even_odd)


def _faded_color(color: Color, opacity: str) -> Color:
    return (*color[:3], color[3] * read_share(opacity))
