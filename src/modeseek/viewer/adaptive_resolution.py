"""Adaptive rendering resolution, from the measured time of recent frames."""

from __future__ import annotations


class AdaptiveResolution:
    """Side of square frames, chosen so that one takes about a target time to render.

    Time is assumed proportional to the number of pixels: after a frame of side s in t seconds the next side is half of
    the way, in logarithms, to `s sqrt(seconds / t)`, so that one slow frame does not blur many.

    Args:
        seconds: target time per frame, seconds, > 0.
        least: minimum side, pixels.
        first: side of the first frame, pixels.
    """

    def __init__(self, seconds: float = 0.08, least: int = 48, first: int = 96) -> None:
        self._target, self._least = seconds, least
        self._side = float(first)
        self._average: float | None = None

    def size(self, most: int) -> int:
        """Side of the next frame, at most `most` pixels."""
        return min(most, max(self._least, round(self._side)))

    def record(self, size: int, seconds: float) -> None:
        """Records the rendering time of a frame of side `size`, in seconds."""
        elapsed = max(seconds, 1e-4)
        ideal = size * (self._target / elapsed) ** 0.5
        self._side = max(float(self._least), (self._side * ideal) ** 0.5)
        self._average = elapsed if self._average is None else 0.7 * self._average + 0.3 * elapsed

    @property
    def rate(self) -> float | None:
        """Recent frame rate, frames per second; None before the first frame."""
        return None if self._average is None else 1 / self._average
