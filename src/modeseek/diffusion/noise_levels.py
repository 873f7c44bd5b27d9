"""Time samplers: the noise levels that a method visits, `times(progress, n, rng) -> t (n,)`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.rng import Rng, rand


@runtime_checkable
class Times(Protocol):
    """Time sampler: a callable that returns one time per item."""

    def __call__(self, progress: float, n: int, rng: Rng) -> Float[Tensor, "n"]:
        """Returns times in [0, 1] for n items at this progress."""
        ...


@dataclass(frozen=True)
class Uniform:
    """Uniform times: `t ~ U[low, high]` per item (DreamFusion: 0.02 to 0.98)."""

    low: float = 0.02
    high: float = 0.98

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise ValueError(f"Uniform needs 0 <= low <= high <= 1: got {self.low}, {self.high}; try 0.02, 0.98")

    def __call__(self, progress: float, n: int, rng: Rng) -> Float[Tensor, "n"]:
        return self.low + (self.high - self.low) * rand((n,), rng, torch.empty(0))


@dataclass(frozen=True)
class Annealed:
    """Annealed times: `t = start + (end - start) progress^power`, the same for every item.

    Attributes:
        start: time at progress 0, in [0, 1].
        end: time at progress 1, in [0, 1].
        power: exponent of progress, > 0; 1 is linear (SDI), 0.5 is HiFA's square root.
    """

    start: float = 0.98
    end: float = 0.02
    power: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.start <= 1 and 0 <= self.end <= 1 and self.power > 0):
            raise ValueError(f"Annealed needs times in [0, 1] and power > 0: got {self}; try Annealed(0.98, 0.02)")

    def __call__(self, progress: float, n: int, rng: Rng) -> Float[Tensor, "n"]:
        return torch.full((n,), self.start + (self.end - self.start) * progress**self.power)


@dataclass(frozen=True)
class Switch:
    """Hard switch of the time range: `t ~ U[low, high]` before progress `at`, `t ~ U[low, then]` from it on.

    ProlificDreamer (Wang et al. 2023, arXiv 2305.16213) trains its NeRF so: 0.02 to 0.98, later 0.02 to 0.5.

    Attributes:
        low: lower end of both ranges, in [0, 1].
        high: upper end before the switch, in [low, 1].
        then: upper end from the switch on, in [low, 1].
        at: progress of the switch, in [0, 1].
    """

    low: float = 0.02
    high: float = 0.98
    then: float = 0.5
    at: float = 0.5

    def __post_init__(self) -> None:
        if not (0 <= self.low <= min(self.high, self.then) and max(self.high, self.then) <= 1 and 0 <= self.at <= 1):
            raise ValueError(
                f"Switch needs 0 <= low <= high, low <= then, both <= 1, and at in [0, 1]: got {self}; try the defaults"
            )

    def __call__(self, progress: float, n: int, rng: Rng) -> Float[Tensor, "n"]:
        return Uniform(self.low, self.high if progress < self.at else self.then)(progress, n, rng)


_NORMAL = NormalDist()


@dataclass(frozen=True)
class DreamTime:
    """DreamTime (Huang et al. 2023, arXiv 2306.12422): times that fall from high to low, slowly where W is large.

    `integral of W from t to high = progress * integral of W from low to high`, so that a run's times are distributed
    as W: 1 between `slow_until` and `slow_from`, and Gaussian shoulders `exp(-(t - m)^2 / (2 s^2))` beyond, of width
    `noisy_width` above and `clean_width` below. Inverted in closed form, so it is a function of progress alone, the
    same for every item, and draws nothing (the original counts its own calls over a table of discrete steps).

    Attributes:
        high: time at progress 0.
        low: time at progress 1.
        slow_from: m1, upper end of the plateau (the authors: 800 of 1000 steps).
        slow_until: m2, lower end of the plateau (the authors: 500).
        noisy_width: s1, width of the shoulder above the plateau (the authors: 300).
        clean_width: s2, width of the shoulder below the plateau (the authors: 100).
    """

    high: float = 0.98
    low: float = 0.02
    slow_from: float = 0.8
    slow_until: float = 0.5
    noisy_width: float = 0.3
    clean_width: float = 0.1

    def __post_init__(self) -> None:
        ordered = 0 <= self.low <= self.slow_until <= self.slow_from <= self.high <= 1 and self.low < self.high
        if not (ordered and self.noisy_width > 0 and self.clean_width > 0):
            raise ValueError(
                f"DreamTime needs 0 <= low <= slow_until <= slow_from <= high <= 1, low < high and positive widths: "
                f"got {self}; try the defaults"
            )

    def __call__(self, progress: float, n: int, rng: Rng) -> Float[Tensor, "n"]:
        return torch.full((n,), self.time(progress))

    def time(self, progress: float) -> float:
        """Returns the time at this progress."""
        if progress <= 0 or progress >= 1:
            return self.high if progress <= 0 else self.low
        # tails of the unit normal beyond both ends, and the masses of the three pieces in units of t
        above = _NORMAL.cdf((self.slow_from - self.high) / self.noisy_width)
        below = _NORMAL.cdf((self.low - self.slow_until) / self.clean_width)
        noisy, clean = (math.sqrt(2 * math.pi) * width for width in (self.noisy_width, self.clean_width))
        first, plateau, last = noisy * (0.5 - above), self.slow_from - self.slow_until, clean * (0.5 - below)
        spent = progress * (first + plateau + last)
        left = (1 - progress) * (first + plateau + last)
        if spent < first:
            t = self.slow_from - self.noisy_width * _NORMAL.inv_cdf(above + spent / noisy)
        elif left < last:
            t = self.slow_until + self.clean_width * _NORMAL.inv_cdf(below + left / clean)
        else:
            t = self.slow_from - (spent - first)
        return min(max(t, self.low), self.high)
