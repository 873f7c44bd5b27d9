"""Trainings that go on from a pipeline: only the denoiser changes, and resuming is exact."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import RECIPES, STAGE, train_tiny, weights

import tools.bundled_priors.stage_trainer as stage_trainer
from modeseek.runs.interrupts import RunInterrupted
from tools.bundled_priors.history import HistoryEntry, write_history
from tools.bundled_priors.pipeline_folder import UNET_WEIGHTS
from tools.bundled_priors.recipe import CONTINUED_LR
from tools.bundled_priors.training_dir import TrainingDir

EARLIER = HistoryEntry("text encoder and denoiser", "one H200", 10, 8, 80, 3.0, measure="held_out", after=0.5)


@pytest.fixture
def start(finished, tmp_path) -> Path:
    """A pipeline folder as it ships: with a card, sums and the history of its training."""
    folder = tmp_path / "shipped"
    shutil.copytree(finished["emoji"] / "pipeline", folder)
    (folder / "training.json").write_bytes(write_history([EARLIER]))
    (folder / "README.md").write_text("card of other weights")
    for name in ("vae", "text_encoder"):  # as another version would have written it
        path = folder / name / "config.json"
        path.write_text(path.read_text() + "\n")
    return folder


def recipe(prior: str = "emoji", steps: int = 3):
    return replace(RECIPES[prior], network=replace(STAGE, steps=steps, lr=0.5))


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_all_but_the_denoiser_stays_byte_for_byte(start, icons, tmp_path):
    out = train_tiny("emoji", tmp_path / "more", icons, recipe(), start=str(start))
    before, after = files(start), files(out / "pipeline")
    for name in ("README.md", "training.json"):
        before.pop(name)
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] != after[name]] == [UNET_WEIGHTS]
    old, new = (load_file(folder / UNET_WEIGHTS) for folder in (start, out / "pipeline"))
    assert old.keys() == new.keys() and all(old[name].dtype == new[name].dtype for name in old)
    changed = [name for name in old if not torch.equal(old[name], new[name])]
    assert len(changed) > 0.9 * len(old)
    assert max((old[name].float() - new[name].float()).abs().max().item() for name in old) < 0.05


@pytest.mark.slow
def test_it_begins_with_the_pipelines_weights_and_inherits_its_history(start, icons, tmp_path):
    out = train_tiny("emoji", tmp_path / "more", icons, recipe(), start=str(start))
    kept = TrainingDir(out).recipe
    assert kept.network.lr == CONTINUED_LR and kept.start is not None and kept.start.name == "shipped"
    first, second = TrainingDir(out).history
    assert first == EARLIER
    assert (second.trains, second.steps, second.samples, second.lr) == ("denoiser", 3, 6, CONTINUED_LR)
    rows = TrainingDir(out).metrics
    assert rows[1]["step"] == 0 and second.before == rows[1]["held_out"] and second.after == rows[-1]["held_out"]
    assert abs(second.after - second.before) < 0.1 * second.before  # three small steps
    assert not (out / "tokenizer").exists() and not (out / "vae").exists()


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["scenes", "emoji"])
def test_stopped_and_resumed_is_uninterrupted_bit_for_bit(finished, icons, tmp_path, monkeypatch, prior):
    start = finished[prior] / "pipeline"
    whole = train_tiny(prior, tmp_path / "whole", icons, recipe(prior), start=str(start))
    steps = stage_trainer.StageTrainer.train_step

    def interrupted(self, progress):
        os.kill(os.getpid(), signal.SIGTERM)
        return steps(self, progress)

    monkeypatch.setattr(stage_trainer.StageTrainer, "train_step", interrupted)
    folder, stops, options = tmp_path / "cut", 0, {"start": str(finished[prior])}  # then without --start
    while True:
        try:
            train_tiny(prior, folder, icons, recipe(prior), **options)
            break
        except RunInterrupted as stopped:
            assert "SIGTERM" in str(stopped) and "--start" not in str(stopped)
            stops, options = stops + 1, {}
    assert stops == 3
    wanted, got = weights(whole), weights(folder)
    assert wanted.keys() == got.keys()
    assert [name for name in wanted if not torch.equal(wanted[name], got[name])] == []
    before = [entry.before for entry in (TrainingDir(whole).history[-1], TrainingDir(folder).history[-1])]
    assert before[0] is not None and before[0] == before[1]


@pytest.mark.parametrize(
    ("name", "key", "value", "words"),
    [
        ("unet", "block_out_channels", [8, 8], "block_out_channels of its unet must be [8, 16], got [8, 8]"),
        ("vae", "scaling_factor", 1.0, "scaling_factor of its vae must be 2.0, got 1.0"),
        ("scheduler", "prediction_type", "epsilon", "prediction_type of its scheduler must be v_prediction"),
    ],
)
def test_a_pipeline_of_another_shape_is_refused(start, icons, tmp_path, name, key, value, words):
    path = start / name / ("scheduler_config.json" if name == "scheduler" else "config.json")
    settings = json.loads(path.read_text())
    path.write_text(json.dumps(settings | {key: value}))
    if name == "unet":  # its weights would not fit their own configuration
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

        config = UNet2DConditionModel.load_config(start / name)
        UNet2DConditionModel.from_config(config).save_pretrained(start / name)
    with pytest.raises(ValueError, match=words.replace("[", r"\[")):
        train_tiny("emoji", tmp_path / "more", icons, recipe(), start=str(start))
    assert not (tmp_path / "more").exists()


@pytest.mark.slow
def test_only_the_named_start_resumes(start, finished, icons, tmp_path):
    out = train_tiny("emoji", tmp_path / "more", icons, recipe(steps=1), start=str(start))
    train_tiny("emoji", out, icons, start=str(start))
    with pytest.raises(ValueError, match="must stay shipped"):
        train_tiny("emoji", out, icons, start=str(out))
