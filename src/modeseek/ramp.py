"""A number that moves along a run, for options that are functions of progress."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ramp:
    """From `start` linearly to `end` at `until` of the run, and `end` from there on.

    Attributes:
        start: value at progress 0.
        end: value from `until` on.
        until: share of the run in (0, 1].
    """

    start: float
    end: float
    until: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and math.isfinite(self.end) and 0 < self.until <= 1):
            raise ValueError(
                f"Ramp needs finite ends and until in (0, 1]: got {self.start}, {self.end} and {self.until}; fix them"
            )

    def __call__(self, progress: float) -> float:
        return self.start + (self.end - self.start) * min(1.0, progress / self.until)


@dataclass(frozen=True)
class Fading:
    """From `start` linearly to none at `until` of the run: explore like SDS first, refine like mean shift last.

    Attributes:
        start: share of the bandwidth at the beginning.
        until: share of the run after which there is none.
    """

    start: float = 1.0
    until: float = 0.6

    def __post_init__(self) -> None:
        if not (0 <= self.start <= 1 and 0 < self.until <= 1):
            raise ValueError(f"Fading needs start in [0, 1] and until in (0, 1]: got {self.start} and {self.until}")

    def __call__(self, progress: float) -> float:
        return self.start * max(0.0, 1 - progress / self.until)


Varying = float | Callable[[float], float]
"""A number, or a function of progress."""


def value_at(value: Varying, progress: float) -> float:
    """The number at this point of the run."""
    return value(progress) if callable(value) else value
