"""LoRA and textual inversions of the page "Which models work"."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from modeseek.priors.pipeline import LoRA, Pipeline, TextualInversion
from modeseek.pytree import flatten

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
from which_models.added_files import ADDED_FILES  # noqa: E402
from which_models.row import ModelRow  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.mark.slow
@pytest.mark.parametrize("row", ADDED_FILES.rows, ids=lambda row: row.what)
def test_rows_of_added_files(row: ModelRow, folder: Callable[[str], Path], tmp_path: Path) -> None:
    row.change(tmp_path)
    (file,) = tmp_path.iterdir()
    lora = file.name == "lora.safetensors"
    loras, embeddings = ([LoRA(str(file))], []) if lora else ([], [TextualInversion(str(file), "<x>")])

    def load() -> Pipeline:
        prior = Pipeline.load(folder(row.base), loras=loras, embeddings=embeddings, cache=None, size=16)
        prior.encode(["a <x>"])
        return prior

    if row.line:
        with pytest.raises(ValueError) as caught:
            load()
        assert row.line in str(caught.value) and str(file) in str(caught.value) and "\n" not in str(caught.value)
        return
    prior, plain = load(), Pipeline.load(folder(row.base), cache=None, size=16)
    weights = [dict(p.network.named_parameters()) for p in (prior, plain)]
    changed = any((weights[0][name] != weights[1][name]).any() for name in weights[0])
    texts = [flatten(p.encode(["a <x>"])) for p in (prior, plain)]
    assert changed or any((a - b).abs().max() > 1e-4 for a, b in zip(*texts, strict=True) if a.is_floating_point())
