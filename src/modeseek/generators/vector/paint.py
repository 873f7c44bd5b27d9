"""Painter of drawings: paths over each other in their order, at any size, differentiable and deterministic."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from modeseek.generators.vector.coverage import check_finite_points, check_size
from modeseek.generators.vector.cut import Size
from modeseek.generators.vector.flatten import count_chords, flatten
from modeseek.generators.vector.paths import Paths, canvas_to_pixels
from modeseek.generators.vector.stroke import outline_edges
from modeseek.generators.vector.winding import Boxes, bounding_boxes, fill, winding


def paint(paths: Paths, size: Size) -> Float[Tensor, "n 3 h w"]:
    """Paints drawings: `canvas = canvas + opacity * coverage * (colour - canvas)`, path by path from the bottom.

    Coverage is the exact area of a path in each pixel, of curves flattened to chords that keep it. The cost of a path
    follows its perimeter and its bounding box (for several drawings, that of all paths of its rank), not the canvas or
    the number of other paths. Differentiable in points, widths, colours, opacities and background; the same bits at
    each call.

    Args:
        paths: drawings.
        size: (height, width) of the images, pixels; the longer side shows the canvas from -1 to 1.

    Raises:
        ValueError: an empty canvas, or points that are not finite.
    """
    check_size(size)
    cover, boxes = _cover(paths, size)
    colors = paths.colors.gather(1, paths.order[..., None].expand(-1, -1, 4))
    return _Composite.apply(cover, colors, paths.background, boxes, size)


@torch.no_grad()
def visible_areas(paths: Paths, size: Size) -> Float[Tensor, "n k"]:
    """Area that each slot contributes to the image: opacity times coverage times what lies above lets through.

    Args:
        paths: drawings.
        size: (height, width) of the canvas that the areas are measured on, pixels.

    Returns:
        Areas in pixels, by slot.
    """
    check_size(size)
    cover, boxes = _cover(paths, size)
    alphas = boxes.split(cover * boxes.spread(paths.colors[..., 3].gather(1, paths.order)))
    through = cover.new_ones(paths.n, 1, size[0], size[1] + 1)
    through[..., -1] = 0
    areas: list[Tensor] = []
    for alpha, (top, left, height, width) in zip(alphas[::-1], boxes.bounds[::-1], strict=True):
        window = through.narrow(2, top, height).narrow(3, left, width + 1)
        seen = alpha * window
        areas.append(seen.sum((1, 2, 3)))
        window.sub_(seen)
    return torch.zeros_like(paths.colors[..., 3]).scatter_(1, paths.order, torch.stack(areas[::-1], 1))


def _cover(paths: Paths, size: Size) -> tuple[Float[Tensor, "k"], Boxes]:
    """Coverage of all paths within the boxes of their ranks."""
    for points in (paths.fills, paths.strokes):
        check_finite_points(points * (max(size) / 2), "points of a drawing")
    edges, slot = _edges(paths, size)
    n, k = paths.order.shape
    rank = torch.empty_like(paths.order).scatter_(
        1, paths.order, torch.arange(k, device=edges.device).expand(n, k).contiguous()
    )
    layer, item = rank.flatten().index_select(0, slot), torch.div(slot, max(1, k), rounding_mode="floor")
    boxes = bounding_boxes(edges, layer, k, n, size)
    return fill(winding(edges, layer, item, boxes, size), boxes, _even_odd(paths, boxes)), boxes


def _edges(paths: Paths, size: Size) -> tuple[Float[Tensor, "m 2 2"], Int[Tensor, "m"]]:
    """Edges of all paths in pixels, and the number of the slot of each, counted over all drawings."""
    n, p, q = paths.n, paths.n_fills, paths.n_strokes
    slots = torch.arange(n * (p + q), device=paths.fills.device).view(n, p + q)
    curves = canvas_to_pixels(paths.fill_curves().flatten(0, 2), size)
    counts = count_chords(curves)
    edges, slot = flatten(curves, counts), slots[:, :p].repeat_interleave(paths.cubics, 1).flatten()
    slot = slot.repeat_interleave(counts)
    if not q:
        return edges, slot
    strokes = canvas_to_pixels(paths.stroke_curves().flatten(0, 1), size)
    around, stroke = outline_edges(strokes, paths.widths.flatten() * (max(size) / 2))
    return torch.cat([edges, around]), torch.cat([slot, slots[:, p:].flatten()[stroke]])


def _even_odd(paths: Paths, boxes: Boxes) -> Bool[Tensor, "k"] | None:
    """Where in the buffer of the planes the even-odd rule holds; None if nowhere."""
    if not paths.even_odd.any():
        return None
    strokes = torch.zeros_like(paths.widths, dtype=torch.bool)
    flags = torch.cat([paths.even_odd, strokes], 1).gather(1, paths.order)
    return boxes.spread(flags)


class _Composite(torch.autograd.Function):
    """Compositing within the boxes; the gradient passes from the top path down, with what lay under each kept.

    The canvas has a column to spare on the right, as the planes have beside their boxes: nothing is cut out of a plane.
    """

    @staticmethod
    def forward(ctx: Any, cover: Tensor, colors: Tensor, background: Tensor, boxes: Boxes, size: Size) -> Tensor:
        opacity = boxes.spread(colors[..., 3])
        alphas = boxes.split(cover * opacity)
        canvas = background[:, :, None, None].expand(-1, -1, size[0], size[1] + 1).contiguous()
        layers = colors[:, :, :3, None, None].unbind(1)
        contrasts = []
        for alpha, color, (top, left, height, width) in zip(alphas, layers, boxes.bounds, strict=True):
            window = canvas.narrow(2, top, height).narrow(3, left, width + 1)
            contrast = color - window
            window.addcmul_(alpha, contrast)
            contrasts.append(contrast)
        ctx.boxes = boxes
        ctx.save_for_backward(cover, opacity, *contrasts)
        return canvas[..., :-1].contiguous()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        cover, opacity, *contrasts = ctx.saved_tensors
        boxes: Boxes = ctx.boxes
        grad = torch.nn.functional.pad(grad, (0, 1))
        d_alpha = torch.empty_like(cover)
        rows = zip(contrasts, boxes.split(cover * opacity), boxes.split(d_alpha), boxes.bounds, strict=True)
        d_colors: list[Tensor] = []
        for contrast, alpha, out, (top, left, height, width) in reversed(list(rows)):
            window = grad.narrow(2, top, height).narrow(3, left, width + 1)
            torch.sum(window * contrast, 1, keepdim=True, out=out)
            part = window * alpha
            d_colors.append(part.sum((2, 3)))
            window.sub_(part)
        d_opacity = boxes.sums(d_alpha * cover)
        d_layers = torch.cat([torch.stack(d_colors[::-1], 1), d_opacity[..., None]], 2)
        return d_alpha.mul_(opacity), d_layers, grad[..., :-1].sum((2, 3)), None, None
