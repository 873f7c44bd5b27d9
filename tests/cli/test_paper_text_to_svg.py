"""`modeseek paper text-to-svg`: its plan, and mistakes in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import fabricated_icons as fabricated
import pytest
from terminal import cli_error, help_text

from modeseek.cli.paper_options import PaperOptions
from modeseek.cli.paper_text_to_svg import TextToSvgCommand
from modeseek.datasets.emoji import read_icons
from modeseek.experiments.text_to_svg.entries import ENTRIES


def test_options_make_the_plan(tmp_path: Path) -> None:
    icons = read_icons(fabricated.write_packages(tmp_path))
    plan = TextToSvgCommand(words=2, tuning_words=1, methods=("msd", "sdi"), budget=60, paths=5).plan(icons)
    assert [entry.name for entry in plan.entries] == ["msd", "sdi"] and (plan.budget, plan.paths) == (60, 5)
    assert plan.seeds == 2 and plan.tuning is not None and plan.tuning.rates == (0.002, 0.004, 0.008, 0.016)
    assert len(plan.words) == 2 and len(plan.tuning.words) == 1
    alone = TextToSvgCommand(words=3, tune=False, shared=PaperOptions(seeds=1, seed=3)).plan(icons)
    assert alone.tuning is None and len(alone.words) == 3 and len(alone.entries) == len(ENTRIES)
    assert (alone.seeds, alone.seed, alone.budget) == (1, 3, 200)
    quick = TextToSvgCommand(quick=True, words=2, tuning_words=1).plan(icons)
    assert quick.budget == 40 and quick.tuning is not None and quick.tuning.rates == (0.004, 0.008)
    assert TextToSvgCommand(quick=True, words=1, tuning_words=1, budget=50, rates=(0.01,)).plan(icons).budget == 50


@pytest.mark.parametrize(
    "words, line",
    [
        ([], "--icons must name a folder of drawings, got none; try npm install @iconify-json"),
        (
            ["--icons", "nowhere"],
            "the icons must be npm packages, got none of @iconify-json/fluent-emoji-flat in nowhere",
        ),
        (["--icons", "ICONS", "--words", "3", "--tuning-words", "1"], "must add to at most 3, got 3 and 1"),
        (["--icons", "ICONS", "--words", "0"], "--words must be at least 1"),
        (
            ["--icons", "ICONS", "--tuning-words", "0"],
            "--tuning-words must be at least 1, got 0; raise it, or use --no-tune",
        ),
        (["--icons", "ICONS", "--methods", "msd", "nonsense"], "unknown method 'nonsense'"),
        (["--icons", "ICONS", "--budget", "3"], "a budget of 3 prior calls is too small: two steps of sds take 4"),
        (["--icons", "ICONS", "--rates", "0"], "learning rate above 0, got 0.0"),
        (["--icons", "ICONS", "--seeds", "0"], "seeds must be at least 1, got 0"),
        (["--icons", "ICONS", "--paths", "0"], "paths must be at least 1, got 0"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("vtracer")
    monkeypatch.chdir(tmp_path)
    icons = fabricated.write_packages(tmp_path / "icons") if "ICONS" in words else tmp_path
    given = [str(icons) if word == "ICONS" else word for word in words]
    few = [] if "--words" in words else ["--words", "1"]
    few += [] if "--tuning-words" in words else ["--tuning-words", "1"]
    assert line in cli_error(["paper", "text-to-svg", *few, *given], capsys)
    assert not (tmp_path / "runs").exists()


def test_a_missing_tracer_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "vtracer", None)
    monkeypatch.setattr("modeseek.experiments.text_to_svg.tracer.find_spec", lambda name: None)
    line = cli_error(["paper", "text-to-svg", "--icons", str(tmp_path)], capsys)
    assert "traced samples need the package vtracer, which is missing; pip install 'modeseek[evaluation]'" in line


def test_the_help_names_every_method(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(help_text(["paper", "text-to-svg", "--help"], capsys).replace("│", " ").split())
    assert all(f" {name} " in text.replace(".", " ") for name in ENTRIES)
