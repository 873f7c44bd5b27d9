"""Pairs of splats and pixels, sorted by pixel and depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.generators.splats.projection import ProjectedSplats

LEAST_ALPHA = 1 / 255
"""Opacity of a splat at a pixel below which it is not drawn there."""


@dataclass(frozen=True)
class Pairs:
    """The pixels that each splat covers, splat by splat from front to back.

    Attributes:
        splats: index of each splat that covers a pixel, among the b * n of all images, from front to back.
        lengths: number of its pixels.
        column: column of the pixel's centre minus that of the splat's, pixels.
        row: the same for rows.
        pixel: index of the pixel, among the b * h * w of all images.
        by_pixel: permutation of the pairs pixel by pixel, within each from front to back.
        rank: inverse permutation.
        pixel_lengths: number of pairs of each pixel, (b * h * w,).
    """

    splats: Int[Tensor, "m"]
    lengths: Int[Tensor, "m"]
    column: Float[Tensor, "p"]
    row: Float[Tensor, "p"]
    pixel: Int[Tensor, "p"]
    by_pixel: Int[Tensor, "p"]
    rank: Int[Tensor, "p"]
    pixel_lengths: Int[Tensor, "k"]


@torch.no_grad()
def find_pairs(projected: ProjectedSplats, opacity: Float[Tensor, "b n"], size: int) -> Pairs:
    """Finds all pairs in which the splat's opacity at the pixel's centre is at least 1 / 255.

    Every row of a splat's ellipse is an interval in closed form, so no pair outside of it is made.

    Args:
        projected: splats as the cameras see them.
        opacity: peak opacities in each image, in [0, 1].
        size: side of the images, pixels.
    """
    b, n = projected.depth.shape
    a, h, c = (part.flatten() for part in projected.conic.unbind(-1))
    x, y = (part.flatten() for part in projected.center.unbind(-1))
    # q <= bound inside the ellipse on which the opacity is 1 / 255
    bound = 2 * (opacity / LEAST_ALPHA).log().flatten()
    shown = projected.visible.flatten() & (bound >= 0)
    order = torch.where(shown, projected.depth.flatten(), torch.inf).argsort(stable=True)[: int(shown.sum())]
    reach = (bound * projected.cov[..., 2].flatten()).sqrt()  # the ellipse's vertical extent
    ellipses = torch.stack([x, y, h / a, 1 / a, c - h * h / a, bound, reach], 1)[order]
    y, reach = ellipses[:, 1], ellipses[:, 6]
    top, bottom = (y - reach).ceil().clamp(min=0), (y + reach).floor().clamp(max=size - 1)
    source, line = _intervals(top.long(), (bottom - top + 1).clamp(min=0).long())
    x, y, shear, width, height, bound, _ = ellipses.index_select(0, source).unbind(1)
    rise = line - y
    half = ((bound - height * rise * rise).clamp(min=0) * width).sqrt()
    middle = x - shear * rise
    left, last = (middle - half).ceil().clamp(min=0), (middle + half).floor().clamp(max=size - 1)
    counts = (last - left + 1).clamp(min=0).long()
    segment, column = _intervals(left.long(), counts)
    lengths = torch.zeros_like(order).index_add_(0, source, counts)
    first = (order[source] // n * size + line) * size
    table = torch.stack([x, rise], 1).index_select(0, segment)
    pixel = first.index_select(0, segment) + column
    by_pixel = stable_order(pixel, b * size * size)
    rank = torch.empty_like(by_pixel)
    rank[by_pixel] = torch.arange(len(rank), device=rank.device)
    covering = lengths > 0
    return Pairs(
        order[covering],
        lengths[covering],
        column - table[:, 0],
        table[:, 1],
        pixel,
        by_pixel,
        rank,
        torch.bincount(pixel, minlength=b * size * size),
    )


def _intervals(start: Int[Tensor, "m"], length: Int[Tensor, "m"]) -> tuple[Int[Tensor, "k"], Int[Tensor, "k"]]:
    """Returns the interval of each integer in intervals of integers, and the integer."""
    source = torch.repeat_interleave(length)
    first = length.cumsum(0) - length
    return source, torch.arange(len(source), device=start.device) - (first - start)[source]


def stable_order(key: Int[Tensor, "p"], bound: int) -> Int[Tensor, "p"]:
    """Returns the permutation that sorts integers in [0, bound) and keeps the order of equal ones."""
    if key.is_cpu and bound <= 2**16:  # a radix sort of 16 bits, several times faster
        return torch.from_numpy(np.argsort(key.numpy().astype(np.uint16), kind="stable"))
    return torch.sort(key, stable=True).indices
