"""Outlines of strokes with round caps and joins, as closed polygons."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.generators.vector.flatten import TOLERANCE, bernstein, count_chords

_JOIN = 4  # steps of the arc at a join
_MOST_CAP = 64  # steps of the half circle of a cap


def outline_edges(
    curves: Float[Tensor, "m s 4 2"], widths: Float[Tensor, "m"]
) -> tuple[Float[Tensor, "k 2 2"], Int[Tensor, "k"]]:
    """Edges of closed polygons around strokes, and the stroke of each edge.

    The number of chords of a stroke follows from its own curves and width, rounded up to a power of 2.

    Args:
        curves: control points of the s cubics of each stroke, each starting where the one before it ends, pixels.
        widths: widths of the strokes, pixels.
    """
    m, s = curves.shape[:2]
    bends = count_chords(curves.flatten(0, 1), TOLERANCE / 2).view(m, s).amax(1)
    # a half circle of c chords that all lie inside is off by r (1 - cos(pi / 2 c)): a fifth of the tolerance
    caps = (math.pi / 2 * (widths.detach() * (2.5 / 2 / TOLERANCE)).sqrt()).clamp(4, _MOST_CAP)
    keys = torch.stack([bends.to(caps), caps], 1).log2().ceil().exp2().long()
    edges, owners = [], []
    for key in keys.unique(dim=0):
        rows = (keys == key).all(1).nonzero().squeeze(1)
        ring = outline(curves[rows], widths[rows], *key.tolist())
        edges.append(torch.stack([ring, ring.roll(-1, 1)], 2).flatten(0, 1))
        owners.append(rows.repeat_interleave(ring.shape[1]))
    return torch.cat(edges), torch.cat(owners)


def outline(
    curves: Float[Tensor, "m s 4 2"], widths: Float[Tensor, "m"], chords: int, steps: int
) -> Float[Tensor, "m v 2"]:
    """Returns a closed polygon around each stroke, whose nonzero winding number is the stroke.

    It runs along the left sides of the chords of the s cubics, round the end, back along the right sides, and round
    the start. On the outer side of a bend the sides are joined by an arc, on the inner side where they meet; where the
    chords are too short for that, over the point of the curve itself, so that what overlaps has a winding number of 2
    and not 0.

    Args:
        curves: control points, pixels.
        widths: widths of the strokes, pixels.
        chords: number of chords of each cubic.
        steps: number of chords of the half circle of a cap.
    """
    t = torch.arange(chords, dtype=curves.dtype, device=curves.device) / chords
    points = torch.cat([(bernstein(t) @ curves).flatten(1, 2), curves[:, -1:, 3]], 1)
    radius = widths[:, None] / 2
    along = points[:, 1:] - points[:, :-1]
    length = along.square().sum(-1)
    still = length < 1e-12  # a chord of no length has some direction, and no gradient of it
    along = torch.where(still[..., None], along.new_tensor([1.0, 0.0]), along)
    angle = torch.atan2(along[..., 1], along[..., 0])
    turn = angle[:, 1:] - angle[:, :-1]
    turn = turn - 2 * math.pi * torch.round(turn.detach() / (2 * math.pi))
    shorter = length.detach().sqrt()
    room = torch.minimum(shorter[:, 1:], shorter[:, :-1])
    left = _side(points, radius, angle, turn, room, -1)
    right = _side(points, radius, angle, turn, room, 1).flip(1)
    half = torch.arange(1, steps, dtype=curves.dtype, device=curves.device) * (math.pi / steps)
    end = points[:, -1:] + radius[..., None] * _unit(angle[:, -1:] - math.pi / 2 + half)
    start = points[:, :1] + radius[..., None] * _unit(angle[:, :1] + math.pi / 2 + half)
    return torch.cat([left, end, right, start], 1)


def _side(
    points: Float[Tensor, "m v1 2"],
    radius: Float[Tensor, "m 1"],
    angle: Float[Tensor, "m v"],
    turn: Float[Tensor, "m u"],
    room: Float[Tensor, "m u"],
    side: int,
) -> Float[Tensor, "m k 2"]:
    """Line at `radius` from the chords, 90 degrees to the side +1 or -1 of their angle, joined in their room."""
    normal = angle + side * math.pi / 2
    share = torch.arange(_JOIN + 1, dtype=points.dtype, device=points.device) / _JOIN
    pivot = points[:, 1:-1, None]
    arc = pivot + radius[..., None, None] * _unit(normal[:, :-1, None] + turn[..., None] * share)
    between = (share > 0) & (share < 1)
    inner = side * turn > 0
    half = turn / 2
    meeting = pivot + (radius / half.cos().clamp(min=0.1))[..., None, None] * _unit(normal[:, :-1] + half)[:, :, None]
    fits = (radius * half.tan().abs() < room) & (turn.abs() < 2.5)
    joints = torch.where((inner[..., None] & between)[..., None], pivot, arc)
    joints = torch.where((inner & fits)[..., None, None], meeting, joints)
    first = points[:, :1] + radius[..., None] * _unit(normal[:, :1])
    last = points[:, -1:] + radius[..., None] * _unit(normal[:, -1:])
    return torch.cat([first, joints.flatten(1, 2), last], 1)


def _unit(angle: Float[Tensor, "*n"]) -> Float[Tensor, "*n 2"]:
    return torch.stack([angle.cos(), angle.sin()], -1)
