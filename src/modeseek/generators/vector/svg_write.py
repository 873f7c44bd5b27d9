"""Writing of drawings as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.vector.paths import Paths, canvas_to_pixels
from modeseek.generators.vector.shapes import Shape, hex_color, shapes_of

_ROUND = ' stroke-linecap="round" stroke-linejoin="round"'
_XML_CHARACTERS = {code: None for code in (*range(9), 11, 12, *range(14, 32), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF)}


def write_svg(
    paths: Paths,
    item: int = 0,
    *,
    size: tuple[int, int],
    title: str = "",
    decimals: int = 2,
    background: bool = True,
) -> str:
    """Text of one drawing as SVG, one `<path>` a path in the order of painting, absolute commands M, C and Z alone.

    Colours have 8 bits, opacities three decimals. The background is a `<rect>`, also where it is white: an SVG without
    one shows the page behind it, so the file would look like the optimised image on a white page alone.

    Args:
        paths: drawings.
        item: index of the drawing.
        size: (height, width) of the canvas in pixels: the unit of the coordinates, and the size a viewer shows it at.
        title: text of `<title>`, such as the prompt; none where empty.
        decimals: decimals of the coordinates and widths, 0 to 6.
        background: whether the background is written.

    Raises:
        ValueError: the size, the item or the number of decimals is out of range, or a value is not finite.
    """
    if not 0 <= item < paths.n:
        raise ValueError(f"item must be from 0 to {paths.n - 1}, got {item}; there are {paths.n} drawings")
    behind = paths.background[item].tolist() if background else None
    return write_shapes(shapes_of(paths, item), behind, size=size, title=title, decimals=decimals)


def write_shapes(
    shapes: Sequence[Shape],
    background: Sequence[float] | None,
    *,
    size: tuple[int, int],
    title: str = "",
    decimals: int = 2,
) -> str:
    """Text of shapes, from the bottom to the top, as SVG; `write_svg` has the arguments."""
    if min(size) < 1:
        raise ValueError(f"size must be (height, width) of at least 1 pixel, got {size}; try (64, 64)")
    if not 0 <= decimals <= 6:
        raise ValueError(f"decimals must be from 0 to 6, got {decimals}; try 2")
    height, width = size
    strokes = any(shape.width is not None for shape in shapes)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f"{_ROUND if strokes else ''}>"
    ]
    if title:
        lines.append(f"<title>{escape(title.translate(_XML_CHARACTERS))}</title>")
    if background is not None:
        lines.append(f'<rect width="{width}" height="{height}" fill="{hex_color(background)}"/>')
    lines += [_element(shape, size, decimals) for shape in shapes]
    return "\n".join([*lines, "</svg>", ""])


def _element(shape: Shape, size: tuple[int, int], decimals: int) -> str:
    """The `<path>` of one shape."""
    finite = all(map(math.isfinite, (*shape.color, shape.width or 0.0)))
    if not (finite and all(bool(outline.isfinite().all()) for outline in shape.outlines)):
        raise ValueError(
            f"points, widths and colours must be finite, got others in path {shape.slot}; lower the learning rate"
        )
    opacity = _number(min(max(shape.color[3], 0.0), 1.0), 3)
    kind = "fill" if shape.width is None else "stroke"
    paint = f'{kind}="{shape.hex}"' + (f' {kind}-opacity="{opacity}"' if opacity != "1" else "")
    if shape.width is None:
        rule = ' fill-rule="evenodd"' if shape.even_odd else ""
        data = " ".join(_closed(outline, size, decimals) for outline in shape.outlines)
        return f'<path {paint}{rule} d="{data}"/>'
    width = _number(shape.width * max(size) / 2, max(decimals, 2))
    return f'<path fill="none" {paint} stroke-width="{width}" d="{_open(shape.outlines[0], size, decimals)}"/>'


def _closed(outline: Float[Tensor, "m 2"], size: tuple[int, int], decimals: int) -> str:
    return _open(torch.cat([outline, outline[:1]]), size, decimals) + "Z"


def _open(points: Float[Tensor, "m 2"], size: tuple[int, int], decimals: int) -> str:
    numbers = [_number(value, decimals) for value in canvas_to_pixels(points, size).flatten().tolist()]
    return f"M{numbers[0]} {numbers[1]}C{' '.join(numbers[2:])}"


def _number(value: float, decimals: int) -> str:
    """A number with at most that many decimals, without zeros at its end, never "-0"."""
    text = f"{value:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
