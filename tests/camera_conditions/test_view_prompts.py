"""View prompts: the text of each camera."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import modeseek as ms


class Letters:
    """A prior whose condition of a text is the text itself, letter by letter."""

    def conditions(self, texts: Sequence[str], negative: Sequence[str] | None = None) -> ms.Conditions:
        def encode(rows: Sequence[str]) -> Tensor:
            return torch.tensor([[ord(c) for c in row.ljust(64)] for row in rows])

        return ms.Conditions(encode(texts), null=encode([""]), negative=None if negative is None else encode(negative))


def decode(cond: Tensor) -> list[str]:
    return ["".join(chr(int(c)) for c in row).rstrip() for row in cond]


def oracle(azimuth: float, elevation: float) -> str:
    """By the angle between two directions on the circle."""
    if elevation > 60:
        return "overhead view"
    facing = math.degrees(math.acos(max(-1.0, min(1.0, math.cos(math.radians(azimuth))))))
    return "front view" if facing <= 45 else "back view" if facing >= 135 else "side view"


@given(st.lists(st.tuples(st.floats(-1000, 1000), st.floats(-90, 90), st.integers(0, 1)), min_size=1, max_size=6))
def test_every_camera_gets_the_prompt_of_its_view(cameras: list[tuple[float, float, int]]) -> None:
    cameras = [(a, e, i) for a, e, i in cameras if all(abs((a + b) % 90 - 45) > 1e-6 for b in (0, 90))]
    if not cameras:
        return
    azimuth, elevation, item = (torch.tensor(part, dtype=torch.float64) for part in zip(*cameras, strict=True))
    conditions = ms.ViewPrompts().encode(Letters(), ["a dog", "a robot"], "blurry")
    found = conditions.at(azimuth, elevation, item.long())
    want = [f"{('a dog', 'a robot')[i]}, {oracle(a, e)}" for a, e, i in cameras]
    assert decode(found.positive) == want
    assert decode(found.null) == [""] and decode(found.negative) == ["blurry"]


def test_custom_phrases_and_angles() -> None:
    prompts = ms.ViewPrompts(back="from behind", back_within=30.0, front_within=30.0, before=True, overhead_above=90.0)
    conditions = prompts.encode(Letters(), ["a dog"])
    azimuth = torch.tensor([0.0, 31.0, 149.0, 151.0, -179.0, 390.0])
    found = decode(conditions.at(azimuth, torch.full((6,), 89.0)).positive)
    sides = ["front view", "side view", "side view", "from behind", "from behind", "front view"]
    assert found == [f"{side}, a dog" for side in sides]
    assert conditions.conditions.negative is None


def test_invalid_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to 180"):
        ms.ViewPrompts(front_within=100.0, back_within=100.0)
    with pytest.raises(ValueError, match="at least one prompt"):
        ms.ViewPrompts().encode(Letters(), [])
    conditions = ms.ViewPrompts().encode(Letters(), ["a dog"])
    with pytest.raises(ValueError, match=r"must be in \[0, 1\), got"):
        conditions.at(torch.zeros(1), torch.zeros(1), torch.tensor([1]))
