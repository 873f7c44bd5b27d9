"""Nested dropout: numbers of paths that are drawn, and drawings of their first paths alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cases import one_line
from vector_drawings import wild

import modeseek as ms
from modeseek.generators.vector.nested import NestedDropout, keep_first
from modeseek.generators.vector.paint import paint

SIZE = (12, 16)


def test_numbers_of_paths_are_uniform_from_the_least() -> None:
    draws = NestedDropout(probability=0.5, least=3).draw(6000, 6, torch.Generator().manual_seed(0))
    shares = [draws.count(k) / 6000 for k in range(8)]
    assert shares[0] == shares[1] == shares[2] == shares[7] == 0
    assert shares[3:6] == pytest.approx([0.125] * 3, abs=0.02) and shares[6] == pytest.approx(0.625, abs=0.03)
    assert set(NestedDropout(probability=0.0).draw(50, 6, ms.Streams(0))) == {6}
    assert min(NestedDropout(probability=1.0, least=9).draw(50, 6, ms.Streams(0))) == 6, "no more than there are"
    rows = NestedDropout().draw(4, 9, ms.Streams(0, items=(0, 1, 2, 3)))
    assert rows[2:] == NestedDropout().draw(2, 9, ms.Streams(0, items=(2, 3))), "a stream for each item"


def test_a_prefix_is_the_drawing_of_its_paths() -> None:
    paths = wild(2, 3, 2)
    images = paint(keep_first(paths, (2, 4)), SIZE)
    for item, keep in enumerate((2, 4)):
        one = paths.select([item])
        opacity = torch.zeros(1, 5, dtype=torch.float64)
        for slot in one.order[0, :keep].tolist():
            opacity[0, slot] = one.colors[0, slot, 3]
        plain = replace(one, colors=torch.cat([one.colors[..., :3], opacity[..., None]], -1))
        assert torch.allclose(images[item], paint(plain, SIZE)[0], atol=1e-12)
    assert torch.equal(paint(keep_first(paths, (5, 5)), SIZE), paint(paths, SIZE))


@pytest.mark.parametrize("settings", [{"probability": 1.5}, {"probability": float("nan")}, {"least": 0}])
def test_settings_are_checked(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="nested dropout needs") as caught:
        NestedDropout(**settings)  # pyright: ignore[reportArgumentType]
    one_line(caught.value)
