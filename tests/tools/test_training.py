"""Training of the bundled text-to-image priors: what it writes, and exact resuming."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_training import RECIPES, STAGE, TINY_SCENES, train_tiny, weights

import modeseek as ms
import tools.bundled_priors.session as session_module
import tools.bundled_priors.stage_trainer as stage_trainer
from modeseek.runs.interrupts import RunFailed, RunInterrupted
from tools.bundled_priors.session import SessionSettings
from tools.bundled_priors.train import train
from tools.bundled_priors.training_dir import TrainingDir


@pytest.mark.parametrize("prior", ["scenes", "emoji"])
def test_it_writes_a_pipeline_metrics_and_a_sample_grid(finished, prior):
    folder = finished[prior]
    assert ms.Pipeline.load(folder / "pipeline", cache=None).shape == (4, 4, 4)
    assert [path.name for path in (folder / "grids").iterdir()] == ["step-00000004.png"]
    rows = TrainingDir(folder).metrics
    sessions, evaluations = rows[::2], rows[1::2]
    stages = ["words", "autoencoder", "network"][prior == "emoji" :]
    assert [row["stage"] for row in sessions] == [row["stage"] for row in evaluations] == stages
    assert {row["session"]["batch"] for row in sessions} == {2}
    assert [row["samples"] for row in evaluations] == [2 * row["step"] for row in evaluations]
    assert prior == "emoji" or 0 <= evaluations[0]["understood"] <= 1
    assert 0 < evaluations[-2]["psnr"] < 60
    last = evaluations[-1]
    assert last["held_out"] == pytest.approx((last["little"] + last["some"] + last["much"]) / 3, rel=0.2)


def test_text_encoders_are_trained_where_the_recipe_says(finished):
    """Of scenes on captions alone, of emoji beside the denoiser; a stage freezes what it does not name."""
    from tools.bundled_priors.model import build_model
    from tools.bundled_priors.pipeline_folder import read_part

    recipe = TINY_SCENES
    fresh = build_model(recipe.model, finished["scenes"] / "tokenizer", 0).text_encoder.state_dict()
    kept = read_part(finished["scenes"] / "text_encoder", "text_encoder").state_dict()
    name = "final_layer_norm.weight"
    name = next(key for key in fresh if key.endswith(name))
    shipped = weights(finished["scenes"])[f"text_encoder {name}"]
    assert torch.equal(kept[name].half(), shipped) and not torch.equal(fresh[name], kept[name])
    assert not torch.equal(weights(finished["emoji"])[f"text_encoder {name}"], fresh[name].half())


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["scenes", "emoji"])
def test_stopped_and_resumed_is_uninterrupted_bit_for_bit(finished, icons, tmp_path, monkeypatch, prior):
    """Stopped by Ctrl-C after every single step of all stages."""
    steps = stage_trainer.StageTrainer.train_step

    def interrupted(self, progress):
        os.kill(os.getpid(), signal.SIGINT)
        return steps(self, progress)

    monkeypatch.setattr(stage_trainer.StageTrainer, "train_step", interrupted)
    folder, stops = tmp_path / "cut", 0
    while True:
        try:
            train_tiny(prior, folder, icons)
            break
        except RunInterrupted as stopped:
            assert f"python -m tools.bundled_priors train {prior} --out" in str(stopped)
            assert ("--icons" in str(stopped)) == (prior == "emoji")
            stops += 1
    assert stops == {"scenes": 9, "emoji": 6}[prior]
    wanted, got = weights(finished[prior]), weights(folder)
    assert wanted.keys() == got.keys() and len(wanted) > 150
    assert [name for name in wanted if not torch.equal(wanted[name], got[name])] == []
    entries = TrainingDir(folder).history
    assert [entry.steps for entry in entries] == {"scenes": [2, 3, 4], "emoji": [2, 4]}[prior]
    assert [entry.samples for entry in entries] == [2 * entry.steps for entry in entries]


@pytest.mark.slow
def test_a_damaged_checkpoint_costs_its_steps_only(finished, tmp_path, icons):
    folder = tmp_path / "copy"
    shutil.copytree(finished["scenes"], folder)
    replace(TINY_SCENES, network=replace(STAGE, steps=6)).write(folder)
    train_tiny("scenes", folder, icons)
    kept = sorted((folder / "checkpoints" / "network").iterdir())
    assert [path.name for path in kept] == ["step-00000004", "step-00000006"]
    (kept[1] / "tensors.safetensors").write_bytes(b"torn")
    before = weights(finished["scenes"]) | weights_of_pipeline(folder)
    train_tiny("scenes", folder, icons)
    after = weights_of_pipeline(folder)
    assert all(torch.equal(before[name], after[name]) for name in after)


def weights_of_pipeline(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    paths = sorted((folder / "pipeline").rglob("*.safetensors"))
    return {f"{path.parent.name} {name}": tensor for path in paths for name, tensor in load_file(path).items()}


@pytest.mark.slow
def test_a_larger_budget_resumes(tmp_path):
    """With a time budget: a spent budget ends at once; a larger one resumes."""
    stages = {"words": replace(STAGE, share=0.2), "autoencoder": replace(STAGE, share=0.3), "network": STAGE}
    folder, recipe = tmp_path / "clock", replace(TINY_SCENES, **stages)

    def trained(budget: float) -> dict[str, float]:
        for _ in train("scenes", folder, SessionSettings(budget), recipe=recipe):
            pass
        return TrainingDir(folder).metrics[-1]

    spent = trained(1.0)
    assert trained(1.0)["step"] == spent["step"]
    last = trained(spent["seconds"] + 1.5)
    assert last["step"] > spent["step"] and last["seconds"] > spent["seconds"]


@pytest.mark.slow
def test_settings_of_the_first_session_are_kept_and_later_ones_are_their_own(tmp_path, icons, monkeypatch):
    monkeypatch.setattr(session_module, "_LOG_EVERY", 2)
    folder, recipe = tmp_path / "sessions", replace(RECIPES["emoji"], network=replace(STAGE, steps=2))
    for session in (SessionSettings(1e9, batch=3, lr=2e-3, icons=icons), SessionSettings(1e9, batch=5, icons=icons)):
        for _ in train("emoji", folder, session, recipe=recipe):
            pass
        kept = TrainingDir(folder).recipe
        assert (kept.network.batch, kept.network.lr) == (3, 2e-3)
        replace(kept, network=replace(kept.network, steps=4)).write(folder)
    first, second = TrainingDir(folder).history[1:]
    assert (first.steps, first.batch, first.samples, first.lr) == (2, 3, 6, 2e-3)
    assert (second.steps, second.batch, second.samples, second.lr) == (2, 5, 10, 2e-3)
    rows = [row for row in TrainingDir(folder).metrics if "steps_per_second" in row]
    assert [(row["step"], row["samples"]) for row in rows] == [(2, 4), (2, 6), (4, 16)]
    assert all(0.01 < row["steps_per_second"] < 1000 and row["loss"] > 0 for row in rows)
    assert first.trains == "text encoder and denoiser" and second.before == first.after != second.after


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path, icons, monkeypatch):
    from tools.bundled_priors.train_denoiser import DenoiserTrainer

    loss = DenoiserTrainer.loss
    monkeypatch.setattr(DenoiserTrainer, "loss", lambda self, inputs: loss(self, inputs) * float("nan"))
    with pytest.raises(RunFailed, match="got nan at step 1 of stage network; resume with: python -m"):
        train_tiny("emoji", tmp_path / "broken", icons)
