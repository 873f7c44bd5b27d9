"""Packing of the bundled priors: what the folder holds, and that its card says what the exam found."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import diffusers
import pytest
import torch
from safetensors.torch import load_file
from tiny_training import MODEL, weights

import tools.bundled_priors.model_card as model_card_module
import tools.bundled_priors.pack as pack_module
from modeseek.io.packaged import verify_folder
from tools.bundled_priors.cli import main
from tools.bundled_priors.history import HistoryEntry, read_history, write_history
from tools.bundled_priors.pack import pack
from tools.bundled_priors.start import weights_digest

pytestmark = pytest.mark.slow

ENTRY = HistoryEntry("denoiser", "one H200", 1641, 1024, 1680384, 540.0, 1.5e-3, "held_out", 0.1313, 0.113, "A remark.")
SCENE_ROW = {"object": 0.9633, "colour": 0.997, "relation": 0.875, "view": 0.839, "all": 0.8163, "kid": -0.0051}
EMOJI_ROW = {"top1": 0.9375, "top5": 0.9999}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """The packed shapes are those of the tiny model."""
    recipes = {name: replace(recipe, model=MODEL) for name, recipe in pack_module.RECIPES.items()}
    monkeypatch.setattr(pack_module, "RECIPES", recipes)
    monkeypatch.setattr(model_card_module, "RECIPES", recipes)


def fabricate_exam(folder: Path, pipeline: Path, row: dict[str, float]) -> Path:
    """A run of an exam of these weights with chosen figures."""
    rows = ("pipeline", "- alone", "- on", "- beside", "- behind", "renders")
    figures = {name: {key: value - 0.001 * i for key, value in row.items()} for i, name in enumerate(rows)}
    figures["- alone"].pop("relation", None)
    results = {"settings": {"captions": 300, "steps": 25, "scale": 3.0}, "methods": figures}
    (folder / "exports").mkdir(parents=True)
    (folder / "exports" / "results.json").write_text(json.dumps(results))
    (folder / "env.json").write_text(json.dumps({"prior": {"sha256": weights_digest(pipeline)}}))
    return folder


def test_a_training_is_packed_whole(finished, tmp_path):
    exam = fabricate_exam(tmp_path / "exam", finished["scenes"] / "pipeline", SCENE_ROW)
    folder = pack(finished["scenes"], "scenes", exam=exam, to=tmp_path / "new" / "scenes")
    assert verify_folder(folder) == folder
    sums = (folder / "SHA256SUMS").read_text().splitlines()
    assert len(sums) == sum(path.is_file() for path in folder.rglob("*")) - 1
    assert [entry.steps for entry in read_history(folder)] == [2, 3, 4]
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    files = [path for path in folder.rglob("*") if path.suffix in (".json", ".md", ".txt")]
    assert len(files) > 6 and not [path for path in files if str(tmp_path.parent) in path.read_text(encoding="utf-8")]
    stock = diffusers.StableDiffusionPipeline.from_pretrained(folder)
    stock.set_progress_bar_config(disable=True)
    image = stock(["a red cone"], num_inference_steps=2, width=16, height=16, output_type="pt").images
    assert image.shape == (1, 3, 16, 16) and image.isfinite().all()
    card = (folder / "README.md").read_text()
    assert "license: apache-2.0" in card and "nan" not in card and "None" not in card and "{" not in card
    exam_text = card.split("<!-- exam -->")[1].split("<!-- /exam -->")[0]
    assert "| **together** | 96.3 % | 99.7 % | 87.5 % | 83.9 % | 81.6 % |" in exam_text
    assert "| one object | 96.2 % | 99.6 % |  | 83.8 % | 81.5 % |" in exam_text and "-0.005" in exam_text
    assert "300 captions" in exam_text and "| text encoder | CPU, 1 thread | 2 | 2 | 4 |" in card


def test_a_pipeline_is_packed_with_its_own_history_in_half_precision(finished, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(finished["emoji"] / "pipeline", source)
    (source / "notes.txt").write_text("not for shipping")
    (source / "training.json").write_bytes(write_history([ENTRY]))
    before = pack(source, "emoji", to=tmp_path / "packed")
    assert load_file(before / "unet" / "diffusion_pytorch_model.safetensors").keys() >= {"conv_in.weight"}
    for path in sorted(source.rglob("*.safetensors")):
        assert (before / path.relative_to(source)).read_bytes() == path.read_bytes()
    card = (before / "README.md").read_text()
    assert "| denoiser | one H200 | 1,641 | 1,024 | 1.68 million | 9 min | 0.0015 | 0.1313 (error of v) |" in card
    assert "- A remark." in card and "not been examined" in card and not (before / "notes.txt").exists()
    assert "MIT licence, Copyright Microsoft" in card and "Apache License 2.0, Copyright Google" in card
    full = source / "vae" / "diffusion_pytorch_model.safetensors"
    from safetensors.torch import save_file

    save_file({name: tensor.float() for name, tensor in load_file(full).items()}, full, metadata={"format": "pt"})
    again = pack(source, "emoji", to=before)  # over the folder that is there
    packed = load_file(again / "vae" / "diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in packed.values()} == {torch.float16}
    verify_folder(again)
    assert weights(finished["emoji"])  # the training is untouched


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "training.json").unlink(), "has no training.json"),
        (lambda f: (f / "training.json").write_text("{"), "training.json is damaged"),
        (lambda f: (f / "training.json").write_text('{"format": "other"}'), "its format is 'other'"),
        (lambda f: _edit(f, steps="many"), "steps of an entry is 'many'"),
        (lambda f: _edit(f, speed=3), "unknown entry 'speed'"),
        (lambda f: (f / "model_index.json").unlink(), "must be a training folder or a pipeline folder"),
        (lambda f: shutil.rmtree(f / "vae"), "must hold a complete pipeline"),
    ],
)
def test_a_folder_that_cannot_be_packed_is_one_line(finished, tmp_path, capsys, damage, words):
    source = tmp_path / "source"
    shutil.copytree(finished["emoji"] / "pipeline", source)
    (source / "training.json").write_bytes(write_history([ENTRY]))
    damage(source)
    assert words in refused(["pack", str(source), "emoji", "--to", str(tmp_path / "packed")], capsys)
    assert not (tmp_path / "packed").exists()


def _edit(folder: Path, **values: object) -> None:
    content = json.loads((folder / "training.json").read_text())
    content["history"][0] |= values
    (folder / "training.json").write_text(json.dumps(content))


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    lines = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2 and len(lines) == 1
    return lines[0]


def test_exams_of_other_weights_and_other_priors_are_refused(finished, tmp_path, capsys):
    scenes, target = finished["scenes"], str(tmp_path / "packed")
    other = fabricate_exam(tmp_path / "other", finished["emoji"] / "pipeline", SCENE_ROW)
    assert "--exam must be of the weights" in refused(
        ["pack", str(scenes), "scenes", "--exam", str(other), "--to", target], capsys
    )
    lacking = fabricate_exam(tmp_path / "lacking", scenes / "pipeline", {"object": 1.0})
    assert "must hold the figures of a card of scenes" in refused(
        ["pack", str(scenes), "scenes", "--exam", str(lacking), "--to", target], capsys
    )
    assert "must be a finished run of modeseek exam" in refused(
        ["pack", str(scenes), "scenes", "--exam", str(tmp_path / "none"), "--to", target], capsys
    )
    assert not Path(target).exists()


def test_a_pipeline_of_another_shape_and_a_full_target_are_refused(finished, tmp_path, capsys, monkeypatch):
    full = tmp_path / "full"
    full.mkdir()
    (full / "notes.txt").write_text("mine")
    words = ["pack", str(finished["scenes"]), "scenes", "--to"]
    assert "--to must be a new folder" in refused([*words, str(full)], capsys)
    recipes = {name: replace(recipe, model=replace(MODEL, latent=6)) for name, recipe in pack_module.RECIPES.items()}
    monkeypatch.setattr(pack_module, "RECIPES", recipes)
    assert "in_channels of its unet must be 6, got 4" in refused([*words, str(tmp_path / "packed")], capsys)
