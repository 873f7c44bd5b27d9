"""Mistakes in trainings of the bundled priors: one line each, and nothing left behind."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from tiny_training import RECIPES

from tools.bundled_priors.cli import main
from tools.bundled_priors.recipe import parse_seconds, read_recipe
from tools.bundled_priors.session import SessionSettings
from tools.bundled_priors.start import start_recipe
from tools.bundled_priors.train import train
from tools.bundled_priors.training_dir import TrainingDir

pytestmark = pytest.mark.slow


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    lines = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2 and len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "recipe.json").unlink(), "has no recipe.json"),
        (lambda f: (f / "recipe.json").write_text("{"), "recipe.json is damaged"),
        (lambda f: (f / "recipe.json").write_text("[]"), "recipe.json is damaged"),
        (lambda f: (f / "recipe.json").write_text('{"format": "modeseek-scene-training-4"}'), "its format is not"),
        (lambda f: (f / "vae" / "training.json").write_text("{}"), "training.json is damaged"),
        (lambda f: (f / "text_encoder" / "config.json").write_text("{"), "must hold a complete text_encoder"),
        (lambda f: shutil.rmtree(f / "tokenizer"), "tokenizer"),
    ],
)
def test_a_damaged_folder_is_one_line(finished, tmp_path, capsys, damage, words):
    folder = tmp_path / "damaged"
    shutil.copytree(finished["scenes"], folder)
    damage(folder)
    assert words in refused(capsys, "train", "scenes", "--out", str(folder), "--budget", "1s")


@pytest.mark.parametrize(
    ("prior", "words", "said"),
    [
        ("scenes", ["--budget", "soon"], "budget must be a time"),
        ("scenes", ["--budget", "0h"], "budget must be a time"),
        ("scenes", ["--device", "warp"], "got 'warp'"),
        ("scenes", ["--batch", "0"], "batch size must be at least 1"),
        ("scenes", ["--lr", "2"], "learning rate must be in (0, 1), got 2"),
        ("scenes", ["--workers", "-1"], "number of workers must be at least 0"),
        ("scenes", ["--icons", "."], "--icons must be used with emoji only"),
        ("scenes", ["--start", "nowhere"], "--start must be scenes, emoji or the folder of a pipeline, got nowhere"),
        ("scenes", ["--start", "emoji"], "in_channels of its unet must be 8, got 12"),
        ("emoji", [], "emoji must be given --icons FOLDER"),
        ("judge", ["--lr", "0.1"], "--lr must not be set for judge"),
        ("judge", ["--workers", "1"], "--workers must not be set for judge"),
    ],
)
def test_mistakes_are_one_line_and_leave_no_folder(tmp_path, capsys, prior, words, said):
    assert said in refused(capsys, "train", prior, "--out", str(tmp_path / "new"), *words)
    assert not (tmp_path / "new").exists()


def test_a_training_stays_what_it_is(finished, icons, tmp_path, capsys):
    """Its prior, seed, and the weights it began as."""
    folder, other = str(finished["scenes"]), str(finished["emoji"])
    assert "which trains scenes" in refused(capsys, "train", "emoji", "--out", folder, "--icons", str(icons))
    assert "must stay 0, got 4" in refused(capsys, "train", "scenes", "--out", folder, "--seed", "4")
    assert "must stay random weights" in refused(capsys, "train", "scenes", "--out", folder, "--start", other)
    copy = tmp_path / "copy"
    shutil.copytree(finished["scenes"], copy)
    recipe = replace(RECIPES["scenes"], start=start_recipe(finished["scenes"] / "pipeline"))
    recipe.write(copy)
    assert read_recipe(copy).start == recipe.start
    assert "must stay scenes, got" in refused(capsys, "train", "scenes", "--out", str(copy), "--start", other)
    assert "--out must be a folder" in refused(capsys, "train", "scenes", "--out", str(copy / "recipe.json"))


def test_two_at_once_are_refused(finished):
    job = train("scenes", finished["scenes"], SessionSettings(1e9))
    with TrainingDir(finished["scenes"]).lock(), pytest.raises(ValueError, match="by another process"):
        next(job)


@pytest.mark.parametrize("prior", ["scenes", "emoji"])
def test_budgets_and_recipes_are_read(tmp_path, prior):
    assert [parse_seconds(t) for t in ("2h", "90m", "1h30m", "1.5h", "45s")] == [7200, 5400, 5400, 5400, 45]
    RECIPES[prior].write(tmp_path)
    assert read_recipe(tmp_path) == RECIPES[prior]
