"""Every command that takes a text prior, under the name of every bundled one: the defaults are those of its table."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import torch
import yaml
from terminal import cli_error, help_text

import modeseek as ms
from modeseek.cli import main
from modeseek.cli.paper_options import PaperOptions
from modeseek.cli.paper_text_to_3d import CAPTIONS, MORE_CAPTIONS, TextTo3DCommand
from modeseek.cli.paper_text_to_image import TextToImageCommand
from modeseek.config.config import read_config
from modeseek.config.defaults import configure
from modeseek.config.priors import PipelinePriorConfig
from modeseek.experiments.text_to_image.entries import ENTRIES


@dataclass(frozen=True)
class Case:
    """Defaults that a name must have, written down here and not read from the table.

    Attributes:
        name: name of the prior as typed.
        title: name of the prior.
        views: default view phrases of `modeseek shape`.
        steps: default number of steps of `modeseek sample`.
        channels: channels of z.
    """

    name: str
    title: str
    views: Literal["none", "fine"]
    steps: int
    channels: int


CASES = (
    Case("scenes", "scenes", "fine", 25, 8),
    Case("bundled", "scenes", "fine", 25, 8),
    Case("emoji", "emoji", "none", 50, 12),
)
EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
IGNORED = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
pytestmark = IGNORED


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODESEEK_CACHE", str(tmp_path / "cache"))


def dry_run(argv: list[str], capsys: pytest.CaptureFixture[str]) -> ms.Config:
    """Configuration that a command prints."""
    main([*argv, "--dry-run"])
    return read_config(yaml.safe_load(capsys.readouterr().out))


@EVERY
def test_image(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    config = dry_run(["image", "an owl", "--prior", case.name], capsys)
    assert config.prior == PipelinePriorConfig(case.name) and config.scale == 3.0
    assert config.title == f"MSD: 'an owl', under {case.title}, guidance 3"
    assert dry_run(["image", "an owl", "--prior", "a/b"], capsys).scale == 7.5


@EVERY
def test_shape(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    config = dry_run(["shape", "a mug", "--prior", case.name], capsys)
    assert config.prior == PipelinePriorConfig(case.name) and config.views.words == case.views and config.scale == 3.0
    assert dry_run(["shape", "a mug", "--prior", case.name, "--views", "coarse"], capsys).views.words == "coarse"
    assert dry_run(["shape", "a mug", "--prior", f"./{case.name}"], capsys).views.words == "coarse"


@pytest.mark.parametrize("verb", ["image", "shape"])
def test_without_a_name_it_is_scenes(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert dry_run([verb, "a mug"], capsys) == dry_run([verb, "a mug", "--prior", "scenes"], capsys)


@EVERY
def test_run_and_yaml(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = dry_run(["run", "--prior", case.name, "--generator", "field"], capsys)
    assert config.prior == PipelinePriorConfig(case.name)
    (tmp_path / "short.yaml").write_text(f"prior: {case.name}\ngenerator: field\n")
    (tmp_path / "long.yaml").write_text(f"prior: {{pipeline: {{path: {case.name}}}}}\ngenerator: field\n")
    assert dry_run(["run", "short.yaml"], capsys) == dry_run(["run", "long.yaml"], capsys) == config
    changed = configure({"prior": case.name}, ["prior.pipeline.cache=false"])
    assert changed.prior == PipelinePriorConfig(case.name, cache=False)


def test_a_name_alone_denotes_a_toy_prior_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert configure({"prior": "grid"}) == dry_run(["run", "--prior", "grid"], capsys)
    assert configure({}, ["prior=grid"]) == configure({"prior": "grid"}) != configure({})


@EVERY
def test_sweep(case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = {"prior": case.name, "generator": "field", "steps": 3, "scale": 3.0}
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump({"base": base, "prompts": ["an owl", "a key"]}))
    main(["sweep", "sweep.yaml", "--dry-run"])
    out = capsys.readouterr().out
    assert "an owl" in out and "2 jobs, 2 unfinished" in out


@pytest.mark.slow
@EVERY
def test_sample(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    argv = ["sample", "a key", "--prior", case.name]
    main([*argv, "--steps", "2", "--out", "short"])
    run = ms.Run.load(tmp_path / "short")
    assert (run.path / "exports" / "a-key-s0.png").is_file()
    assert run.environment["prior"]["title"] == case.title
    taken = []

    def skip(prior: ms.Prior, z: torch.Tensor, times: torch.Tensor, *args: object, **options: object) -> torch.Tensor:
        taken.append(len(times) - 1)
        return z

    monkeypatch.setattr("modeseek.cli.sample.ddim", skip)
    main([*argv, "--out", "usual"])
    written = yaml.safe_load((tmp_path / "usual" / "config.yaml").read_text())
    assert sum(taken) == written["steps"] == case.steps and written["scale"] == 3.0


@EVERY
def test_paper_text_to_image(case: Case) -> None:
    plan = TextToImageCommand(prior=case.name, shared=PaperOptions(seeds=2)).plan()
    assert len(plan.prompts) == 8 and plan.prior_config.title == case.title
    assert tuple(entry.name for entry in plan.entries) == tuple(ENTRIES)
    assert plan.budget == 800 and plan.likelihood == 12 and set(plan.scales.values()) == {3.0}
    everyday = "an owl" in plan.prompts
    assert everyday == (case.title == "emoji")
    assert len(TextToImageCommand(prior=case.name, full=True).plan().prompts) == 40


def test_paper_text_to_image_has_forty_words(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["paper", "text-to-image", "--prior", "emoji", "--captions"]
    for n in ("41", "0"):
        assert f"--captions must be 1 to 40 under emoji, got {n}; try --prompts" in cli_error([*argv, n], capsys)


@EVERY
def test_paper_text_to_3d(case: Case) -> None:
    plan = TextTo3DCommand(prior=case.name).plan()
    names = [conditioning.name for conditioning in plan.conditionings]
    if case.title == "scenes":
        assert plan.captions == CAPTIONS and names == ["fine", "none"]
    else:
        assert set(plan.captions) < {*CAPTIONS, *MORE_CAPTIONS} and names == ["none"] and len(plan.captions) == 4
    chosen = TextTo3DCommand(prior=case.name, captions=("a red cone",), consistency=("words",)).plan()
    assert chosen.captions == ("a red cone",) and [c.name for c in chosen.conditionings] == ["words"]
    assert len(TextTo3DCommand(prior="scenes", full=True).plan().captions) == 12


@EVERY
def test_doctor(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--prior", case.name])
    assert f"64 x 64 pixels, z {case.channels} x 16 x 16" in capsys.readouterr().out


def test_list_priors_tells_both_beside_the_other_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", "priors"])
    lines = capsys.readouterr().out.splitlines()
    for name in ("problem", "pipeline", "renders", "scenes", "emoji"):
        assert sum(line.startswith(f"{name} ") for line in lines) == 1, name
    assert "unknown prior 'emojis': did you mean emoji?" in cli_error(["list", "priors", "emojis"], capsys)
    main(["list", "priors", "pipeline"])
    assert "scenes or emoji" in capsys.readouterr().out


@EVERY
def test_list_priors_tells_what_one_knows(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", "priors", case.name])
    out = capsys.readouterr().out
    for word in (
        f"{case.title}: ",
        "64 x 64 pixels",
        f"{case.steps} steps, guidance 3",
        "README.md",
        "Apache-2.0",
        " MB ",
    ):
        assert word in out, word
    assert f"--prior {case.title}" in out and ("Fluent Emoji (MIT" in out) == (case.title == "emoji")
    assert ("view phrases: none" in out) == (case.title == "emoji")


@pytest.mark.parametrize("verb", [["image"], ["sample"], ["shape"], ["run"], ["paper", "text-to-image"], ["doctor"]])
def test_help_names_both(verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(help_text([*verb, "--help"], capsys).split())
    assert "scenes" in text and "emoji" in text and "bundled model" not in text


@pytest.mark.slow
def test_experiments_run_under_emoji(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics of the scenes' classifier do not apply to everyday words: they are left out, and nothing fails."""
    monkeypatch.setattr("modeseek.experiments.text_to_3d.measure._VIEW_SIDE", 16)
    monkeypatch.setattr("modeseek.experiments.text_to_3d.measure._TURNTABLE_SIDE", 16)
    monkeypatch.setattr("modeseek.generators.generator3d.MESH_RESOLUTION", 24)
    monkeypatch.setattr("modeseek.metrics.scenes.alignment._ROUNDS", 1)
    few = ["--prior", "emoji", "--seeds", "1", "--steps", "2"]
    image = ["--captions", "2", "--methods", "ddim", "sds", "--sample-steps", "2", "--likelihood", "1"]
    main(["paper", "text-to-image", *few, *image, "--out", "image"])
    with (tmp_path / "image" / "exports" / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["ddim", "sds"]
    assert all(row["object"] == row["right"] == "" and row["log_p"] for row in rows)
    assert "an owl" in (tmp_path / "image" / "report.html").read_text()
    main(["paper", "text-to-3d", *few, "--captions", "a red car", "--methods", "sds", "--out", "solid"])
    assert (tmp_path / "solid" / "report.html").is_file()
