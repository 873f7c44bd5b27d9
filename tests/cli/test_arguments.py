"""Arguments as people type them: options of other tools, repeated ones, and prompts by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeseek.cli import main
from modeseek.cli.arguments import normalize
from modeseek.cli.export import ExportCommand
from modeseek.cli.image import ImageCommand
from modeseek.cli.run import RunCommand
from modeseek.cli.sample import SampleCommand
from modeseek.cli.shape import ShapeCommand
from modeseek.cli.verbs import current_name
from modeseek.config.config import read_config
from modeseek.config.yaml import read_yaml

CASES = [
    (ImageCommand, ["--prompt", "a cat"], ["a cat"]),
    (ImageCommand, ["--steps", "3", "--prompt", "a cat", "a dog", "--seed", "1"],
     ["a cat", "a dog", "--steps", "3", "--seed", "1"]),
    (ImageCommand, ["--prompts", "a cat", "--prompt=a dog"], ["a cat", "a dog"]),
    (ShapeCommand, ["--prompt", "a cat", "--cameras", "2"], ["a cat", "--cameras", "2"]),
    (RunCommand, ["--prior", "emoji", "--prompt", "an owl"], ["--prior", "emoji", "--prompt", "an owl"]),
    (RunCommand, ["--prompt", "a", "--prompt", "b"], ["--prompt", "a", "b"]),
    (ImageCommand, ["a", "--guidance-scale", "7.5"], ["a", "--scale", "7.5"]),
    (ImageCommand, ["a", "--guidance_scale=7.5"], ["a", "--scale", "7.5"]),
    (SampleCommand, ["a", "--negative_prompt", "blurry"], ["a", "--negative", "blurry"]),
    (SampleCommand, ["a", "--num-inference-steps", "20"], ["a", "--steps", "20"]),
    (ImageCommand, ["a", "--num-images-per-prompt", "4"], ["a", "--copies", "4"]),
    (ImageCommand, ["a", "--learning-rate", "0.1", "--output-dir", "x"], ["a", "--lr", "0.1", "--out", "x"]),
    (ImageCommand, ["a", "--size", "512"], ["a", "--size", "512", "512"]),
    (ImageCommand, ["a", "--size", "512x768"], ["a", "--size", "512", "768"]),
    (ImageCommand, ["a", "--size", "512", "768"], ["a", "--size", "512", "768"]),
    (ImageCommand, ["a", "--resolution", "512", "--seed", "2"], ["a", "--size", "512", "512", "--seed", "2"]),
    (ShapeCommand, ["a", "--size", "64"], ["a", "--size", "64"]),
    (ExportCommand, ["--resolution", "128"], ["--resolution", "128"]),
    (ImageCommand, ["a", "--wandb"], ["a", "--tracker", "wandb"]),
    (ImageCommand, ["--wandb", "a"], ["a", "--tracker", "wandb"]),
    (ImageCommand, ["--size", "512", "a cat"], ["a cat", "--size", "512", "512"]),
    (ImageCommand, ["--size", "512", "768", "a", "--seed", "1"], ["a", "--size", "512", "768", "--seed", "1"]),
    (ShapeCommand, ["a", "--size", "64x64"], ["a", "--size", "64"]),
    (ImageCommand, ["a", "--negative=-ugly"], ["a", "--negative=-ugly"]),
    (ImageCommand, ["a", "--scale=-1.5"], ["a", "--scale=-1.5"]),
    (ImageCommand, ["--set", "x=1", "--", "--foo"], ["--set", "x=1", "--", "--foo"]),
    (ImageCommand, ["a", "--wandb", "--tensorboard"], ["a", "--tracker", "wandb", "tensorboard"]),
    (ImageCommand, ["a", "--set", "x=1", "--seed", "3", "--set", "y=2"], ["a", "--seed", "3", "--set", "x=1", "y=2"]),
    (ImageCommand, ["a", "--lora", "p", "--lora", "q=0.5"], ["a", "--lora", "p", "q=0.5"]),
    (ImageCommand, ["a", "--negative", "--prompt-like"], ["a", "--negative", "--prompt-like"]),
]  # fmt: skip


@pytest.mark.parametrize(("command", "typed", "own"), CASES)
def test_names_of_other_tools(command: type, typed: list[str], own: list[str]) -> None:
    assert normalize(typed, command) == own
    assert normalize(own, command) == own, "and own names are kept"


def test_they_reach_the_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    main(["image", "--negative-prompt", "blurry", "--prompt", "a cat", "--guidance_scale", "4", "--size", "64",
          "--num-inference-steps", "9", "--lr", "0.5", "--optimizer", "sgd", "--wandb", "--dry-run"])  # fmt: skip
    config = read_config(read_yaml(capsys.readouterr().out, "config"))
    assert config.prompts == ("a cat",) and config.negative == "blurry" and config.scale == 4 and config.steps == 9
    assert config.to_dict()["optimizer"]["sgd"]["lr"] == 0.5 and config.trackers == ("wandb",)
    assert config.to_dict()["prior"]["pipeline"]["size"] == [64, 64]
    main(["run", "--prior", "emoji", "--prompt", "an owl", "a cat", "--method", "sds", "--dry-run"])
    config = read_config(read_yaml(capsys.readouterr().out, "config"))
    assert config.prompts == ("an owl", "a cat") and config.scale == 3 and config.generator.n == 2  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("argv", "hint", "absent"),
    [
        (["image", "a", "--guidance-scal", "3"], "modeseek image --help", "paper"),
        (["image", "a", "--promptt", "3"], "modeseek image --help", "--prompts FILE"),
        (["shape", "a", "--volum", "dense"], "--volume", "toy"),
    ],
)
def test_hints_stay_within_the_command(
    argv: list[str], hint: str, absent: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    error = capsys.readouterr().err
    assert caught.value.code == 2 and hint in error and absent not in error


def test_the_newest_run_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["run", "--steps", "2"])
    main(["inspect"])
    output = capsys.readouterr().out
    assert "state       finished" in output
    main(["resume"])
    assert "is finished at step 2; --steps N extends it" in capsys.readouterr().out
    name = next((tmp_path / "runs").iterdir()).name
    for short in (name[-4:], "latest"):
        main(["inspect", short])
        assert name in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "verb"),
    [
        (["compare", "--problem", "ring"], "benchmark"),
        (["compare"], "compare"),
        (["compare", "runs/a", "runs/b", "--out", "x.html"], "compare"),
        (["compare", "--out", "x.html", "runs/a"], "compare"),
        (["compare-runs", "runs/a"], "compare"),
        (["benchmark"], "benchmark"),
        (["image", "compare-runs"], "image"),
    ],
)
def test_earlier_names_of_verbs(typed: list[str], verb: str) -> None:
    assert current_name(typed) == verb
