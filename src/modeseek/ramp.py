"""Scalar schedules over a run: hyperparameters that are functions of progress in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ramp:
    """Linear ramp from `start` at progress 0 to `end` at progress `until`, constant afterwards.

    Attributes:
        start: value at progress 0.
        end: value at progress `until` and beyond.
        until: progress at which `end` is reached, in (0, 1].
    """

    start: float
    end: float
    until: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and math.isfinite(self.end) and 0 < self.until <= 1):
            raise ValueError(
                f"Ramp needs finite ends and until in (0, 1]: got {self.start}, {self.end} and {self.until}"
            )

    def __call__(self, progress: float) -> float:
        return self.start + (self.end - self.start) * min(1.0, progress / self.until)


@dataclass(frozen=True)
class Fading:
    """Linear decay from `start` to 0 at progress `until`: jitter that explores like SDS, then refines like mean shift.

    Attributes:
        start: value at progress 0, as a share of the bandwidth, in [0, 1].
        until: progress at which 0 is reached, in (0, 1].
    """

    start: float = 1.0
    until: float = 0.6

    def __post_init__(self) -> None:
        if not (0 <= self.start <= 1 and 0 < self.until <= 1):
            raise ValueError(f"Fading needs start in [0, 1] and until in (0, 1]: got {self.start} and {self.until}")

    def __call__(self, progress: float) -> float:
        return self.start * max(0.0, 1 - progress / self.until)


@dataclass(frozen=True)
class Until:
    """Switch from `start` to `end` at progress `until`: jitter that explores with noise, then finishes as mean shift.

    Attributes:
        until: progress from which the value is `end`, in [0, 1].
        start: value before.
        end: value from then on.
    """

    until: float = 0.7
    start: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.until <= 1 and math.isfinite(self.start) and math.isfinite(self.end)):
            raise ValueError(
                f"Until needs until in [0, 1] and finite values: got {self.until}, {self.start} and {self.end}; try 0.7"
            )

    def __call__(self, progress: float) -> float:
        return self.start if progress < self.until else self.end


@dataclass(frozen=True)
class Hump:
    """Hump with a linear tail: `height beta(x) / max beta + tail x`, `beta(x) = x^(a - 1) (1 - x)^(b - 1)`.

    `x = reach progress`. DVRF's learning rate (Beaudouin et al. 2025, arXiv 2509.05342); the defaults are its values
    for 50 steps of Stable Diffusion 3.

    Attributes:
        height: height of the hump, >= 0.
        tail: slope of the tail, >= 0.
        a: first exponent, > 1.
        b: second exponent, > 1; the hump is highest at `x = (a - 1) / (a + b - 2)`.
        reach: x at progress 1, in (0, 1].
    """

    height: float = 0.0299
    tail: float = 0.0199
    a: float = 10.0
    b: float = 8.0
    reach: float = 0.636

    def __post_init__(self) -> None:
        if not (self.height >= 0 and self.tail >= 0 and self.a > 1 and self.b > 1 and 0 < self.reach <= 1):
            raise ValueError(
                f"Hump needs height and tail >= 0, a and b > 1 and reach in (0, 1]: got {self}; try the defaults"
            )

    def __call__(self, progress: float) -> float:
        x, peak = self.reach * progress, (self.a - 1) / (self.a + self.b - 2)
        hump = (x / peak) ** (self.a - 1) * ((1 - x) / (1 - peak)) ** (self.b - 1)
        return self.height * hump + self.tail * x


Varying = float | Callable[[float], float]
"""Constant, or function of progress in [0, 1]."""


def value_at(value: Varying, progress: float) -> float:
    """Returns the value at this progress."""
    return value(progress) if callable(value) else value
