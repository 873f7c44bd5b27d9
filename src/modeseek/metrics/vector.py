"""Metrics of SVG files: the image that a renderer shows, its difference to the optimised one, bytes and paths."""

from __future__ import annotations

import io
from xml.etree.ElementTree import Element

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.vector.svg_tree import local_name, parse_svg
from modeseek.io.errors import reason

_LARGEST = 2048  # pixels of the longer side that are rendered for an error
_DRAWN = ("path", "rect", "circle", "ellipse", "line", "polyline", "polygon")


def render_svg(svg: str, size: tuple[int, int] | None = None, supersampling: int = 1) -> Float[Tensor, "3 h w"]:
    """Renders an SVG by resvg, over white where it is see-through; no fonts are loaded and no files read.

    resvg samples edges on a grid, to about a hundredth of a pixel, and rounds to 8 bits; with supersampling it renders
    at a multiple of the size, whose pixels are averaged.

    Args:
        svg: text of the SVG.
        size: (height, width) of the image, pixels; default that of the file. A canvas of another shape is fitted
            into it and centred on white.
        supersampling: how many times the size is rendered in each direction, >= 1.

    Returns:
        Image in [0, 1].

    Raises:
        ValueError: no SVG, one that `read_svg` would refuse as unsafe, a size below 1 pixel, or the package resvg-py is
            missing; one line.
    """
    if supersampling < 1 or (size is not None and min(size) < 1):
        raise ValueError(
            f"size and supersampling must be at least 1, got {size} and {supersampling}; try (256, 256) and 1"
        )
    try:
        import resvg_py
    except ImportError as error:
        raise ValueError(
            "rendering SVG needs the package resvg-py, which is missing; pip install 'modeseek[vector]'"
        ) from error
    from PIL import Image

    parse_svg(svg)
    height, width = (None, None) if size is None else (side * supersampling for side in size)
    zoom = supersampling if size is None else None
    try:
        png = resvg_py.svg_to_bytes(
            svg_string=svg, skip_system_fonts=True, width=width, height=height, zoom=zoom, dpi=96.0
        )
    except ValueError as error:
        raise ValueError(
            f"an SVG must be valid, got one that resvg refuses: {reason(error)}; export it again"
        ) from error
    with Image.open(io.BytesIO(png)) as image:
        pixels = np.asarray(image.convert("RGBA")).astype(np.float32) / 255
    straight = torch.from_numpy(pixels).permute(2, 0, 1)
    over_white = straight[:3] * straight[3:] + (1 - straight[3:])
    if height is not None and width is not None:  # resvg keeps the shape of the canvas: the rest is white
        rows, columns = height - over_white.shape[1], width - over_white.shape[2]
        sides = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        over_white = torch.nn.functional.pad(over_white, sides, value=1.0)
    return torch.nn.functional.avg_pool2d(over_white, supersampling)


def render_error(svg: str, image: Float[Tensor, "3 h w"]) -> float:
    """Mean absolute difference between an SVG as resvg renders it and an image, over pixels and channels in [0, 1].

    The SVG is rendered at 8 times the size (less above 256 pixels), so that the edges are those of the file and not of
    resvg's coarse sampling. The 8 bits of the colours alone make about 0.001.

    Raises:
        ValueError: see `render_svg`.
    """
    height, width = image.shape[1:]
    rendered = render_svg(svg, (height, width), max(1, min(8, _LARGEST // max(height, width))))
    return float((rendered - image.detach().cpu().float()).abs().mean())


def count_bytes(svg: str) -> int:
    """Bytes of an SVG as a file, UTF-8."""
    return len(svg.encode())


def count_paths(svg: str) -> int:
    """Number of shapes that an SVG draws, its background (a `<rect>` as the first shape that `write_svg` writes) aside.

    Raises:
        ValueError: no SVG.
    """
    shapes = [element for element in parse_svg(svg).iter() if local_name(element) in _DRAWN]
    return len(shapes) - (bool(shapes) and _is_background(shapes[0]))


def _is_background(shape: Element) -> bool:
    """Whether a shape is a rectangle without a position, as `write_svg` writes the background."""
    return local_name(shape) == "rect" and set(shape.attrib) == {"width", "height", "fill"}
