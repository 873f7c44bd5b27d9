"""Simplification of drawings for export: paths that change no pixel, equal neighbours, and a budget of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.vector.cubics import join
from modeseek.generators.vector.paint import paint
from modeseek.generators.vector.paths import Paths
from modeseek.generators.vector.shapes import Shape, pack, shapes_of
from modeseek.generators.vector.svg_write import write_shapes

_LARGEST = 512  # pixels of the longer side that changes are measured at, unless the drawing itself has more
_RANKED = 128  # pixels of the longer side that the least visible path is found at
_OPAQUE = 0.9995  # opacity that is written as 1
_JOINED = 0.002  # pixels that control points of joined cubics may be off


@dataclass(frozen=True)
class Simplified:
    """A drawing without what cannot be seen.

    Attributes:
        shapes: shapes that are left, from the bottom to the top; merged ones have several outlines.
        dropped: slots of the paths that were dropped.
        merged: number of paths that became part of the one below.
    """

    shapes: tuple[Shape, ...]
    dropped: tuple[int, ...]
    merged: int


@dataclass(frozen=True)
class SvgExport:
    """An SVG with what was done to the drawing.

    Attributes:
        text: the SVG.
        paths: number of its paths, the background aside.
        dropped: number of paths that were dropped since they change no pixel.
        merged: number of paths that became part of an equal neighbour.
        removed: number of visible paths that were removed to keep the budget.
        decimals: decimals of the coordinates.
    """

    text: str
    paths: int
    dropped: int
    merged: int
    removed: int
    decimals: int

    @property
    def bytes(self) -> int:
        """Bytes of the file, UTF-8."""
        return len(self.text.encode())


@torch.no_grad()
def simplify(
    paths: Paths, size: tuple[int, int], item: int = 0, *, scale: float = 2.0, tolerance: float = 0.5
) -> Simplified:
    """Drops the paths of a drawing that change no pixel, merges neighbours of one opaque colour, joins split cubics.

    Measured, not guessed: a path is dropped where the image painted without it (and without all dropped before) differs
    from that of all paths by less than the tolerance in every pixel and channel, at the size and enlarged. With `T` the
    light that the paths above let through and `B` what is below, leaving a path out changes the image by
    `T opacity coverage (colour - B)`. Fills that follow each other in the same opaque 8-bit colour become one shape of
    several outlines where that changes as little: where they overlap wholly or lie apart. Cubics that are parts of one,
    as paths that were read have them, become that one. Costs the painting of each path at most four times.

    Args:
        paths: drawings.
        size: (height, width) of the canvas, pixels.
        item: index of the drawing.
        scale: factor of the larger size at which changes are measured, which has at most 512 pixels a side, or as many
            as the canvas.
        tolerance: smallest change that counts, in steps of 8 bits, > 0.
    """
    shapes = [_joined(shape, _JOINED * 2 / max(size)) for shape in shapes_of(paths, item)]
    background = paths.background[item].tolist()
    sizes = {size, _measured_size(size, scale, max(_LARGEST, max(size)))}
    scenes = [_Scene(shapes, background, measured) for measured in sorted(sizes)]
    kept: list[Shape] = []
    dropped: list[int] = []
    for index, shape in enumerate(shapes):
        if all(_steps(scene.change_without(index)) < tolerance for scene in scenes):
            for scene in scenes:
                scene.drop(index)
            dropped.append(shape.slot)
            continue
        if kept and _equal(kept[-1], shape):
            union = replace(kept[-1], outlines=_aligned(kept[-1], shape))
            covers = [_coverage(union, scene.size) for scene in scenes]
            pairs = list(zip(scenes, covers, strict=True))
            if all(_steps(scene.change_merged(index, joint)) < tolerance for scene, joint in pairs):
                for scene, joint in pairs:
                    scene.merge(index, joint)
                kept[-1] = union
                continue
        for scene in scenes:
            scene.keep(index)
        kept.append(shape)
    return Simplified(tuple(kept), tuple(dropped), len(shapes) - len(dropped) - len(kept))


def _joined(shape: Shape, tolerance: float) -> Shape:
    """The same shape of fewer cubics."""
    (points,) = shape.outlines
    if shape.width is None:
        return replace(shape, outlines=(join(torch.cat([points, points[:1]]), tolerance)[:-1],))
    return replace(shape, outlines=(join(points, tolerance),))


class _Scene:
    """A drawing at one size, gone through from the bottom to the top: how the image changes by what is left out.

    Attributes:
        size: (height, width), pixels.
    """

    def __init__(self, shapes: Sequence[Shape], background: Sequence[float], size: tuple[int, int]) -> None:
        self.size = size
        self._alphas = [shape.color[3] * _coverage(shape, size) for shape in shapes]
        self._light = _light_through(self._alphas)
        self._colors = [torch.tensor(shape.color[:3])[:, None, None] for shape in shapes]
        self._below = torch.tensor(background)[:, None, None].expand(3, *size)
        self._change = torch.zeros(3, *size)  # of the whole image, by all that was done so far
        self._last = self._below, torch.zeros(size)  # what the last kept shape is painted on, and its opacity

    def change_without(self, index: int) -> Float[Tensor, "3 h w"]:
        """Change of the whole image where this shape is left out, too."""
        return self._change - self._light[index] * self._alphas[index] * (self._colors[index] - self._below)

    def change_merged(self, index: int, joint: Float[Tensor, "h w"]) -> Float[Tensor, "3 h w"]:
        """Change of the whole image where this shape is one with the last kept, of that joint opacity, too."""
        below, alpha = self._last
        apart = 1 - (1 - alpha) * (1 - self._alphas[index])
        return self._change + self._light[index] * (joint - apart) * (self._colors[index] - below)

    def drop(self, index: int) -> None:
        self._change = self.change_without(index)

    def merge(self, index: int, joint: Float[Tensor, "h w"]) -> None:
        self._change = self.change_merged(index, joint)
        below, _ = self._last
        self._last = below, joint
        self._below = below + joint * (self._colors[index] - below)

    def keep(self, index: int) -> None:
        self._last = self._below, self._alphas[index]
        self._below = self._below + self._alphas[index] * (self._colors[index] - self._below)


def svg_within(
    paths: Paths,
    item: int = 0,
    size: tuple[int, int] = (64, 64),
    title: str = "",
    max_bytes: int | None = None,
    *,
    background: bool = True,
) -> SvgExport:
    """SVG of a drawing that is simplified (`simplify`) and, where there is a limit, has at most so many bytes.

    A drawing above the limit gets one decimal in place of two; then its least visible path is removed, the one without
    which the image changes least on average, until the rest suffices.

    Args:
        paths: drawings.
        item: index of the drawing.
        size: (height, width) of the canvas, pixels.
        title: text of `<title>`.
        max_bytes: largest number of bytes; None for no limit.
        background: whether the background is written.

    Raises:
        ValueError: one path has more bytes, or see `write_svg`.
    """
    if not 0 <= item < paths.n:
        raise ValueError(f"item must be from 0 to {paths.n - 1}, got {item}; there are {paths.n} drawings")
    behind = paths.background[item].tolist()
    simplified = simplify(paths, size, item)
    shapes = list(simplified.shapes)
    dropped, merged = len(simplified.dropped), simplified.merged

    def export(decimals: int) -> SvgExport:
        text = write_shapes(shapes, behind if background else None, size=size, title=title, decimals=decimals)
        return SvgExport(text, len(shapes), dropped, merged, len(simplified.shapes) - len(shapes), decimals)

    found = export(2)
    if max_bytes is None or found.bytes <= max_bytes:
        return found
    found, shades = export(1), _Shades.of(shapes, behind, size)
    while found.bytes > max_bytes:
        if len(shapes) < 2:
            raise ValueError(
                f"max_bytes must leave room for one path of the drawing, got {max_bytes}; try at least {found.bytes}"
            )
        least = shades.least()
        del shapes[least]
        shades = shades.without(least)
        found = export(1)
    return found


@dataclass(frozen=True)
class _Shades:
    """Layers of a drawing: opacities (k images), colours (k, 3) and background (3,)."""

    alphas: tuple[Float[Tensor, "h w"], ...]
    colors: Float[Tensor, "k 3"]
    background: Float[Tensor, "3"]

    @classmethod
    def of(cls, shapes: Sequence[Shape], background: Sequence[float], size: tuple[int, int]) -> _Shades:
        measured = _measured_size(size, 1.0, _RANKED)
        alphas = tuple(shape.color[3] * _coverage(shape, measured) for shape in shapes)
        return cls(alphas, torch.tensor([shape.color[:3] for shape in shapes]), torch.tensor(background))

    def least(self) -> int:
        """Index of the layer without which the image changes least on average."""
        below, changes = self.background[:, None, None], list[float]()
        for alpha, color, light in zip(self.alphas, self.colors, _light_through(self.alphas), strict=True):
            change = alpha * (color[:, None, None] - below)
            changes.append(float((light * change).abs().sum()))
            below = below + change
        return changes.index(min(changes))

    def without(self, index: int) -> _Shades:
        kept = [k for k in range(len(self.alphas)) if k != index]
        return replace(self, alphas=tuple(self.alphas[k] for k in kept), colors=self.colors[kept])


def _measured_size(size: tuple[int, int], scale: float, largest: int) -> tuple[int, int]:
    factor = min(scale, largest / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _coverage(shape: Shape, size: tuple[int, int]) -> Float[Tensor, "h w"]:
    """Coverage of each pixel by a shape: white and opaque, painted on black."""
    return paint(pack([replace(shape, color=(1.0, 1.0, 1.0, 1.0))], (0.0, 0.0, 0.0)), size)[0, 0]


def _light_through(alphas: Sequence[Tensor]) -> list[Tensor]:
    """Share of the light of each layer that those above let through."""
    light = [torch.ones_like(alpha) for alpha in alphas[-1:]]
    for alpha in reversed(alphas[1:]):
        light.append(light[-1] * (1 - alpha))
    return light[::-1]


def _steps(change: Float[Tensor, "3 h w"]) -> float:
    return 255 * float(change.abs().max())


def _equal(first: Shape, second: Shape) -> bool:
    """Whether two shapes are fills by the nonzero rule in the same opaque colour, as they are written."""
    plain = all(shape.width is None and not shape.even_odd and shape.color[3] >= _OPAQUE for shape in (first, second))
    return plain and first.hex == second.hex


def _aligned(first: Shape, second: Shape) -> tuple[Tensor, ...]:
    """Outlines of both, all turning the same way, so that those that overlap do not cancel."""
    turn = _area(first.outlines[0])
    return (
        *first.outlines,
        *(points if _area(points) * turn >= 0 else _reversed(points) for points in second.outlines),
    )


def _area(points: Float[Tensor, "m 2"]) -> float:
    """Twice the signed area of the control polygon."""
    x, y = points.unbind(1)
    return float((x * y.roll(-1) - y * x.roll(-1)).sum())


def _reversed(points: Float[Tensor, "m 2"]) -> Float[Tensor, "m 2"]:
    """A closed outline run through the other way, from the same start."""
    return torch.cat([points[:1], points[1:].flip(0)])
