"""Guard against collapsed renderings: black, constant or saturated images fail a run early."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from modeseek.config.config import GuardConfig
from modeseek.runs.interrupts import RunFailed

_ADVICE = {
    "vanished": "lower the learning rate, raise the initial density or weaken the sparsity penalty",
    "constant": "lower the learning rate, start closer to an image or use higher noise levels first",
    "saturated": "lower the guidance scale or the learning rate",
}
_EDGE = 0.5 / 255


@dataclass(frozen=True)
class GuardState:
    """State of the guard between steps.

    Attributes:
        lived: True once any rendering was healthy.
        kind: failure of the current rendering: vanished, constant or saturated; empty if healthy.
        streak: number of consecutive steps with this failure.
    """

    lived: bool = False
    kind: str = ""
    streak: int = 0

    def update(self, image: Tensor, guard: GuardConfig, index: int, steps: int) -> GuardState:
        """State after a rendering, (b, *d) pixels in [0, 1].

        Raises:
            RunFailed: renderings have failed for `guard.patience` consecutive steps.
        """
        kind, item, measure = detect_failure(image, guard)
        if not kind:
            return GuardState(lived=True)
        if not self.lived and kind != "saturated" and index < guard.grace * steps:
            return self
        streak = self.streak + 1 if kind == self.kind else 1
        if streak >= guard.patience:
            raise RunFailed(
                f"the rendering {'is ' if kind != 'vanished' else ''}{kind} at step {index}, item {item} ({measure}), "
                f"for {streak} steps in a row; {_ADVICE[kind]}"
            )
        return GuardState(self.lived, kind, streak)


def detect_failure(image: Tensor, guard: GuardConfig) -> tuple[str, int, str]:
    """Failure of the first failing item: vanished (black), constant or saturated; its index and the measurement.

    The failure is empty if all items are healthy.
    """
    flat = image.flatten(1)
    low, high = flat.amin(1), flat.amax(1)
    span = (high - low).tolist()
    clipped = ((flat <= _EDGE) | (flat >= 1 - _EDGE)).to(torch.float32).mean(1).tolist()
    for item, (width, top, share) in enumerate(zip(span, high.tolist(), clipped, strict=True)):
        if width <= guard.constant:
            black = top <= guard.constant
            measure = f"the largest pixel is {top:.3g}" if black else f"all pixels lie within {width:.2g}"
            return "vanished" if black else "constant", item, measure
        if share >= guard.saturated:
            return "saturated", item, f"{100 * share:.1f} % of the pixels are at or beyond 0 and 1"
    return "", 0, ""
