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
