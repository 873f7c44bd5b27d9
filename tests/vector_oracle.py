"""Oracles of the painter: supersampled winding numbers, distances to curves, and resvg; none imports modeseek."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import resvg_py
from PIL import Image

Array = np.ndarray


def grid(size: tuple[int, int], scale: int) -> Array:
    """Centres of scale x scale samples a pixel, (h scale, w scale, 2)."""
    ys, xs = ((np.arange(side * scale) + 0.5) / scale for side in size)
    return np.stack(np.meshgrid(xs, ys), -1)


def winding(polygon: Array, points: Array) -> Array:
    """Winding number of a closed polygon around points: signed crossings of a ray to the left."""
    x, y = points[..., 0], points[..., 1]
    total = np.zeros(x.shape)
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        left = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        total += ((ay <= y) & (by > y) & (left > 0)).astype(float) - ((ay > y) & (by <= y) & (left < 0))
    return total


def mean_pixels(samples: Array, scale: int) -> Array:
    """Means of scale x scale samples of the last two axes."""
    *lead, h, w = samples.shape
    return samples.reshape(*lead, h // scale, scale, w // scale, scale).mean((-3, -1))


def cover(polygon: Array, size: tuple[int, int], even_odd: bool, scale: int = 16) -> Array:
    """Share of each pixel's samples that lie within a polygon, (h, w)."""
    number = winding(polygon, grid(size, scale))
    return mean_pixels(number % 2 if even_odd else (number != 0).astype(float), scale)


def curve(control: Array, n: int = 400) -> Array:
    """Points of a cubic by de Casteljau's construction, (n + 1, 2)."""
    points = []
    for t in np.linspace(0, 1, n + 1):
        level = control
        while len(level) > 1:
            level = (1 - t) * level[:-1] + t * level[1:]
        points.append(level[0])
    return np.array(points)


def svg(shapes: Sequence[str], size: tuple[int, int], background: str = "white") -> str:
    """SVG of shapes on a background."""
    h, w = size
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}"><rect width="{w}" height="{h}" '
    return f'{head} fill="{background}"/>{"".join(shapes)}</svg>'


def resvg(text: str, size: tuple[int, int], scale: int) -> Array:
    """Pixels in [0, 1] of an SVG by resvg, rendered `scale` times as large and averaged, (3, h, w)."""
    h, w = size
    png = resvg_py.svg_to_bytes(svg_string=text, width=w * scale, height=h * scale)
    pixels = np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGB"), dtype=np.float64) / 255
    return mean_pixels(pixels.transpose(2, 0, 1), scale)
