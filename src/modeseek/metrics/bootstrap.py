"""Bootstrap confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.rng import Streams

_MIN_SIZE = 3  # below, hardly any resample differs
_RESAMPLES = 1000
_AT_ONCE = 1_000_000  # indices of resamples that are drawn side by side


@dataclass(frozen=True)
class Estimate:
    """Estimate with its 95 % interval.

    Attributes:
        value: estimate from all data.
        interval: (low, high), or None with too little data to resample.
    """

    value: float
    interval: tuple[float, float] | None = None


def bootstrap_interval(
    statistic: Callable[..., float],
    sizes: Sequence[int],
    value: float,
    seed: int = 0,
    resamples: int = _RESAMPLES,
    level: float = 0.95,
) -> tuple[float, float] | None:
    """Bootstrap interval (Efron 1979) of a statistic of one or more samples, each resampled with replacement.

    Quantiles of the resampled values, shifted so that their mean equals `value`: duplicates in a resample bias
    statistics such as FID, and that bias carries no information about the data. For means the shift is zero.

    Args:
        statistic: function of one index tensor per sample; resamples with a non-finite result are left out.
        sizes: size of each sample.
        value: statistic of the samples themselves.
        seed: random seed of the resampling.
        resamples: number of resamples.
        level: share of the resampled values inside the interval, in (0, 1).

    Returns:
        (low, high), or None if a sample has fewer than three members.
    """
    if min(sizes) < _MIN_SIZE:
        return None
    rng = _generator(seed)
    resampled = [statistic(*(torch.randint(n, (n,), generator=rng) for n in sizes)) for _ in range(resamples)]
    return _interval(torch.tensor([x for x in resampled if math.isfinite(x)], dtype=torch.float64), value, level)


def mean_with_interval(values: Float[Tensor, "n"], groups: Int[Tensor, "n"] | None = None, seed: int = 0) -> Estimate:
    """Mean with its bootstrap interval; with `groups`, whole groups are resampled, as images of a prompt are dependent.

    Args:
        values: value of each image.
        groups: index of each image's prompt; the result is then the mean of the group means.
        seed: random seed of the resampling.
    """
    values = values.detach().double().cpu()
    if groups is not None:
        labels = groups.cpu().unique()
        values = torch.stack([values[groups.cpu() == label].mean() for label in labels])
    value, n = values.mean().item(), len(values)
    if n < _MIN_SIZE:
        return Estimate(value)
    rng, rows = _generator(seed), max(1, _AT_ONCE // n)
    parts = [torch.randint(n, (min(rows, _RESAMPLES - done), n), generator=rng) for done in range(0, _RESAMPLES, rows)]
    means = torch.cat([values[part].mean(1) for part in parts])
    return Estimate(value, _interval(means[means.isfinite()], value))


def _generator(seed: int) -> torch.Generator:
    return Streams(seed, use="bootstrap").generator(0, torch.device("cpu"))


def _interval(values: Float[Tensor, "n"], value: float, level: float = 0.95) -> tuple[float, float] | None:
    """Interval of the resampled values, shifted so that their mean equals `value`; None of fewer than two."""
    if len(values) < 2:
        return None
    edges = values.quantile(torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64))
    low, high = (edges - values.mean() + value).tolist()
    return low, high
