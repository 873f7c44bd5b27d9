"""`modeseek paper quality`: digits end to end, and mistakes in one line."""

from __future__ import annotations

import json
from pathlib import Path

import fabricated_icons as fabricated
import pytest
from terminal import cli_error, help_text

from modeseek.cli import main
from modeseek.experiments.quality.entries import ENTRIES
from modeseek.experiments.toy2d.digits import DigitsPlan
from modeseek.experiments.toy2d.train_prior import PriorRecipe


@pytest.mark.slow
def test_digits_from_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(DigitsPlan, "recipe", PriorRecipe(steps=30, width=16, batch=32, lr=2e-3))
    out = tmp_path / "out"
    options = ["--methods", "sds", "msd-inner", "--budgets", "16", "24", "--seeds", "2", "--captions", "3"]
    words = ["paper", "quality", "--prior", "digits", *options, "--tuning-captions", "1", "--rates", "0.02", "0.04"]
    main([*words, "--tune-at", "16", "--out", str(out)])
    said = capsys.readouterr().out
    assert "3 prompts, 2 seeds each. Each image is a grid of pixels" in said and "Held-out log-likelihood" in said
    results = json.loads((out / "exports" / "results.json").read_text())
    rows = results["methods"]
    assert list(rows) == ["ddim@50", "ddim@100", *(f"{n}@{b}" for n in ("sds", "msd-inner") for b in (16, 24))]
    assert [row["calls"] for row in rows.values()] == [50, 100, 16, 24, 16, 24]
    assert rows["msd-inner@24"]["relative_shift"] > 0 and rows["sds@24"]["log_likelihood_low"] < 0
    labels, others = results["facts"]["prompts"], results["settings"]["tuning_prompts"]
    assert len(labels) == 3 and len(others) == 1 and not set(labels) & set(others)
    assert results["settings"]["rates"] == [0.02, 0.04] and (out / "digits" / "network.json").is_file()
    times = {path: path.stat().st_mtime_ns for path in out.glob("jobs/*/status.json")}
    assert len(times) == 2 * 3 + 2 + 4
    more = [word if word != "24" else "32" for word in words]
    main([*more, "--tune-at", "16", "--out", str(out)])
    again = json.loads((out / "exports" / "results.json").read_text())["methods"]
    assert again["sds@16"] == rows["sds@16"] and again["sds@32"]["calls"] == 32 and "sds@24" not in again
    assert all(path.stat().st_mtime_ns == when for path, when in times.items()), "nothing was done twice"
    capsys.readouterr()
    line = cli_error([*words, "--tune-at", "18", "--out", str(out)], capsys)
    assert "was begun with tune_at 16: got 18" in line


@pytest.mark.parametrize(
    "words, line",
    [
        (["--prior", "mine"], "--prior must be scenes, emoji or digits, whose images can be scored, got 'mine'"),
        (["--prior", "emoji"], "--prior emoji needs --icons, got none; try npm install @iconify-json"),
        (["--prior", "emoji", "--icons", "ICONS", "--captions", "5", "--tuning-captions", "2"], "1 to 6 names, got 7"),
        (["--prior", "digits", "--captions", "8", "--tuning-captions", "3"], "there are 10 digits"),
        (["--captions", "0"], "--captions must be at least 1, got 0"),
        (["--methods", "msd", "nonsense"], "unknown method 'nonsense'"),
        (["--methods", "sdi", "--budgets", "50"], "--budgets must allow 8 steps of sdi, got 50, where they take 176"),
        (["--budgets", "100", "50"], "budgets must ascend, got 100 50"),
        (["--rate", "msd=fast"], "--rate must be NAME=NUMBER, got 'msd=fast'"),
        (["--rate", "nonsense=1"], "unknown method 'nonsense'"),
        (["--rates", "0"], "learning rate above 0, got 0.0"),
        (["--seeds", "0"], "seeds must be at least 1, got 0"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    icons = fabricated.write_packages(tmp_path / "icons")
    few = [] if "--methods" in words else ["--methods", "sds"]
    argv = ["paper", "quality", *few, *(str(icons) if word == "ICONS" else word for word in words)]
    assert line in cli_error(argv, capsys)
    assert not (tmp_path / "runs").exists()


def test_the_help_names_every_method(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(help_text(["paper", "quality", "--help"], capsys).replace("│", " ").split())
    assert all(f" {name} " in text.replace(".", " ") for name in ENTRIES)
