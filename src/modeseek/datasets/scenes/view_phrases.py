"""View phrases of captions: coarse ones such as "side view", and fine ones in steps of 15 degrees."""

from __future__ import annotations

from dataclasses import dataclass

from modeseek.generators.camera import wrap_degrees

COARSE_PHRASES: tuple[str, ...] = ("front view", "side view", "back view", "overhead view")
AZIMUTH_STEP = 15  # degrees
AZIMUTHS: tuple[int, ...] = tuple(range(-165, 181, AZIMUTH_STEP))
# Elevation word -> elevation range [low, high), degrees.
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
    """View phrase: coarse by `name`, or fine by `azimuth` and `height`.

    Attributes:
        name: one of `COARSE_PHRASES`, or None.
        azimuth: azimuth in degrees, one of `AZIMUTHS`, or None.
        height: elevation word, a key of `HEIGHTS`, or None.

    Raises:
        ValueError: neither or both forms are given, or a value is outside the vocabulary.
    """

    name: str | None = None
    azimuth: int | None = None
    height: str | None = None

    def __post_init__(self) -> None:
        fine = self.azimuth in AZIMUTHS and self.height in HEIGHTS
        coarse = self.name in COARSE_PHRASES and self.azimuth is None and self.height is None
        if not (coarse or (fine and self.name is None)):
            raise ValueError(
                f"view must be one of {COARSE_PHRASES}, or an azimuth in 15-degree steps with a height, got {self}"
            )

    @property
    def phrase(self) -> str:
        """Text in a caption: "side view", "from 30 degrees left, slightly above", "from the back, at eye level"."""
        if self.azimuth is None:
            return f"{self.name}"
        if self.azimuth in (0, 180):
            return f"from the {'back' if self.azimuth else 'front'}, {self.height}"
        return f"from {abs(self.azimuth)} degrees {'right' if self.azimuth > 0 else 'left'}, {self.height}"

    def describes(self, azimuth: float, elevation: float) -> bool:
        """Whether the phrase describes a camera at this azimuth and elevation, degrees."""
        if self.azimuth is None:
            return self == coarse_phrase(azimuth, elevation)
        return self == fine_phrase(azimuth, elevation)


def coarse_phrase(azimuth: float, elevation: float) -> ViewPhrase:
    """Coarse phrase of a camera: overhead from 55 degrees up (DreamFusion, arXiv 2209.14988: 60), else by azimuth."""
    from_front = abs(wrap_degrees(azimuth))
    if elevation >= OVERHEAD_ELEVATION:
        return ViewPhrase("overhead view")
    return ViewPhrase(
        COARSE_PHRASES[0] if from_front < 45 else COARSE_PHRASES[1] if from_front < 135 else COARSE_PHRASES[2]
    )


def fine_phrase(azimuth: float, elevation: float) -> ViewPhrase:
    """Fine phrase of a camera: nearest 15 degrees and elevation word; elevations outside take the nearest word."""
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
