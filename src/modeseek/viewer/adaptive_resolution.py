"""How large a picture may be to be ready in time: learned from how long the last ones took."""

from __future__ import annotations


class AdaptiveResolution:
    """Sides of pictures, chosen so that one takes about as long as wanted.

    Time is taken to grow with the number of pixels, so after a picture of side s in t seconds the next has a side of
    `s sqrt(seconds / t)`, half of the way there in logarithms, so that one slow picture does not blur many.

    Args:
        seconds: that a picture may take.
        least: side, pixels.
        first: side of the first.
    """

    def __init__(self, seconds: float = 0.08, least: int = 48, first: int = 96) -> None:
        self._seconds, self._least = seconds, least
        self._side = float(first)
        self._taken: float | None = None

    def size(self, most: int) -> int:
        """The next side, at most `most` pixels."""
        return min(most, max(self._least, round(self._side)))

    def record(self, size: int, seconds: float) -> None:
        """Learns that a picture of that side took so long."""
        told = max(seconds, 1e-4)
        wanted = size * (self._seconds / told) ** 0.5
        self._side = max(float(self._least), (self._side * wanted) ** 0.5)
        self._taken = told if self._taken is None else 0.7 * self._taken + 0.3 * told

    @property
    def rate(self) -> float | None:
        """Pictures a second, lately; None before the first."""
        return None if self._taken is None else 1 / self._taken
