"""Pipelines by their names on the hub: one set of weights per component, its cache, and what is never asked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from modeseek.priors.pipeline.hub import needed_files
from modeseek.priors.pipeline.loading import find_pipeline

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
import tiny  # noqa: E402 - needs diffusers
from which_models.weights import as_variant  # noqa: E402

STEM = "diffusion_pytorch_model"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make("sd", tmp_path_factory.mktemp("pipelines"))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a pipeline to change."""
    return lambda name: Path(shutil.copytree(folder, tmp_path / name))


REPOSITORY = (
    *(
        "model_index.json",
        "README.md",
        "v1-5-pruned.safetensors",
        "v1-5-pruned.ckpt",
        "scheduler/scheduler_config.json",
    ),
    *(f"unet/{STEM}{end}" for end in (".safetensors", ".fp16.safetensors", ".non_ema.safetensors", ".bin")),
    *("unet/config.json", "vae/config.json", f"vae/{STEM}.fp16.safetensors", f"vae/{STEM}.fp32.safetensors"),
    *("text_encoder/config.json", "text_encoder/model.safetensors.index.json"),
    *("text_encoder/model.safetensors.index.fp16.json", "text_encoder/model-00001-of-00002.safetensors"),
    *("text_encoder/model-00002-of-00002.safetensors", "text_encoder/model.fp16-00001-of-00001.safetensors"),
    *("tokenizer/vocab.json", "tokenizer/merges.txt", "tokenizer_2/spiece.model"),
    *("safety_checker/config.json", "safety_checker/model.safetensors"),
)


def test_one_set_of_weights_per_component_is_downloaded() -> None:
    wanted = set(needed_files(REPOSITORY, torch.float16))
    assert {name for name in wanted if name.endswith(".safetensors")} == {
        f"unet/{STEM}.safetensors",
        f"vae/{STEM}.fp16.safetensors",
        "text_encoder/model-00001-of-00002.safetensors",
        "text_encoder/model-00002-of-00002.safetensors",
    }
    small = {name for name in REPOSITORY if name.endswith((".json", ".txt", ".model"))}
    assert small <= wanted and not any(name.endswith((".bin", ".ckpt")) for name in wanted)


class _Hub:
    """A hub with one repository, whose files are those of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.patterns: list[str] = []

    def model_info(self, name: str) -> SimpleNamespace:
        files = [str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()]
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=file) for file in files])

    def snapshot_download(self, name: str, allow_patterns: list[str]) -> str:
        self.patterns = allow_patterns
        return str(self.folder)


def test_a_repository_is_found_by_its_name(copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    path = copy("sd")
    as_variant("unet", "fp16", torch.float16, keep=True)(path)
    hub = _Hub(path)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)
    assert find_pipeline("someone/model").folder == path
    assert f"unet/{STEM}.safetensors" in hub.patterns and f"unet/{STEM}.fp16.safetensors" not in hub.patterns
    (path / "model_index.json").unlink()
    with pytest.raises(ValueError, match="someone/model on the hub is no diffusers pipeline"):
        find_pipeline("someone/model")


class _NoHub(_Hub):
    """A hub that cannot be reached."""

    def model_info(self, name: str) -> SimpleNamespace:
        raise RuntimeError("no route to host")


@pytest.mark.parametrize("cached", [False, True])
def test_without_a_network_the_hubs_cache_is_read(
    cached: bool, copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    path = copy("sd")

    def cache(name: str, local_files_only: bool) -> str:
        assert local_files_only
        if not cached:
            raise LocalEntryNotFoundError("not there")
        return str(path)

    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: _NoHub(path))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", cache)
    if cached:
        assert find_pipeline("someone/model").folder == path
        return
    with pytest.raises(
        ValueError, match="neither a local folder nor reachable on the hub, .*no route to host"
    ) as caught:
        find_pipeline("someone/model")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["models/x.safetensors", "./someone/model", "a/b/c", "/nowhere", "scenery"])
def test_what_is_no_repository_is_not_asked_of_the_hub(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modeseek.priors.pipeline.loading.download_pipeline", lambda *_: pytest.fail("asked"))
    with pytest.raises(ValueError, match=f"there is no pipeline {path}"):
        find_pipeline(path)


def test_an_existing_folder_is_not_asked_of_the_hub(
    copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("modeseek.priors.pipeline.loading.download_pipeline", lambda *_: pytest.fail("asked"))
    copy("sd").rename(tmp_path / "model")
    monkeypatch.chdir(tmp_path.parent)
    assert find_pipeline(f"{tmp_path.name}/model").kind == "StableDiffusionPipeline"
