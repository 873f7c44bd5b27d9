"""Shapes: what one `<path>` of an SVG draws, between paths as tensors and text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.vector.cubics import straight, subdivide
from modeseek.generators.vector.paths import Paths


@dataclass(frozen=True)
class Shape:
    """Shape of a drawing: one or more outlines painted together, or one stroke.

    Attributes:
        outlines: control points in canvas units, float64: (3 c, 2) of each closed outline of a fill, as in
            `Paths.fills`, or (3 s + 1, 2) of the one stroke, as in `Paths.strokes`.
        color: red, green, blue and opacity, in [0, 1].
        width: width of the stroke, canvas units, > 0; None for a fill.
        even_odd: whether the fill follows the even-odd rule.
        slot: slot of the path in `Paths`, -1 where it comes from none.
    """

    outlines: tuple[Float[Tensor, "m 2"], ...]
    color: tuple[float, float, float, float]
    width: float | None = None
    even_odd: bool = False
    slot: int = -1

    @property
    def hex(self) -> str:
        """Colour in 8 bits, such as "#ff8000"."""
        return hex_color(self.color[:3])


def hex_color(color: Sequence[float]) -> str:
    """Colour of red, green and blue in [0, 1] as "#rrggbb", rounded to 8 bits and clipped."""
    return "#" + "".join(f"{round(255 * min(max(value, 0.0), 1.0)):02x}" for value in color)


def shapes_of(paths: Paths, item: int = 0) -> tuple[Shape, ...]:
    """Shapes of one drawing, from the bottom to the top, one a path."""
    fills, strokes = paths.fills[item].detach().cpu().double(), paths.strokes[item].detach().cpu().double()
    colors, widths = paths.colors[item].detach().cpu().tolist(), paths.widths[item].detach().cpu().tolist()
    even_odd = paths.even_odd[item].tolist()

    def shape(slot: int) -> Shape:
        red, green, blue, opacity = colors[slot]
        color = (red, green, blue, opacity)
        if slot < len(fills):
            return Shape((fills[slot],), color, None, even_odd[slot], slot)
        return Shape((strokes[slot - len(fills)],), color, widths[slot - len(fills)], False, slot)

    return tuple(shape(slot) for slot in paths.order[item].tolist())


def pack(shapes: Sequence[Shape], background: Sequence[float], like: Tensor | None = None) -> Paths:
    """Paths of one drawing that paint these shapes, from the bottom to the top, over a background.

    Outlines of one fill become one closed curve, over bridges of no width; every curve is subdivided, exactly, to the
    largest number of cubics.

    Args:
        shapes: shapes, at least one.
        background: red, green and blue behind them.
        like: tensor whose dtype and device the result takes; default float32 on the CPU.
    """
    like = torch.empty(0) if like is None else like
    fills = [shape for shape in shapes if shape.width is None]
    strokes = [shape for shape in shapes if shape.width is not None]
    slots = {id(shape): slot for slot, shape in enumerate([*fills, *strokes])}
    closed = [_joined(shape.outlines) for shape in fills]
    opened = [shape.outlines[0] for shape in strokes]
    cubics = max((len(points) // 3 for points in closed), default=1)
    pieces = max((len(points) // 3 for points in opened), default=1)
    return Paths(
        _stack([subdivide(torch.cat([points, points[:1]]), cubics)[:-1] for points in closed], 3 * cubics).to(like),
        _stack([subdivide(points, pieces) for points in opened], 3 * pieces + 1).to(like),
        torch.tensor([[shape.width for shape in strokes]], dtype=torch.float64).to(like),
        torch.tensor([shape.color for shape in (*fills, *strokes)], dtype=torch.float64).reshape(1, -1, 4).to(like),
        torch.tensor([[slots[id(shape)] for shape in shapes]], dtype=torch.long, device=like.device),
        torch.tensor([[shape.even_odd for shape in fills]], dtype=torch.bool, device=like.device),
        like.new_tensor([list(background)]),
    )


def _stack(curves: list[Tensor], points: int) -> Float[Tensor, "1 k m 2"]:
    return torch.stack(curves)[None] if curves else torch.empty(1, 0, points, 2, dtype=torch.float64)


def _joined(outlines: Sequence[Tensor]) -> Float[Tensor, "m 2"]:
    """One closed curve that runs through all outlines: from start to start over bridges, and back over the same."""
    starts = [outline[0] for outline in outlines]
    forth = [straight(*pair) for pair in pairwise(starts)]
    back = [straight(*pair) for pair in pairwise(reversed(starts))]
    parts = [outlines[0], *(part for pair in zip(forth, outlines[1:], strict=True) for part in pair), *back]
    return torch.cat(parts)


def components(boxes: Float[Tensor, "k 4"]) -> list[list[int]]:
    """Groups of boxes (left, top, right, bottom) that overlap, directly or through others; each in ascending order."""
    from scipy.sparse.csgraph import connected_components

    if len(boxes) == 1:
        return [[0]]
    left, top, right, bottom = boxes.unbind(1)
    meets = (left[:, None] <= right) & (left <= right[:, None]) & (top[:, None] <= bottom) & (top <= bottom[:, None])
    number, labels = connected_components(meets.numpy(), directed=False)
    groups: list[list[int]] = [[] for _ in range(number)]
    for index, label in enumerate(labels.tolist()):
        groups[label].append(index)
    return groups
