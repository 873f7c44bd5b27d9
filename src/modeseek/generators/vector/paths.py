"""Paths of drawings: control points, colours, widths and paint order as tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from modeseek.rng import Rng, rand


@dataclass(frozen=True)
class Paths:
    """Paths of n drawings: closed fills of cubic Bezier curves, open strokes, and colours behind and of them.

    Canvas units: the longer side of the canvas is [-1, 1], x to the right, y down, 0 in the middle.
    Slots number the paths, the fills first, then the strokes; `order` says in which order they are painted.

    Attributes:
        fills: control points of the fills, (n, p, 3 c, 2): of each of c cubics its start and its two handles; it ends
            where the next one starts, the last one at the first start. Holes are reached over a bridge of no width.
        strokes: control points of the strokes, (n, q, 3 s + 1, 2): the end of the last of s cubics is the last point.
        widths: width of the strokes, (n, q), canvas units, > 0; caps and joins are round.
        colors: red, green, blue and opacity (straight alpha) of each slot, (n, p + q, 4), in [0, 1].
        order: slots from the bottom to the top, (n, p + q), a permutation of each row.
        even_odd: whether a fill follows the even-odd rule instead of the nonzero one, (n, p).
        background: colour behind all paths, (n, 3), in [0, 1].
    """

    fills: Float[Tensor, "n p c3 2"]
    strokes: Float[Tensor, "n q s3 2"]
    widths: Float[Tensor, "n q"]
    colors: Float[Tensor, "n k 4"]
    order: Int[Tensor, "n k"]
    even_odd: Bool[Tensor, "n p"]
    background: Float[Tensor, "n 3"]

    @property
    def n(self) -> int:
        """Number of drawings."""
        return len(self.fills)

    @property
    def n_fills(self) -> int:
        """Number of fills of each drawing."""
        return self.fills.shape[1]

    @property
    def n_strokes(self) -> int:
        """Number of strokes of each drawing."""
        return self.strokes.shape[1]

    @property
    def cubics(self) -> int:
        """Number of cubics of each fill."""
        return self.fills.shape[2] // 3

    def fill_curves(self) -> Float[Tensor, "n p c 4 2"]:
        """Returns the four control points of each cubic of the fills."""
        points = torch.cat([self.fills, self.fills[:, :, :1]], 2)
        return points.unfold(2, 4, 3).transpose(-1, -2)

    def stroke_curves(self) -> Float[Tensor, "n q s 4 2"]:
        """Returns the four control points of each cubic of the strokes."""
        return self.strokes.unfold(2, 4, 3).transpose(-1, -2)

    def select(self, items: list[int] | tuple[int, ...]) -> Paths:
        """Returns the drawings of these items."""
        return Paths(**{field.name: getattr(self, field.name)[list(items)] for field in fields(self)})

    @classmethod
    def concatenate(cls, parts: Sequence[Paths]) -> Paths:
        """Returns the drawings of several sets, in order, each of the same numbers of paths and cubics."""
        return cls(**{field.name: torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)})

    def detach(self) -> Paths:
        """Returns the same paths, detached and copied."""
        return Paths(**{field.name: getattr(self, field.name).detach().clone() for field in fields(self)})


def canvas_to_pixels(points: Float[Tensor, "*n 2"], size: tuple[int, int]) -> Float[Tensor, "*n 2"]:
    """Maps points in canvas units to pixels of a canvas of (height, width); the first pixel covers [0, 1]^2."""
    height, width = size
    return points * (max(size) / 2) + points.new_tensor([width / 2, height / 2])


def pixels_to_canvas(points: Float[Tensor, "*n 2"], size: tuple[int, int]) -> Float[Tensor, "*n 2"]:
    """Inverse of `canvas_to_pixels`."""
    height, width = size
    return (points - points.new_tensor([width / 2, height / 2])) * (2 / max(size))


def circle(center: Float[Tensor, "*n 2"], radius: Float[Tensor, "*n"], cubics: int) -> Float[Tensor, "*n c3 2"]:
    """Returns the control points of circles as closed paths of cubics (each off by less than 3e-4 radii for 4)."""
    start = torch.arange(cubics, dtype=center.dtype, device=center.device) * (2 * math.pi / cubics)
    handle = 4 / 3 * math.tan(math.pi / (2 * cubics))
    normal = torch.stack([start.cos(), start.sin()], -1)
    tangent = torch.stack([-start.sin(), start.cos()], -1)
    after = start + 2 * math.pi / cubics
    end = torch.stack([after.cos(), after.sin()], -1) - handle * torch.stack([-after.sin(), after.cos()], -1)
    unit = torch.stack([normal, normal + handle * tangent, end], 1).flatten(0, 1)
    return center[..., None, :] + radius[..., None, None] * unit


def random_paths(
    n: int,
    paths: int,
    strokes: int,
    cubics: int,
    rng: Rng,
    *,
    size: tuple[int, int] = (1, 1),
    background: tuple[float, float, float] = (1.0, 1.0, 1.0),
    like: Tensor | None = None,
) -> Paths:
    """Draws n sets of circles of random place and colour, the largest at the bottom, and of short random strokes.

    Args:
        n: number of drawings, >= 1.
        paths: number of fills of each.
        strokes: number of strokes of each.
        cubics: number of cubics of each path, >= 2.
        rng: random stream; each drawing is a row of the leading axis.
        size: (height, width) of the canvas; its shape alone matters.
        background: colour behind the paths.
        like: tensor whose dtype and device the result takes; default float32 on the CPU.
    """
    like = torch.empty(0) if like is None else like
    limits = like.new_tensor([size[1] / max(size), size[0] / max(size)])
    draws = rand((n, paths + strokes, 8), rng, like)
    center = (2 * draws[..., :2] - 1) * limits
    radius = 0.05 + 0.25 * draws[:, :paths, 2].sort(dim=1, descending=True).values
    colors = torch.cat([draws[..., 3:6], torch.full_like(draws[..., :1], 0.7)], -1)
    turn = 2 * math.pi * draws[:, paths:, 6]
    direction = torch.stack([turn.cos(), turn.sin()], -1)
    along = torch.linspace(-0.15, 0.15, 3 * cubics + 1, dtype=like.dtype, device=like.device)
    return Paths(
        circle(center[:, :paths], radius, cubics),
        center[:, paths:, None] + along[:, None] * direction[:, :, None],
        torch.full_like(draws[:, paths:, 0], 0.04),
        colors,
        torch.arange(paths + strokes, device=like.device).expand(n, -1).clone(),
        torch.zeros(n, paths, dtype=torch.bool, device=like.device),
        like.new_tensor(background).expand(n, 3).clone(),
    )
