"""Crossings of closed polygons with themselves, and the area that they wind around wrongly."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor


def doubled_area(polygons: Float[Tensor, "k v 2"]) -> Float[Tensor, "k"]:
    """Returns `(int w^2 - |int w|) / 2` of each closed polygon, w its winding number; 0 if it does not cross itself.

    An integer of w^2 over the plane is a sum over the polygon's edges, cut at its crossings: w^2 changes across a piece
    by twice its mean on the two sides, a half-integer m, so by Green's theorem `int w^2 = sum 2 m area`, `area` that of
    the triangle of the piece and a fixed point. The crossings move with the edges, so the gradient is exact.

    Args:
        polygons: vertices in order, the last one joined to the first, >= 3.
    """
    path, first, second = _crossings(polygons.detach())
    result = polygons.new_zeros(len(polygons))
    if not len(path):
        return result
    crossed, path = path.unique(return_inverse=True)
    start = polygons[crossed]
    start = start - start.detach().mean(1, keepdim=True)
    step = start.roll(-1, 1) - start
    a, b, c, d = start[path, first], step[path, first], start[path, second], step[path, second]
    before, after = _cross(b, c - a), _cross(b, c + d - a)
    crossing = c + (before / (before - after))[:, None] * d
    along = [_share(crossing, p, q) for p, q in ((a, b), (c, d))]
    k, v, _ = start.shape
    owner = torch.arange(k, device=path.device).repeat_interleave(v)
    edge = torch.arange(v, device=path.device).repeat(k)
    owner, edge = torch.cat([owner, path, path]), torch.cat([edge, first, second])
    places = torch.cat([start.new_zeros(k * v), *along])
    points = torch.cat([start.flatten(0, 1), crossing, crossing])
    by_place = torch.argsort(places, stable=True)
    order = by_place[torch.argsort((owner * v + edge)[by_place], stable=True)]
    owner, edge, points = owner[order], edge[order], points[order]
    last = torch.cat([owner[1:] != owner[:-1], owner.new_ones(1, dtype=torch.bool)])
    beginning = torch.searchsorted(owner, torch.arange(k, device=owner.device))
    following = torch.where(last, beginning[owner], torch.arange(len(owner), device=owner.device) + 1)
    ends = points[following]
    sides = _mean_winding(start.detach(), ((points + ends) / 2).detach(), owner, edge)
    areas = _cross(points, ends) / 2
    squared = start.new_zeros(k).index_add(0, owner, 2 * sides * areas)
    signed = _cross(start, start.roll(-1, 1)).sum(1) / 2
    return result.index_put((crossed,), ((squared - signed.abs()) / 2).clamp(min=0))


def _crossings(polygons: Float[Tensor, "k v 2"]) -> tuple[Int[Tensor, "c"], Int[Tensor, "c"], Int[Tensor, "c"]]:
    """Polygon and the two edges of each crossing; a vertex on another edge's line counts as on its left side."""
    start, end = polygons, polygons.roll(-1, 1)
    a, b = start[:, :, None], end[:, :, None]
    left_at_start = _cross(b - a, start[:, None] - a) >= 0
    left_at_end = _cross(b - a, end[:, None] - a) >= 0
    separates = left_at_start != left_at_end
    v = polygons.shape[1]
    other = torch.ones(v, v, dtype=torch.bool, device=polygons.device).triu(2)  # neighbours meet in a vertex alone
    path, first, second = (separates & separates.mT & other).nonzero().unbind(1)
    return path, first, second


def _share(point: Tensor, start: Tensor, step: Tensor) -> Tensor:
    """Share of the way along an edge at which a point on it lies, detached, inside (0, 1)."""
    share = ((point - start) * step).sum(-1) / step.square().sum(-1)
    return share.detach().clamp(1e-9, 1)


def _mean_winding(
    polygons: Float[Tensor, "k v 2"], points: Float[Tensor, "e 2"], owner: Int[Tensor, "e"], edge: Int[Tensor, "e"]
) -> Float[Tensor, "e"]:
    """Mean of the winding numbers on the two sides of the middle of a piece of an edge: a half-integer."""
    corner = polygons[owner] - points[:, None]
    turned = corner.roll(-1, 1)
    angle = torch.atan2(_cross(corner, turned), (corner * turned).sum(-1))
    angle = angle.scatter(1, edge[:, None], 0)
    return (angle.sum(1) / (2 * math.pi)).floor() + 0.5


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
