"""Chains of cubic Bezier curves: straight ones, exact subdivision, and its inverse."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def straight(start: Tensor, end: Tensor) -> Float[Tensor, "3 2"]:
    """Start and handles of the cubic that is the straight line to `end`, at constant speed."""
    return torch.stack([start, start + (end - start) / 3, start + (end - start) * (2 / 3)])


def subdivide(points: Float[Tensor, "m 2"], cubics: int) -> Float[Tensor, "k 2"]:
    """Subdivides an open curve of cubics, exactly, into that many: the longest cubics into the most parts.

    Args:
        points: control points, (3 c + 1, 2).
        cubics: number of cubics of the result, >= c.
    """
    curves = points.unfold(0, 4, 3).transpose(-1, -2)
    spare = cubics - len(curves)
    if not spare:
        return points
    length = (curves[:, 1:] - curves[:, :-1]).norm(dim=-1).sum(1) + 1e-12
    share = spare * length / length.sum()
    parts = 1 + share.floor().long()
    parts[(share - share.floor()).argsort(descending=True, stable=True)[: cubics - int(parts.sum())]] += 1
    curves = curves.repeat_interleave(parts, 0)
    counts = parts.repeat_interleave(parts)
    index = torch.arange(cubics) - (parts.cumsum(0) - parts).repeat_interleave(parts)
    start, end = index / counts, (index + 1) / counts
    corners = [(start, start, start), (start, start, end), (start, end, end)]
    split = torch.stack([_blossom(curves, times) for times in corners], 1).flatten(0, 1)
    return torch.cat([split, points[-1:]])


def _blossom(curves: Float[Tensor, "k 4 2"], times: tuple[Tensor, Tensor, Tensor]) -> Float[Tensor, "k 2"]:
    """Polar form of cubics: control points of a part [a, b] are those of (a, a, a), (a, a, b), (a, b, b), (b, b, b)."""
    for time in times:
        weight = time[:, None, None].to(curves)
        curves = curves[:, :-1] * (1 - weight) + curves[:, 1:] * weight
    return curves[:, 0]


def join(points: Float[Tensor, "m 2"], tolerance: float) -> Float[Tensor, "k 2"]:
    """Joins neighbours that are parts of one cubic, the inverse of `subdivide`, from the start on.

    Two parts of a cubic split at t meet with handles whose lengths are as t to 1 - t; its own handles are those of its
    ends, longer by 1 / t and 1 / (1 - t). They are joined where that cubic, split at t, has their control points.

    Args:
        points: control points of an open chain, (3 c + 1, 2).
        tolerance: largest distance of a control point of the parts, > 0, units of the points.
    """
    chain = [complex(x, y) for x, y in points.tolist()]
    joined = chain[:4]
    for at in range(4, len(chain), 3):
        whole = _whole([*joined[-4:], *chain[at : at + 3]], tolerance)
        joined[-3:] = whole if whole else [*joined[-3:], *chain[at : at + 3]]
    return points.new_tensor([[point.real, point.imag] for point in joined])


def _whole(parts: list[complex], tolerance: float) -> list[complex]:
    """Handles and end of the cubic that two parts, seven control points, make up; empty where there is none."""
    before, after = abs(parts[3] - parts[2]), abs(parts[4] - parts[3])
    if min(before, after) <= tolerance:
        return []
    t = before / (before + after)
    start, end = parts[0], parts[6]
    first, second = start + (parts[1] - start) / t, end + (parts[5] - end) / (1 - t)
    middle = first + (second - first) * t
    left, right = parts[1] + (middle - parts[1]) * t, middle + (parts[5] - middle) * t
    split = (left, left + (right - left) * t, right)
    far = max(abs(split[k] - parts[2 + k]) for k in range(3))
    return [first, second, end] if far <= tolerance else []
