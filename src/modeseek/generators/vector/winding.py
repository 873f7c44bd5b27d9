"""Area-weighted winding numbers of polygons within boxes of a canvas, and their exact derivative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from modeseek.generators.vector.cut import Size, cut, segment_sum

_DUST = 1e-5  # rounding of a winding number in float32


@dataclass(frozen=True)
class Boxes:
    """Boxes of pixels, one for each layer, that hold all its polygons within the canvas; n polygons a layer.

    All planes lie in one buffer: layer by layer, within it item by item, row by row, one column wider than the box.

    Attributes:
        bounds: (top, left, height, width) of each layer, pixels; height 0 where nothing is within the canvas.
        items: number of polygons n of each layer.
        lengths: number of pixels of each plane in the buffer, in its order, (l n,).
        total: number of pixels of the buffer.
    """

    bounds: tuple[tuple[int, int, int, int], ...]
    items: int
    lengths: Int[Tensor, "ln"]
    total: int

    @classmethod
    def of(cls, bounds: Sequence[tuple[int, int, int, int]], items: int, device: torch.device) -> Boxes:
        """Returns boxes of these bounds."""
        areas = [height * (width + 1) for _, _, height, width in bounds]
        lengths = torch.tensor(areas, device=device, dtype=torch.long)
        return cls(tuple(bounds), items, lengths.repeat_interleave(items), items * sum(areas))

    def split(self, buffer: Float[Tensor, "k"]) -> list[Float[Tensor, "n 1 h w1"]]:
        """Returns views of the planes of each layer, with the column right of its box."""
        parts = buffer.split([self.items * h * (w + 1) for _, _, h, w in self.bounds])
        return [part.view(self.items, 1, h, w + 1) for part, (_, _, h, w) in zip(parts, self.bounds, strict=True)]

    def spread(self, values: Shaped[Tensor, "n l"]) -> Shaped[Tensor, "k"]:
        """Returns the values of each item and layer at all pixels of their planes."""
        return values.t().flatten().repeat_interleave(self.lengths, output_size=self.total)

    def sums(self, buffer: Float[Tensor, "k"]) -> Float[Tensor, "n l"]:
        """Returns the sum of each plane, by item and layer."""
        return segment_sum(buffer[:, None], self.lengths).view(-1, self.items).t()


def bounding_boxes(
    edges: Float[Tensor, "m 2 2"], layer: Int[Tensor, "m"], n_layers: int, items: int, size: Size
) -> Boxes:
    """Boxes of the edges of each layer, with a pixel to spare on the right and below."""
    height, width = size
    points = edges.detach()
    index = layer[:, None, None].expand(-1, 2, 2).flatten(0, 1)
    empty = points.new_zeros(n_layers, 2)
    low = (empty + 2 * max(size)).scatter_reduce(0, index, points.flatten(0, 1), "amin")
    high = (empty - 2 * max(size)).scatter_reduce(0, index, points.flatten(0, 1), "amax")
    limit = points.new_tensor([width, height])
    low = low.floor().clamp(min=0).minimum(limit)
    high = (high.floor() + 1).clamp(min=0).minimum(limit)
    bounds = []
    for (left, top), (right, bottom) in zip(low.long().tolist(), high.long().tolist(), strict=True):
        inside = right > left and bottom > top
        bounds.append((top, left, bottom - top, right - left) if inside else (0, 0, 0, 0))
    return Boxes.of(bounds, items, edges.device)


def winding(
    edges: Float[Tensor, "m 2 2"], layer: Int[Tensor, "m"], item: Int[Tensor, "m"], boxes: Boxes, size: Size
) -> Float[Tensor, "k"]:
    """Returns the winding number times area of closed polygons at the pixels of their boxes.

    W = sum over the pieces of the edges of dy (1 - x) in their pixel and dy right of it, one running sum along each
    row: exact for a box filter, with one operation for each pixel that an edge crosses. The derivative in an end of an
    edge is `-g (dy, -dx)` times the share of that end, summed over the pieces, with the gradient g of their pixel:
    what the boundary sweeps when it moves. Sums are in a fixed order, on every device.

    Args:
        edges: start and end of the edges, pixels; those of a polygon close it.
        layer: layer of each edge.
        item: number of its polygon within the layer.
        boxes: boxes of the layers.
        size: (height, width) of the canvas.
    """
    return _Winding.apply(edges, layer, item, boxes, size)


class _Winding(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, edges: Tensor, layer: Tensor, item: Tensor, boxes: Boxes, size: Size) -> Tensor:
        pieces = cut(edges, size)
        bounds = torch.tensor(boxes.bounds, device=edges.device).reshape(-1, 4)
        top, left, height, width = bounds.unbind(1)
        areas = boxes.items * height * (width + 1)
        starts = areas.cumsum(0) - areas
        per_layer = torch.stack([starts - top * (width + 1) - left, height * (width + 1), width + 1])
        first, area, stride = per_layer.index_select(1, layer)
        first, stride = torch.stack([first + item * area, stride]).index_select(1, pieces.edge)
        index = first + pieces.row * stride + pieces.column
        dy = pieces.extent[:, 1]
        beyond = dy * pieces.share
        buffer = edges.new_zeros(boxes.total + 1)
        _add(buffer, torch.cat([index, index + 1]), torch.cat([dy - beyond, beyond]))
        for plane in boxes.split(buffer[:-1]):
            plane.cumsum_(3)
        ctx.save_for_backward(index, pieces.extent, pieces.middle, pieces.inside, pieces.counts)
        return buffer[:-1]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        index, extent, middle, inside, counts = ctx.saved_tensors
        slope = -grad.index_select(0, index.clamp(max=len(grad) - 1)) * inside
        swept = slope[:, None] * torch.stack([extent[:, 1], -extent[:, 0]], 1)
        end = swept * middle[:, None]
        sums = segment_sum(torch.cat([swept - end, end], 1), counts)
        return sums.view(-1, 2, 2), None, None, None, None


def _add(buffer: Float[Tensor, "k"], index: Int[Tensor, "m"], values: Float[Tensor, "m"]) -> None:
    """Adds values at indices that repeat, in a fixed order: on CUDA index_put_ sorts, where index_add_ is atomic."""
    if buffer.is_cpu:
        buffer.index_add_(0, index, values)
    else:
        buffer.index_put_((index,), values, accumulate=True)


def fill(winding: Float[Tensor, "k"], boxes: Boxes, even_odd: Bool[Tensor, "k"] | None = None) -> Float[Tensor, "k"]:
    """Coverage of the pixels of the planes: min(|W|, 1), or where the even-odd rule holds the triangle wave of W.

    There are no seams along edges within a shape. Where an edge lies on the pixel grid its pixel is neither inside nor
    outside, and the derivative is that of a pixel that the edge enters.

    Args:
        winding: winding numbers W times area.
        boxes: boxes of the planes.
        even_odd: where the even-odd rule holds; None for nowhere.
    """
    return _Fill.apply(winding, boxes, even_odd)


class _Fill(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, winding: Tensor, boxes: Boxes, even_odd: Tensor | None) -> Tensor:
        ctx.boxes = boxes
        ctx.save_for_backward(winding, even_odd)
        nonzero = winding.abs().clamp(max=1)
        return nonzero if even_odd is None else torch.where(even_odd, 1 - (winding.remainder(2) - 1).abs(), nonzero)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None, None]:
        (grad,) = grads
        winding, even_odd = ctx.saved_tensors
        orientation = ctx.boxes.spread(ctx.boxes.sums(winding).sign())
        size = winding.abs()
        slope = torch.where(size < _DUST, orientation, winding.sign())
        if even_odd is None:
            return grad * slope * (size <= 1 + _DUST), None, None
        wave = 1 - 2 * (winding.remainder(2) >= 1).to(grad)
        return grad * torch.where(size <= 1 + _DUST, slope, wave * even_odd), None, None
