"""Exact box-filtered coverage of pixels by polygons."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.vector.cut import Size
from modeseek.generators.vector.winding import Boxes, fill, winding

Rule = Literal["nonzero", "evenodd"]


def coverage(polygons: Float[Tensor, "p v 2"], size: Size, rule: Rule = "nonzero") -> Float[Tensor, "p h w"]:
    """Returns the share of each pixel that each polygon covers: box-filtered area, exact for simple polygons.

    A pixel's value is `min(abs(W), 1)` (nonzero) or the triangle wave of W (even-odd), where W is the integral of the
    winding number over the pixel: exact but where parts of opposite or double orientation share a pixel.
    Differentiable in the polygons, exactly, at a cost that follows their perimeters; the same bits at each call, on the
    CPU and on CUDA. Pixel (0, 0) covers [0, 1]^2.

    Args:
        polygons: vertices (x, y) of p closed polygons, pixels; the last one is joined to the first.
        size: (height, width) of the canvas, pixels.
        rule: which parts of a polygon that crosses itself are inside: nonzero or evenodd.

    Raises:
        TypeError: polygons are no floating point tensor.
        ValueError: another shape, points that are not finite, an empty canvas, or an unknown rule.
    """
    if not isinstance(polygons, Tensor) or not polygons.is_floating_point():
        raise TypeError(f"polygons must be a floating point tensor (p, v, 2), got {polygons!r:.60}")
    if polygons.ndim != 3 or polygons.shape[2] != 2 or polygons.shape[1] < 1:
        raise ValueError(f"polygons must have the shape (p, v, 2), got {tuple(polygons.shape)}")
    if rule not in ("nonzero", "evenodd"):
        raise ValueError(f"rule must be nonzero or evenodd, got {rule!r}")
    check_size(size)
    check_finite_points(polygons, "polygons")
    height, width = size
    p, v = polygons.shape[:2]
    edges = torch.stack([polygons, polygons.roll(-1, 1)], 2).flatten(0, 1)
    item = torch.arange(p, device=polygons.device).repeat_interleave(v)
    boxes = Boxes.of([(0, 0, height, width)], p, polygons.device)
    number = winding(edges, torch.zeros_like(item), item, boxes, size)
    cover = fill(number, boxes, torch.ones_like(number, dtype=torch.bool) if rule == "evenodd" else None)
    return cover.view(p, height, width + 1)[..., :-1]


def check_size(size: Size) -> None:
    """Raises ValueError unless the size is a (height, width) of at least one pixel."""
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"size must be (height, width) in pixels, each at least 1, got {size}")


def check_finite_points(points: Tensor, name: str) -> None:
    """Raises ValueError for points that are not finite or lie more than 1e6 pixels away."""
    bound = points.detach().abs().amax() if points.numel() else points.new_zeros(())
    if not bound <= 1e6:
        raise ValueError(
            f"{name} must be finite and within 1e6 pixels, got {bound.item():g}; try a lower learning rate"
        )
