"""Folders and files as people have them: every row of the page on weights and kinds, through doctor and a load."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from modeseek.priors.pipeline import Pipeline
from modeseek.priors.pipeline.requirements import read_requirements

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
from which_models.incomplete import INCOMPLETE  # noqa: E402
from which_models.row import ModelRow, Section  # noqa: E402
from which_models.variants import VARIANTS  # noqa: E402
from which_models.wrong_kinds import WRONG_KINDS  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
LOSSY = ("only `fp16`", "only `bf16`", "`fp16` network")  # rounded by the row itself
OTHER = ("SD3 without T5",)  # texts are encoded otherwise, as in diffusers


def prediction(path: Path) -> Tensor:
    """Prediction of a loaded pipeline for two texts."""
    prior = Pipeline.load(path, cache=None, size=16)
    z = torch.randn(2, *prior.shape, generator=torch.Generator().manual_seed(3))
    return prior(z, torch.tensor([0.3, 0.8]), prior.encode(["red", "a cube"])).eps


@pytest.fixture(scope="module")
def expected(folder: Callable[[str], Path]) -> Callable[[str], Tensor]:
    """Predictions of the pipelines as they were saved."""
    known: dict[str, Tensor] = {}

    def get(name: str) -> Tensor:
        if name not in known:
            known[name] = prediction(folder(name))
        return known[name]

    return get


def rows(*sections: Section) -> list[ModelRow]:
    found = [row for section in sections for row in section.rows]
    assert len({row.what for row in found}) == len(found)
    return found


def changed(row: ModelRow, path: Path, place: Path) -> Path:
    """A changed copy of a pipeline's folder, or the file that the row puts there."""
    copy = place / "model"
    shutil.copytree(path, copy)
    row.change(copy)
    files = [file for file in place.iterdir() if file.is_file() and file.name.startswith("x.")]
    return files[0] if files else copy


def refused(call: Callable[[], object], line: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert line in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700


@pytest.mark.slow
@pytest.mark.parametrize("row", rows(VARIANTS, INCOMPLETE, WRONG_KINDS), ids=lambda row: row.what)
def test_rows_of_model_folders(
    row: ModelRow, folder: Callable[[str], Path], expected: Callable[[str], Tensor], tmp_path: Path
) -> None:
    path = changed(row, folder(row.base), tmp_path)
    if row.line:
        refused(lambda: read_requirements(path, size=16), row.line)
        refused(lambda: Pipeline.load(path, cache=tmp_path / "cache", size=16), row.line)
        assert not (tmp_path / "cache").exists(), "refused before anything is encoded"
        return
    found = prediction(path)
    if not row.what.startswith(OTHER):
        rounding = 0.05 if row.what.startswith(LOSSY) else 1e-6
        assert (found - expected(row.base)).abs().max() < rounding
