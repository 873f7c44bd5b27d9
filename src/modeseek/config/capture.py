"""Capture of an object, a transforms.json of nerfstudio, as a setting of photographs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from modeseek.datasets.captures import Capture, Framing, read_transforms
from modeseek.datasets.captures.framing import Up

_CENTRE = "photographs.capture.centre=[0,0,0]"


@dataclass(frozen=True)
class CaptureConfig:
    """Photographs with the poses and lenses of their cameras, listed by a transforms.json.

    Each is resampled for a square pinhole camera at its position that looks at the centre of the object, without
    distortion. What a photograph does not show, or its mask excludes, does not count; a photograph that shows nothing
    around the object is left out.

    Attributes:
        file: transforms.json of nerfstudio, instant-ngp or the synthetic NeRF data.
        up: direction in its world that points up: an axis, or auto, the vertical of cameras that are held level.
        front: azimuth from which the front of the object is seen, degrees; 0 is the front view of Blender, from -y
            towards +y where z is up, and 90 is from +x.
        centre: centre of the object in the file's world; null is the point nearest to all optical axes.
        scale: world units of the shape, whose views are 2.4 wide, per unit of the file; null is the one with which the
            shorter side of the photographs is as wide at the centre as the views of the shape.
        held_out: number of photographs, evenly spaced in the list, that the shape is not fitted to: for comparison.
    """

    file: Path
    up: Up = "auto"
    front: float = 0.0
    centre: tuple[float, float, float] | None = None
    scale: float | None = None
    held_out: int = 0

    def __post_init__(self) -> None:
        if self.up not in get_args(Up):
            raise ValueError(f"up of a capture must be {', '.join(get_args(Up))}, got {self.up!r:.20}")
        if not math.isfinite(self.front) or not all(map(math.isfinite, self.centre or ())):
            raise ValueError(
                f"front and centre of a capture must be finite, got {self.front} and {self.centre}; try {_CENTRE}"
            )
        if self.scale is not None and not 0 < self.scale < math.inf:
            raise ValueError(f"scale of a capture must be positive and finite, got {self.scale:g}; try 1")
        if self.held_out < 0:
            raise ValueError(f"held_out of a capture must be at least 0, got {self.held_out}; try 4")

    def load(self, span: float) -> tuple[Capture, Framing]:
        """Reads the file, and frames the object for views that are `span` wide at the origin to each side.

        Raises:
            ValueError: the file is damaged, or the object cannot be framed.
            OSError: a file cannot be read.
        """
        capture = read_transforms(self.file)
        return capture, Framing.fit(capture, span, self.up, self.front, self.centre, self.scale)

    def is_held_out(self, n: int) -> tuple[bool, ...]:
        """Whether each of n photographs is held out: the middles of `held_out` equal parts.

        Raises:
            ValueError: all would be.
        """
        if self.held_out >= n:
            raise ValueError(
                f"held_out of a capture must be below the number of photographs in {self.file}, {n}, got "
                f"{self.held_out}; try {n // 6}"
            )
        chosen = {(2 * k + 1) * n // (2 * self.held_out) for k in range(self.held_out)}
        return tuple(k in chosen for k in range(n))
