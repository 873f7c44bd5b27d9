"""How much noise MSD adds to its points: `jitter(progress) -> share` of the bandwidth, in [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass


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
