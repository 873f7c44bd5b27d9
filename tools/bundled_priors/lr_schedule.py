"""Learning-rate schedule over a stage whose length is a time or a number of steps."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field


@dataclass
class TrainingClock:
    """Training time across all sessions.

    Attributes:
        before: seconds spent in earlier sessions.
    """

    before: float = 0.0
    _began: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self.before + time.perf_counter() - self._began


@dataclass(frozen=True)
class StageDuration:
    """Length of a stage, by time or by steps.

    Attributes:
        begin: training time at its start, seconds.
        end: training time at its end, seconds.
        steps: number of steps, or None for a length by time.
    """

    begin: float
    end: float
    steps: int | None = None

    def progress(self, step: int, seconds: float) -> float:
        """Completed share of the stage, in [0, 1]."""
        if self.steps is not None:
            return min(1.0, step / max(1, self.steps))
        return min(1.0, max(0.0, (seconds - self.begin) / max(1e-9, self.end - self.begin)))


def learning_rate(progress: float, last: float, peak: float, warm: int) -> float:
    """Learning rate `peak cos^2(pi progress / 2)`, rising by at most `peak / warm` per step from the last rate.

    This warms up at the start, and again when a larger budget raises the curve.
    """
    return min(0.5 * peak * (1 + math.cos(math.pi * progress)), last + peak / warm)
