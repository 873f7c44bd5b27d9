"""Fixtures of the tests of pipelines: small pipelines of every family, saved once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # imported here, before the hook of jaxtyping, nothing in it would be checked
    from modeseek.priors.pipeline import Pipeline


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folders of saved pipelines by family, made once; tests change copies of them."""
    import tiny  # needs diffusers

    return tiny.kept(tmp_path_factory.mktemp("pipelines"))


@pytest.fixture
def changed(folder: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """Copy of a pipeline with changes, in a folder of the same name."""

    def make(base: str, *changes: Callable[[Path], None]) -> Path:
        copy = Path(shutil.copytree(folder(base), tmp_path / str(len(list(tmp_path.iterdir()))) / base))
        for change in changes:
            change(copy)
        return copy

    return make


@pytest.fixture(scope="module")
def loaded(folder: Callable[[str], Path]) -> Callable[..., Pipeline]:
    """Pipelines, loaded once; prompts are cached in memory."""
    import tiny  # needs diffusers

    priors: dict[Any, Pipeline] = {}

    def get(name: str, long_prompts: Any = "cut") -> Pipeline:
        if (name, long_prompts) not in priors:
            priors[name, long_prompts] = tiny.load(folder(name), long_prompts=long_prompts)
        return priors[name, long_prompts]

    return get
