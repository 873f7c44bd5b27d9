"""How sure a number is: intervals by resampling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.rng import Streams

_FEWEST = 3  # of fewer there is hardly a resample that differs


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval.

    Attributes:
        value: the estimate from everything there is.
        interval: (low, high), or None where there is too little to resample.
    """

    value: float
    interval: tuple[float, float] | None = None


def bootstrap_interval(
    statistic: Callable[..., float],
    sizes: Sequence[int],
    value: float,
    seed: int = 0,
    resamples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float] | None:
    """Bootstrap interval (Efron 1979) of a statistic of one or more samples, each resampled with replacement.

    The quantiles of the resampled values, moved so that their mean falls on `value`: copies in a resample shift
    statistics such as FID, and that shift is no news about the pictures. For means it moves nothing.

    Args:
        statistic: of one index tensor a sample; NaN where a resample has no answer, which is then left out.
        sizes: of the samples.
        value: the statistic of the samples themselves.
        seed: of the resampling.
        resamples: how many.
        share: of the resampled values that lie within.

    Returns:
        (low, high), or None where a sample has fewer than three members.
    """
    if min(sizes) < _FEWEST:
        return None
    rng = Streams(seed, use="bootstrap").generator(0, torch.device("cpu"))
    drawn = [statistic(*(torch.randint(n, (n,), generator=rng) for n in sizes)) for _ in range(resamples)]
    values = torch.tensor([x for x in drawn if math.isfinite(x)], dtype=torch.float64)
    if len(values) < 2:
        return None
    edges = values.quantile(torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64))
    low, high = (edges - values.mean() + value).tolist()
    return low, high


def mean_with_interval(values: Float[Tensor, "n"], groups: Int[Tensor, "n"] | None = None, seed: int = 0) -> Estimate:
    """The mean and its interval; with `groups` whole groups are resampled, as pictures of one prompt are no strangers.

    Args:
        values: one a picture.
        groups: which prompt it belongs to; the mean is then that of the groups' means.
        seed: of the resampling.
    """
    values = values.detach().double().cpu()
    if groups is not None:
        names = groups.cpu().unique()
        values = torch.stack([values[groups.cpu() == name].mean() for name in names])
    value = values.mean().item()
    return Estimate(value, bootstrap_interval(lambda i: values[i].mean().item(), (len(values),), value, seed))
