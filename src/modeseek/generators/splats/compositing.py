"""Front-to-back compositing of splats, with its exact derivative."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.splats.pairs import Pairs
from modeseek.generators.vector.cut import segment_sum

MOST_ALPHA = 0.999
"""Largest opacity of a splat at a pixel; at 1 nothing behind it would get a gradient."""


def composite(
    center: Float[Tensor, "m 2"],
    conic: Float[Tensor, "m 3"],
    opacity: Float[Tensor, "m"],
    values: Float[Tensor, "m c"],
    pairs: Pairs,
) -> Float[Tensor, "k c"]:
    """Composites values of splats front to back: `sum_i w_i v_i`, `w_i = a_i prod_{j before i} (1 - a_j)`.

    `a = min(opacity exp(-q / 2), 0.999)`, q the squared Mahalanobis distance of the pixel's centre. Sums run in a
    fixed order, so that two runs are equal to the bit; transmittances are sums of logarithms in float64.

    Args:
        center: centres, pixels.
        conic: inverse covariances xx, xy, yy, 1 / squared pixels.
        opacity: peak opacities, in [0, 1].
        values: values to composite: colours, depths ...
        pairs: pairs of these splats and the k pixels.
    """
    return _Composite.apply(center, conic, opacity, values, pairs)


class _Composite(torch.autograd.Function):
    """`composite` with its derivative in two passes over the pairs, where autograd would keep twenty arrays."""

    @staticmethod
    def forward(ctx: Any, center: Tensor, conic: Tensor, opacity: Tensor, values: Tensor, pairs: Pairs) -> Tensor:
        table = torch.cat([conic, opacity[:, None], values], 1).index_select(0, pairs.splats)
        table = table.repeat_interleave(pairs.lengths, 0, output_size=len(pairs.pixel))
        bell, alpha, passing = _blend(table, pairs)
        weight = alpha * passing
        ctx.pairs, ctx.n = pairs, len(opacity)
        ctx.save_for_backward(table, bell, alpha, passing)
        rows = (weight[:, None] * table[:, 4:]).index_select(0, pairs.by_pixel)
        return segment_sum(rows, pairs.pixel_lengths)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        table, bell, alpha, passing = ctx.saved_tensors
        pairs: Pairs = ctx.pairs
        dx, dy = pairs.column, pairs.row
        grads, weight = grad.index_select(0, pairs.pixel), alpha * passing
        gain = (grads * table[:, 4:]).sum(1)  # d loss / d weight
        behind = _sums_behind(weight * gain, pairs)
        slope = passing * gain - behind / (1 - alpha)  # d loss / d alpha
        slope = slope.masked_fill(alpha >= MOST_ALPHA, 0.0)
        pull = -0.5 * slope * alpha  # d loss / d q
        across, down = pull * dx, pull * dy
        columns = [across, down, across * dx, across * dy, down * dy, slope * bell]
        rows = torch.cat([torch.stack(columns, 1), weight[:, None] * grads], 1)
        sums = segment_sum(rows, pairs.lengths)
        xx, xy, yy = table[pairs.lengths.cumsum(0) - 1, :3].unbind(1)
        x, y, *squares = sums[:, :5].unbind(1)
        center = torch.stack([-2 * (xx * x + xy * y), -2 * (xy * x + yy * y)], 1)
        conic = torch.stack([squares[0], 2 * squares[1], squares[2]], 1)
        every = sums.new_zeros(ctx.n, sums.shape[1])
        every[pairs.splats] = torch.cat([center, conic, sums[:, 5:]], 1)
        return every[:, :2], every[:, 2:5], every[:, 5], every[:, 6:], None


@torch.no_grad()
def median_values(
    conic: Float[Tensor, "m 3"], opacity: Float[Tensor, "m"], values: Float[Tensor, "m"], pairs: Pairs
) -> Float[Tensor, "k"]:
    """Returns the value of the splat at which half of the light of each pixel is absorbed; 0 where less is in all."""
    table = torch.cat([conic, opacity[:, None], values[:, None]], 1).index_select(0, pairs.splats)
    table = table.repeat_interleave(pairs.lengths, 0, output_size=len(pairs.pixel))
    _, alpha, passing = _blend(table, pairs)
    halved = (passing > 0.5) & (passing * (1 - alpha) <= 0.5)
    out = values.new_zeros(len(pairs.pixel_lengths))
    out[pairs.pixel[halved]] = table[halved, 4]
    return out


def _blend(table: Float[Tensor, "p c"], pairs: Pairs) -> tuple[Tensor, Tensor, Tensor]:
    """Gaussian, opacity and transmittance in front of each pair, from its conic and peak opacity."""
    dx, dy = pairs.column, pairs.row
    xx, xy, yy, peak = table[:, :4].unbind(1)
    bell = torch.exp(-0.5 * (xx * dx * dx + 2 * xy * dx * dy + yy * dy * dy))
    alpha = (peak * bell).clamp(max=MOST_ALPHA)
    return bell, alpha, _sums_in_front(torch.log1p(-alpha), pairs).exp()


def _sums_in_front(values: Float[Tensor, "p"], pairs: Pairs) -> Float[Tensor, "p"]:
    """Returns the sum over the splats in front of each pair's splat at its pixel, added in float64."""
    ordered = values.index_select(0, pairs.by_pixel).double()
    before = ordered.cumsum(0) - ordered
    occupied = pairs.pixel_lengths[pairs.pixel_lengths > 0]
    starts = before[occupied.cumsum(0) - occupied].repeat_interleave(occupied, output_size=len(values))
    return (before - starts).to(values).index_select(0, pairs.rank)


def _sums_behind(values: Float[Tensor, "p"], pairs: Pairs) -> Float[Tensor, "p"]:
    """Returns the sum over the splats behind each pair's splat at its pixel, added in float64."""
    ordered = values.index_select(0, pairs.by_pixel).double()
    through = ordered.cumsum(0)
    occupied = pairs.pixel_lengths[pairs.pixel_lengths > 0]
    totals = through[occupied.cumsum(0) - 1].repeat_interleave(occupied, output_size=len(values))
    return (totals - through).to(values).index_select(0, pairs.rank)
