"""Fixtures of the experiments' tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

FIGURES = {
    "toy2d": ("draw_panels", "draw_landscapes", "draw_animation"),
    "digits": ("draw_contact_sheets", "draw_animated_sheets"),
}


@pytest.fixture
def blank_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures of one pixel, for tests that are not about figures: drawing is most of the time of a small benchmark."""

    def draw(*args: object) -> None:
        assert isinstance(args[-1], Path)
        Image.new("RGB", (1, 1)).save(args[-1])

    for module, names in FIGURES.items():
        for name in names:
            monkeypatch.setattr(f"modeseek.experiments.toy2d.{module}.{name}", draw)
