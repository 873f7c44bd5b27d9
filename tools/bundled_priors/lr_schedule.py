"""How far a stage is, by the clock or by its steps, and the learning rate that follows from it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field


@dataclass
class TrainingClock:
    """Seconds spent in all sittings.

    Attributes:
        before: spent in earlier ones.
    """

    before: float = 0.0
    _began: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Until now."""
        return self.before + time.perf_counter() - self._began


@dataclass(frozen=True)
class StageDuration:
    """A stage's length.

    Attributes:
        begin: seconds on the clock when it began.
        end: seconds on the clock when it shall end.
        steps: its steps instead, where they are told; then the clock plays no part.
    """

    begin: float
    end: float
    steps: int | None = None

    def progress(self, step: int, seconds: float) -> float:
        """Share of the stage that is done, in [0, 1]."""
        if self.steps is not None:
            return min(1.0, step / max(1, self.steps))
        return min(1.0, max(0.0, (seconds - self.begin) / max(1e-9, self.end - self.begin)))


def learning_rate(progress: float, last: float, peak: float, warm: int) -> float:
    """`peak cos^2(pi progress / 2)`, reached from the last rate in steps of at most `peak / warm`.

    So it warms up at the start, and again when a larger budget raises the curve.
    """
    return min(0.5 * peak * (1 + math.cos(math.pi * progress)), last + peak / warm)
