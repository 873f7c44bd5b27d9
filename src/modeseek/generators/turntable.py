"""Default resolution of the film of a 3D generator that turns."""

from __future__ import annotations

from typing import NamedTuple

from modeseek.io.video import FilmFormat

_SECONDS = 4  # of a full turn
_LEAST, _MOST, _FACTOR = 128, 256, 4  # side on a CPU: four times that of the run's renders, within these bounds


class TurntableSize(NamedTuple):
    """Resolution of a turntable.

    Attributes:
        size: side of a frame, pixels.
        frames: number of frames of a full turn.
    """

    size: int
    frames: int

    @property
    def fps(self) -> int:
        """Frames per second, so that a turn takes four seconds."""
        return turn_fps(self.frames)


def turn_fps(frames: int) -> int:
    """Returns the frames per second of a full turn that takes four seconds."""
    return max(1, round(frames / _SECONDS))


def default_turntable(side: int, on_cpu: bool, film: FilmFormat) -> TurntableSize:
    """Returns the resolution of the turntable that a run exports.

    On an accelerator an MP4 has 120 frames of 512 pixels. Volume rendering of those takes 30 to 60 s on two CPU cores
    (0.46 s a frame on one, 0.11 s at 256 pixels), so a CPU makes 72 frames of at most 256 pixels, some 8 s; `modeseek
    render RUN --size 512 --frames 120` makes others. A GIF, far larger per frame, has 36 frames of at most 256 pixels
    everywhere.

    Args:
        side: side of the renders of the run, pixels.
        on_cpu: whether a CPU renders.
        film: format of the film.
    """
    small = min(max(_LEAST, _FACTOR * side), _MOST)
    if film == "gif":
        return TurntableSize(small, 36)
    return TurntableSize(small, 72) if on_cpu else TurntableSize(512, 120)
