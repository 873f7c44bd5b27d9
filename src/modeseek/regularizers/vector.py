"""Regularizers on the paths of vector drawings: their crossings, areas and joints, opacities and colours."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.base import Rendering
from modeseek.generators.vector.paths import Paths
from modeseek.regularizers.base import Penalty, require_drawing
from modeseek.regularizers.crossings import doubled_area

_TINY = 1e-12  # squared length of a handle, canvas units, below which it has no direction
_LLOYD = 10  # iterations of k-means


@dataclass(frozen=True)
class PathCrossing(Penalty):
    """Area that closed paths wind around wrongly, `(int w^2 - |int w|) / 2` with winding number w, mean over fills.

    0 for a curve that does not cross itself, however it is oriented; of a figure of eight the smaller loop's area; of a
    curl the area of its inner loop. Its gradient shrinks such loops until the crossing is gone. All chords of a path
    are compared; the Xing loss of LIVE (Ma et al. 2022, arXiv 2206.04655) compares the handles of one cubic. Areas in
    canvas units: a square canvas has 4. Fills alone; most steps cost only the search for crossings.

    Attributes:
        chords: number of chords of each cubic, >= 2.
    """

    chords: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.chords < 2:
            raise ValueError(f"PathCrossing needs chords >= 2, got {self.chords}; try 8")

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        curves = require_drawing(rendering, self).fill_curves().flatten(0, 1)
        t = torch.arange(self.chords, dtype=curves.dtype, device=curves.device) / self.chords
        basis = torch.stack([(1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3], 1)
        return doubled_area((basis @ curves).flatten(1, 2)).sum() / max(1, len(curves))


@dataclass(frozen=True)
class OpacityBinary(Penalty):
    """Distance of opacities o from 0 and 1, `4 o (1 - o)`, mean over paths: a path is there or it is not.

    The slope is 0 at o = 1/2, and opacities move away from 1/2 in either direction: increase the weight late in the
    run. A term of this kind is common for splats; `OpacityEntropy` is its counterpart for pixels of volumes.
    """

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        opacity = require_drawing(rendering, self).colors[..., 3]
        return (4 * opacity * (1 - opacity)).mean()


@dataclass(frozen=True)
class SmallestArea(Penalty):
    """Shortfall of areas A below a smallest area, `max(0, 1 - |A| / least)^2`, mean over fills: removes slivers.

    A is the signed area of a closed path by Green's theorem, in closed form for cubics, as a share of the square around
    the canvas; loops of opposite orientation cancel.

    Attributes:
        least: smallest area, share of the square around the canvas, > 0; 1/2000 is 2 pixels at 64 x 64.
    """

    least: float = 5e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.least < math.inf:
            raise ValueError(f"SmallestArea needs least > 0, got {self.least}; try 0.0005")

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        areas = signed_areas(require_drawing(rendering, self)).abs() / 4
        return (1 - areas / self.least).clamp(min=0).square().sum() / max(1, areas.numel())


@dataclass(frozen=True)
class ColorPalette(Penalty):
    """Squared distance of colours from the nearest colour of a palette, mean over paths.

    Each path counts by its opacity, without gradient. The palette is fixed, or it is the k means of a drawing's own
    colours (Lloyd's algorithm from the farthest colours), which follow them.

    Attributes:
        k: number of colours of each drawing's own palette, >= 1; not used with `colors`.
        colors: fixed palette, red, green and blue in [0, 1]; empty for the drawings' own.
    """

    k: int = 6
    colors: tuple[tuple[float, float, float], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k < 1 or not all(len(color) == 3 and all(0 <= c <= 1 for c in color) for color in self.colors):
            raise ValueError(
                f"ColorPalette needs k >= 1 and colours of three numbers in [0, 1], got {self.k} and "
                f"{self.colors}; try k=6"
            )

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        colors = require_drawing(rendering, self).colors
        rgb, weights = colors[..., :3], colors[..., 3].detach()
        palette = (
            rgb.new_tensor(self.colors).expand(len(rgb), -1, 3)
            if self.colors
            else _means(rgb.detach(), weights, self.k)
        )
        squared = (rgb[:, :, None] - palette[:, None]).square().sum(-1).amin(-1)
        return (weights * squared).mean()


@dataclass(frozen=True)
class SmoothJoints(Penalty):
    """Turn of paths where two cubics meet, `1 - cos(angle)` between their handles, mean over joints.

    Joints that turn by more than `corner` are corners and have no penalty, nor have joints with a handle of no length.
    Fills and the inner joints of strokes.

    Attributes:
        corner: least turn of a corner, degrees, in (0, 180].
    """

    corner: float = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.corner <= 180:
            raise ValueError(f"SmoothJoints needs a corner in (0, 180] degrees, got {self.corner}; try 60")

    def measure(self, rendering: Rendering) -> Float[Tensor, ""]:
        paths = require_drawing(rendering, self)
        fills, strokes = paths.fill_curves(), paths.stroke_curves()
        closed = fills.roll(1, 2)[..., 3, :] - fills.roll(1, 2)[..., 2, :], fills[..., 1, :] - fills[..., 0, :]
        open_ = strokes[:, :, :-1, 3] - strokes[:, :, :-1, 2], strokes[:, :, 1:, 1] - strokes[:, :, 1:, 0]
        before, after = (torch.cat([a.flatten(0, 2), b.flatten(0, 2)]) for a, b in zip(closed, open_, strict=True))
        lengths = before.square().sum(-1) * after.square().sum(-1)
        cosine = (before * after).sum(-1) / lengths.clamp(min=_TINY**2).sqrt()
        smooth = (cosine > math.cos(math.radians(self.corner))) & (lengths > _TINY**2)
        return torch.where(smooth, 1 - cosine, 0).sum() / max(1, len(cosine))


def signed_areas(paths: Paths) -> Float[Tensor, "n p"]:
    """Signed areas of the fills, canvas units; by Green's theorem, positive if clockwise on the canvas (y down)."""
    p0, p1, p2, p3 = paths.fill_curves().unbind(-2)
    parts = (
        6 * _cross(p0, p1) + 3 * _cross(p0, p2) + _cross(p0, p3)
        + 3 * _cross(p1, p2) + 3 * _cross(p1, p3) + 6 * _cross(p2, p3)
    )  # fmt: skip
    return parts.sum(-1) / 20


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _means(colors: Float[Tensor, "n m 3"], weights: Float[Tensor, "n m"], k: int) -> Float[Tensor, "n k 3"]:
    """Weighted k-means of the colours of each drawing, from the farthest colours; deterministic."""
    rows = torch.arange(len(colors), device=colors.device)
    means = colors[rows, weights.argmax(1)][:, None]
    for _ in range(k - 1):
        distance = (colors[:, :, None] - means[:, None]).square().sum(-1).amin(-1)
        means = torch.cat([means, colors[rows, (weights * distance).argmax(1)][:, None]], 1)
    for _ in range(_LLOYD):
        nearest = (colors[:, :, None] - means[:, None]).square().sum(-1).argmin(-1)
        share = torch.nn.functional.one_hot(nearest, k).to(colors) * weights[..., None]
        total = share.sum(1)[..., None]
        means = torch.where(total > 0, share.mT @ colors / total.clamp(min=1e-12), means)
    return means
