"""Edges of polygons cut at the pixel grid: the pieces whose sums are exact area coverage and its gradient."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

Size = tuple[int, int]


@dataclass(frozen=True)
class Pieces:
    """Pieces of m edges, each within one pixel, in the order of the edges.

    A piece of an edge that descends (y grows) adds its height times the mean distance to the right side of its pixel
    there, and its height to all pixels to the right; one of an edge that ascends subtracts. Left of the canvas it
    counts for the whole first column, right of it for none (column w).

    Attributes:
        edge: index of its edge, (k,).
        row: row of its pixel, (k,).
        column: column of its pixel, (k,), in [0, w]; w is right of the canvas.
        inside: whether it lies in a pixel of the canvas, (k,).
        extent: signed width and height (dx, dy) of the piece along its edge, pixels, (k, 2).
        share: mean distance of the piece from the left side of its pixel, (k,), in [0, 1].
        middle: position of its middle on its edge, (k,), 0 at the start and 1 at the end.
        counts: number of pieces of each edge, (m,).
    """

    edge: Int[Tensor, "k"]
    row: Int[Tensor, "k"]
    column: Int[Tensor, "k"]
    inside: Tensor
    extent: Float[Tensor, "k 2"]
    share: Float[Tensor, "k"]
    middle: Float[Tensor, "k"]
    counts: Int[Tensor, "m"]


def cut(edges: Float[Tensor, "m 2 2"], size: Size) -> Pieces:
    """Cuts edges (start and end, pixels) at the lines of the pixel grid, first into rows, then into columns.

    Edges above, below and right of the canvas have no pieces: they change no pixel.

    Args:
        edges: start and end (x, y) of each edge, pixels.
        size: (height, width) of the canvas, pixels.
    """
    height, width = size
    start, end = edges.unbind(1)
    falls = end[:, 1] >= start[:, 1]
    top, bottom = torch.where(falls[:, None], start, end), torch.where(falls[:, None], end, start)
    (x, y), (x_end, y_end) = top.unbind(1), bottom.unbind(1)
    dx, dy = x_end - x, y_end - y
    above, below = y.clamp(0, height), y_end.clamp(0, height)
    first = above.floor().clamp(max=height - 1)
    rows = (below.ceil() - first).clamp(min=1)
    unseen = (y_end <= 0) | (y >= height) | (torch.minimum(x, x_end) >= width)
    per_edge = torch.stack([x, y, dx, 1 / dy, above, below, first])
    edge, k = _repeat(torch.where(unseen, 0, rows).long())
    x, y, dx, inverse, above, below, row = per_edge.index_select(1, edge)
    row = row + k
    flat = inverse.isinf()
    upper, lower = torch.maximum(above, row), torch.minimum(below, row + 1)
    t0 = torch.where(flat, 0, ((upper - y) * inverse).clamp(0, 1))
    t1 = torch.where(flat, 1, ((lower - y) * inverse).clamp(0, 1))
    x0, x1 = x + t0 * dx, x + t1 * dx
    left, right = torch.minimum(x0, x1), torch.maximum(x0, x1)
    first = left.floor().clamp(-1, width)
    last = torch.maximum((right.ceil() - 1).clamp(max=width), first)
    last = torch.where(right > width, width, last)
    rightwards = x1 >= x0
    t_left, t_right = torch.where(rightwards, t0, t1), torch.where(rightwards, t1, t0)
    span = right - left
    per_row = torch.stack([left, right, 1 / span, first, last, t_left, t_right - t_left, x1 - x0, lower - upper, row])
    cell, k = _repeat((last - first + 1).long())
    left, right, inverse, first, last, t, dt, dx, dy, row = per_row.index_select(1, cell)
    column = first + k
    begin, stop = torch.where(k == 0, left, column), torch.where(column == last, right, column + 1)
    u0 = torch.where(k == 0, 0, (begin - left) * inverse)
    u1 = torch.where(column == last, 1, (stop - left) * inverse)
    fraction, middle = u1 - u0, 0.5 * (u0 + u1)
    inside = (column >= 0) & (column < width)
    share = torch.where(inside, 0.5 * (begin + stop) - column, 0)
    edge = edge.index_select(0, cell)
    sign = torch.where(falls, 1, -1).to(edges).index_select(0, edge)
    middle = t + middle * dt
    return Pieces(
        edge,
        row.long(),
        column.clamp(min=0).long(),
        inside,
        torch.stack([dx, dy], 1) * (sign * fraction)[:, None],
        share,
        torch.where(sign > 0, middle, 1 - middle),
        torch.bincount(edge, minlength=len(edges)),
    )


def _repeat(counts: Int[Tensor, "m"]) -> tuple[Int[Tensor, "k"], Int[Tensor, "k"]]:
    """Index of the owner of each of sum(counts) parts, in order, and the number of the part within its owner."""
    owner = torch.repeat_interleave(counts)
    starts = counts.cumsum(0) - counts
    return owner, torch.arange(len(owner), device=counts.device) - starts.index_select(0, owner)


def segment_sum(values: Float[Tensor, "k f"], counts: Int[Tensor, "m"]) -> Float[Tensor, "m f"]:
    """Sums of consecutive rows, counts[i] of them each; in order, so deterministic on every device."""
    if not len(counts):  # which segment_reduce refuses
        return values
    return torch.segment_reduce(values, "sum", lengths=counts, axis=0, initial=0)
