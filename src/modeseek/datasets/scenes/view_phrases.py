"""What a caption says of the camera: coarsely in the field's phrases, or in steps of fifteen degrees."""

from __future__ import annotations

from dataclasses import dataclass

COARSE_PHRASES: tuple[str, ...] = ("front view", "side view", "back view", "overhead view")
AZIMUTH_STEP = 15
AZIMUTHS: tuple[int, ...] = tuple(range(-165, 181, AZIMUTH_STEP))
# Word -> elevations [from, to) in degrees.
HEIGHTS: dict[str, tuple[float, float]] = {
    "slightly below": (-20.0, -7.5),
    "at eye level": (-7.5, 7.5),
    "slightly above": (7.5, 30.0),
    "above": (30.0, 55.0),
    "high above": (55.0, 80.0),
}
OVERHEAD_ELEVATION = HEIGHTS["high above"][0]


@dataclass(frozen=True)
class ViewPhrase:
    """A view phrase: either `name`, one of `COARSE`, or `azimuth` (a multiple of 15 in (-180, 180]) with `height`.

    Raises:
        ValueError: neither or both are given, or a word is not in the vocabulary.
    """

    name: str | None = None
    azimuth: int | None = None
    height: str | None = None

    def __post_init__(self) -> None:
        fine = self.azimuth in AZIMUTHS and self.height in HEIGHTS
        coarse = self.name in COARSE_PHRASES and self.azimuth is None and self.height is None
        if not (coarse or (fine and self.name is None)):
            raise ValueError(f"a view is one of {COARSE_PHRASES}, or an azimuth of 15-degree steps and a height; got {self}")

    @property
    def phrase(self) -> str:
        """As a caption says it: "side view", "from 30 degrees left, slightly above", "from the back, at eye level"."""
        if self.azimuth is None:
            return f"{self.name}"
        if self.azimuth in (0, 180):
            return f"from the {'back' if self.azimuth else 'front'}, {self.height}"
        return f"from {abs(self.azimuth)} degrees {'right' if self.azimuth > 0 else 'left'}, {self.height}"

    def describes(self, azimuth: float, elevation: float) -> bool:
        """Whether a camera there (degrees) is truly described by this phrase."""
        if self.azimuth is None:
            return self == coarse_phrase(azimuth, elevation)
        return self == fine_phrase(azimuth, elevation)


def coarse_phrase(azimuth: float, elevation: float) -> ViewPhrase:
    """Overhead from 55 degrees up (DreamFusion, arXiv 2209.14988, takes 60), else by quarters of the circle."""
    off = abs((azimuth + 180) % 360 - 180)
    if elevation >= OVERHEAD_ELEVATION:
        return ViewPhrase("overhead view")
    return ViewPhrase(COARSE_PHRASES[0] if off < 45 else COARSE_PHRASES[1] if off < 135 else COARSE_PHRASES[2])


def fine_phrase(azimuth: float, elevation: float) -> ViewPhrase:
    """The nearest fifteen degrees and the word for the height; elevations beyond the words take the nearest one."""
    steps = round(azimuth / AZIMUTH_STEP) % (360 // AZIMUTH_STEP)
    nearest = steps * AZIMUTH_STEP if steps <= 180 // AZIMUTH_STEP else steps * AZIMUTH_STEP - 360
    names = list(HEIGHTS)
    above = sum(elevation >= HEIGHTS[name][0] for name in names)
    return ViewPhrase(azimuth=nearest, height=names[max(above - 1, 0)])


VIEW_PHRASES: dict[str, ViewPhrase] = {
    view.phrase: view
    for view in [ViewPhrase(name) for name in COARSE_PHRASES]
    + [ViewPhrase(azimuth=a, height=h) for a in AZIMUTHS for h in HEIGHTS]
}
