"""Cubic Bezier curves as chords, as many as the size of the image needs."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.generators.vector.cut import segment_sum

TOLERANCE = 0.05  # largest distance of a chord from its curve, pixels, before the vertices are moved out
_MOST_CHORDS = 256  # of one cubic


def count_chords(curves: Float[Tensor, "m 4 2"], tolerance: float = TOLERANCE) -> Int[Tensor, "m"]:
    """Number of equal steps of t that keep the chords of each cubic within `tolerance` of it.

    The distance is at most `max |B''| / (8 N^2)`, and `|B''| <= 6 max(|p0 - 2 p1 + p2|, |p1 - 2 p2 + p3|)`.

    Args:
        curves: control points, pixels.
        tolerance: largest distance, pixels.
    """
    points = curves.detach()
    bend = (points[:, :2] - 2 * points[:, 1:3] + points[:, 2:]).square().sum(-1).amax(1)
    return (bend.sqrt() * (6 / (8 * tolerance))).sqrt().ceil().clamp(1, _MOST_CHORDS).long()


def flatten(curves: Float[Tensor, "m 4 2"], counts: Int[Tensor, "m"]) -> Float[Tensor, "k 2 2"]:
    """Returns start and end of counts[i] chords of cubic i, in order; differentiable in the control points.

    Chords between points of a curve lie inside its bends, by `B'' h^2 / 12` on average (h the step of t): the inner
    vertices are moved out by as much, so that the area is that of the curve; the two ends stay.
    """
    return _Flatten.apply(curves, counts)


class _Flatten(torch.autograd.Function):
    """Bernstein sums of the control points; the gradient is summed cubic by cubic, in a fixed order."""

    @staticmethod
    def forward(ctx: Any, curves: Tensor, counts: Tensor) -> Tensor:
        owner = torch.repeat_interleave(counts)
        first = (counts.cumsum(0) - counts).index_select(0, owner)
        number = torch.arange(len(owner), device=curves.device) - first
        steps = counts.index_select(0, owner)
        weights = _area_weights(torch.stack([number, number + 1], 1), steps.to(curves)[:, None])
        ctx.save_for_backward(weights, counts)
        return weights @ curves.index_select(0, owner)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None]:
        (grad,) = grads
        weights, counts = ctx.saved_tensors
        rows = (weights.transpose(1, 2) @ grad).flatten(1)
        return segment_sum(rows, counts).view(-1, 4, 2), None


def _area_weights(number: Int[Tensor, "k 2"], steps: Float[Tensor, "k 1"]) -> Float[Tensor, "k 2 4"]:
    """Weights of the four control points at t = number / steps, moved out of the bends; the ends of a cubic stay."""
    t = number / steps
    inner = (number > 0) & (number < steps)
    out = torch.where(inner, 0.5 / (steps * (steps - 1).clamp(min=1)), 0)  # 6 / 12 h^2 N / (N - 1)
    s = 1 - t
    second = torch.stack([s, t - 2 * s, s - 2 * t, t], -1)  # of B'' / 6
    return bernstein(t) - out[..., None] * second


def bernstein(t: Float[Tensor, "*n"]) -> Float[Tensor, "*n 4"]:
    """Weights of the four control points of a cubic at t."""
    s = 1 - t
    return torch.stack([s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t], -1)
