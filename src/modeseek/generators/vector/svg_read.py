"""Reading of SVG files as drawings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from modeseek.generators.vector.paths import Paths
from modeseek.generators.vector.shapes import Shape, pack
from modeseek.generators.vector.svg_style import Document
from modeseek.generators.vector.svg_tree import parse_svg
from modeseek.generators.vector.svg_walk import MAX_CUBICS, Walk, covers
from modeseek.io.errors import reason
from modeseek.io.remarks import add_remark

_FARTHEST = 1000.0  # canvas units


def read_svg_file(
    path: str | os.PathLike[str], background: Sequence[float] = (1.0, 1.0, 1.0)
) -> tuple[Paths, tuple[int, int]]:
    """Paths of an SVG file (.svg, or .svgz), as `read_svg` reads them.

    Raises:
        ValueError: the file cannot be read; one line.
    """
    file = Path(path).expanduser()
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ValueError(f"an SVG must be a file that can be read, got {file}: {reason(error)}") from error
    return read_svg(data, name=str(file), background=background)


def read_svg(
    data: str | bytes,
    *,
    name: str = "the SVG",
    background: Sequence[float] = (1.0, 1.0, 1.0),
    like: Tensor | None = None,
) -> tuple[Paths, tuple[int, int]]:
    """Paths of one drawing from an SVG, and its size (height, width) in pixels.

    Read are paths (every command), rectangles, circles, ellipses, lines, polygons, polylines, groups, uses, symbols,
    nested SVGs, transforms, viewBox, opacities, colours, simple CSS. Outlines of one path that lie apart become paths
    of their own; those that may be holes stay one. A rectangle at the bottom that covers the canvas is the background.
    Curves are exact; arcs are cubics, a quarter each, off by less than 3e-4 radii. A `RemarkWarning` says what the
    paths cannot show: a gradient becomes its mean colour, caps and joins of strokes become round, text, clip paths,
    masks and filters are left out. Nothing is executed or fetched.

    Args:
        data: content of the file, text or bytes, also compressed by gzip.
        name: name of the file, for messages.
        background: colour where the file has none.
        like: tensor whose dtype and device the paths take; default float32 on the CPU.

    Raises:
        ValueError: no SVG, a damaged one, one that draws nothing, one that refers to other files or holds entities,
            scripts or images, or one that is too large; one line.
    """
    document = Document.of(parse_svg(data, name), name)
    walk = Walk(document)
    shapes = list(walk)
    if shapes and _is_background(shapes[0], walk.canvas):
        background, shapes = shapes[0].color[:3], shapes[1:]
    _check(shapes, walk.canvas, name)
    for remark, count in document.remarks.items():
        add_remark(f"{name}: {remark} ({count} time{'s' * (count > 1)})")
    unit = max(walk.canvas) / 2
    shapes = [
        replace(
            shape,
            outlines=tuple(_to_canvas(points, walk.canvas) for points in shape.outlines),
            width=None if shape.width is None else shape.width / unit,
        )
        for shape in shapes
    ]
    height, width = (max(1, round(side)) for side in walk.canvas)
    return pack(shapes, background, like), (height, width)


def _check(shapes: Sequence[Shape], canvas: tuple[float, float], name: str) -> None:
    """Refuses drawings of no paths, of points too far away and of too many cubics."""
    if not shapes:
        raise ValueError(f"{name} must draw at least one fill or stroke besides its background, got none; try another")
    farthest = max(float(points.abs().max()) for shape in shapes for points in shape.outlines) / max(canvas)
    widest = max((shape.width or 0.0) for shape in shapes) / max(canvas)
    if not max(farthest, widest) <= _FARTHEST:
        raise ValueError(
            f"{name} must have points within {_FARTHEST:.0f} times the size of its canvas, got others; "
            "try a file that another program has exported"
        )
    for kind in ("fills", "strokes"):
        sizes = [
            sum(len(points) // 3 + 2 for points in shape.outlines)
            for shape in shapes
            if (shape.width is None) == (kind == "fills")
        ]
        if sizes and len(sizes) * max(sizes) > MAX_CUBICS:
            raise ValueError(
                f"{name} must have at most {MAX_CUBICS:,} curves, each path counted as the longest, got "
                f"{len(sizes):,} {kind} of up to {max(sizes):,}; simplify the drawing first, or split its longest path"
            )


def _to_canvas(points: Float[Tensor, "m 2"], canvas: tuple[float, float]) -> Float[Tensor, "m 2"]:
    """`pixels_to_canvas` for a canvas of sides that are no whole numbers."""
    height, width = canvas
    return (points - points.new_tensor([width / 2, height / 2])) * (2 / max(canvas))


def _is_background(shape: Shape, canvas: tuple[float, float]) -> bool:
    """Whether a shape is an opaque rectangle, of four cubics along its sides, that covers the canvas."""
    if shape.width is not None or len(shape.outlines) != 1 or shape.color[3] < 1 or len(shape.outlines[0]) != 12:
        return False
    points = shape.outlines[0]
    low, high = points.amin(0), points.amax(0)
    slack = 1e-6 * (high - low).max()
    along = ((points - low).abs() <= slack) | ((points - high).abs() <= slack)  # x, then y, on the bounding box
    corners = (points[::3] > (low + high) / 2).tolist()
    return (
        bool(along.any(1).all() and along[::3].all()) and len(set(map(tuple, corners))) == 4 and covers(points, canvas)
    )
