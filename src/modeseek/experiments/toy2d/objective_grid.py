"""Objectives of SDS and MSD on a 2-D grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import conv1d, max_pool2d

from modeseek.metrics.samples import nll
from modeseek.priors.base import DensityPrior
from modeseek.pytree import Cond, expand

_REACH = 4.0  # truncation of the noise average, standard deviations


@dataclass(frozen=True)
class Landscape:
    """Two objectives at one bandwidth, rows along the second coordinate.

    Attributes:
        ticks: grid coordinates, equal for both axes.
        bandwidth: kernel bandwidth H.
        sds: `-E_n log p_H(z + H n)`, the objective that SDS at that noise level descends on average.
        msd: `-log p_H(z)`, the objective of MSD.
    """

    ticks: Float[Tensor, "n"]
    bandwidth: float
    sds: Float[Tensor, "n n"]
    msd: Float[Tensor, "n n"]


def log_density(
    prior: DensityPrior, ticks: Float[Tensor, "n"], bandwidth: float = 0.0, cond: Cond = None
) -> Float[Tensor, "n n"]:
    """Log density `log p_h` at all pairs of ticks, rows along the second coordinate."""
    points = torch.cartesian_prod(ticks, ticks).flip(1)
    return -nll(prior, points, bandwidth, expand(cond, len(points))).reshape(len(ticks), len(ticks))


def landscape(prior: DensityPrior, bandwidth: float, extent: float, side: int, cond: Cond = None) -> Landscape:
    """Both objectives on a grid over [-extent, extent]^2, exact up to the grid spacing.

    The average over n is a separable Gaussian convolution on a grid padded by 4 bandwidths.
    """
    step = 2 * extent / (side - 1)
    pad = math.ceil(_REACH * bandwidth / step)
    padded = torch.arange(-pad, side + pad, dtype=torch.float64) * step - extent
    log_p = log_density(prior, padded, bandwidth, cond)
    taps = torch.exp(-0.5 * (torch.arange(-pad, pad + 1, dtype=torch.float64) * step / bandwidth).square())
    taps = (taps / taps.sum())[None, None]
    rows = conv1d(log_p[:, None], taps)[:, 0]
    blurred = conv1d(rows.T[:, None], taps)[:, 0].T
    return Landscape(padded[pad : pad + side], bandwidth, -blurred, -log_p[pad : pad + side, pad : pad + side])


def minima(field: Float[Tensor, "n n"], reach: int = 2) -> Int[Tensor, "m 2"]:
    """Grid indices (column, row) of minima over a window of `reach` grid points, border excluded."""
    lowest = -max_pool2d(-field[None, None], 2 * reach + 1, 1, reach)[0, 0]
    inner = torch.zeros_like(field, dtype=torch.bool)
    inner[reach:-reach, reach:-reach] = True
    return ((field == lowest) & inner).nonzero().flip(1)
