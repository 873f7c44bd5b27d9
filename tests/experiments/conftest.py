"""Fixtures of the experiments' tests."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

FIGURES = {
    "toy2d": ("draw_panels", "draw_landscapes", "draw_animation"),
    "digits": ("draw_contact_sheets", "draw_animated_sheets"),
}


@pytest.fixture
def blank_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures of one pixel, for tests that are not about figures: drawing is most of the time of a small benchmark."""

    for module, names in FIGURES.items():
        for name in names:
            monkeypatch.setattr(f"modeseek.experiments.toy2d.{module}.{name}", draw_pixel)


def draw_pixel(*args: object) -> None:
    """Writes a figure of one pixel to the last argument."""
    assert isinstance(args[-1], Path)
    Image.new("RGB", (1, 1)).save(args[-1])


@pytest.fixture(scope="module")
def one_process() -> Iterator[None]:
    """Jobs run one after another in this process: each forked one would build its checks of shapes anew."""
    from modeseek.experiments.known_density import jobs as cloud_jobs  # imported before, nothing in them is checked
    from modeseek.experiments.toy2d import benchmark

    with pytest.MonkeyPatch.context() as patched:
        for module in (cloud_jobs, benchmark):
            patched.setattr(module, "run_in_processes", run_here)
        yield


def run_here(
    jobs: Mapping[str, Callable[[], Generator[Any, None, Any]]],
) -> Generator[tuple[str, Any], None, dict[str, Any]]:
    """As `run_in_processes`, without processes."""
    results = {}
    for name, job in jobs.items():
        running = job()
        while name not in results:
            try:
                yield name, next(running)
            except StopIteration as end:
                results[name] = end.value
    return results
