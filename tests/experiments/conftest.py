"""Fixtures of the experiments' tests."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modeseek.experiments.known_density import jobs as cloud_jobs

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


@pytest.fixture(scope="module")
def one_process() -> Iterator[None]:
    """Jobs on clouds run one after another in this process: each forked one builds its checks of shapes anew."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cloud_jobs, "run_in_processes", run_here)
        yield


def run_here(jobs: Mapping[str, Callable[[], Generator[Any, None, Any]]]) -> Generator[tuple[str, Any], None, None]:
    """As `run_in_processes`, without processes."""
    for name, job in jobs.items():
        for item in job():
            yield name, item
