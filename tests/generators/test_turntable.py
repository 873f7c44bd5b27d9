"""Default resolution of the turntable of a run."""

from __future__ import annotations

from typing import Any

import pytest

from modeseek.generators.turntable import default_turntable


@pytest.mark.parametrize(
    ("side", "on_cpu", "film", "want"),
    [
        (64, False, "mp4", (512, 120, 30)),
        (64, True, "mp4", (256, 72, 18)),
        (16, True, "mp4", (128, 72, 18)),
        (40, True, "mp4", (160, 72, 18)),
        (512, True, "mp4", (256, 72, 18)),
        (512, False, "gif", (256, 36, 9)),
    ],
)
def test_a_turn_takes_four_seconds_at_what_the_device_renders(
    side: int, on_cpu: bool, film: Any, want: tuple[int, int, int]
) -> None:
    turn = default_turntable(side, on_cpu, film)
    assert (turn.size, turn.frames, turn.fps) == want
