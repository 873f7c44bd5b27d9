"""Finished trainings, made once for all tests of the tools."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_training import fabricate_icons, train_tiny


@pytest.fixture(scope="session")
def icons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with packages of fabricated drawings."""
    return fabricate_icons(tmp_path_factory.mktemp("icons"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, icons: Path) -> dict[str, Path]:
    """Uninterrupted trainings of both priors; tests copy them."""
    folder = tmp_path_factory.mktemp("trained")
    return {prior: train_tiny(prior, folder / prior, icons) for prior in ("scenes", "emoji")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tiny trainings know few words, and their sample grids are of everyday ones: the remark on it is no error."""
    ignored = pytest.mark.filterwarnings("ignore:.*does not know:modeseek.io.remarks.RemarkWarning")
    for item in items:
        if "tests/tools/" in item.path.as_posix():
            item.add_marker(ignored)
