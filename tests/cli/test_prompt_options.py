"""Prompts that are cut, LoRA that fit in part, and textual inversions: in the terminal and in log.txt of every run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from modeseek.cli.image import ImageCommand
from modeseek.cli.main import main
from modeseek.config.camera_prompts import CameraPromptsConfig
from modeseek.config.config import Config, read_config
from modeseek.config.defaults import default_config
from modeseek.config.generators3d import NeRFConfig
from modeseek.config.pipeline_options import parse_embedding
from modeseek.config.priors import PipelinePriorConfig
from modeseek.config.prompts import clean_prompt, name_of
from modeseek.io.remarks import LOGGED, RemarkWarning
from modeseek.priors.pipeline import LoRA, TextualInversion
from modeseek.rundir.run_dir import Run
from modeseek.runs.build import build

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
import tiny  # noqa: E402 - needs diffusers

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("always::UserWarning"),
]
LONG = "red cone " * 6 + "end"  # more than the 14 tokens that tests/tiny.py's encoder reads
LAYER = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"


@pytest.fixture(scope="module")
def sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make("sd", tmp_path_factory.mktemp("sd"))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODESEEK_CACHE", str(tmp_path_factory.getbasetemp() / "text-cache"))


def command(argv: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Runs a command and returns its warnings in the terminal."""
    main(argv)
    lines = capsys.readouterr().err.splitlines()
    assert not any("Warning" in line for line in lines), "lines of Python's own form"
    return [line.removeprefix("modeseek: warning: ") for line in lines if line.startswith("modeseek: warning: ")]


def in_log(folder: Path, line: str) -> int:
    return sum(entry.split(" ", 1)[1] == LOGGED + line for entry in Run(folder).log)


@pytest.mark.slow
def test_what_is_cut_is_in_the_terminal_and_the_log(
    sd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cached or not, resumed or not, once a session and prompt."""
    options = ["--prior", str(sd), "--size", "16", "16", "--generator", "latent", "--steps", "1"]
    for name in ("first", "second"):
        argv = ["image", LONG, "a cone", "--copies", "2", *options, "--out", str(tmp_path / name)]
        (line,) = command(argv, capsys)
        assert "cut" in line and "end'" in line and in_log(tmp_path / name, line) == 1
    assert command(["resume", str(tmp_path / "second"), "--steps", "2"], capsys) == [line]
    assert in_log(tmp_path / "second", line) == 2
    argv = ["sample", LONG, "--prior", str(sd), "--size", "16", "16", "--steps", "1", "--out", str(tmp_path / "sample")]
    assert command(argv, capsys) == [line] and in_log(tmp_path / "sample", line) == 1
    argv = ["image", LONG, *options, "--out", str(tmp_path / "chunks"), "--long-prompts", "chunk"]
    assert command(argv, capsys) == []
    assert Run(tmp_path / "chunks").config.prior == PipelinePriorConfig(str(sd), (16, 16), long_prompts="chunk")


def test_all_views_of_a_shape_are_one_line(sd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--prior", str(sd), "--size", "16", "--cameras", "1", "--steps", "1"]
    prior, views = PipelinePriorConfig(str(sd), (16, 16)), CameraPromptsConfig("coarse")
    config = default_config("sds", prior, NeRFConfig("dense", 1, 16), 1.0, prompts=(LONG,), views=views, steps=1)
    with pytest.warns(RemarkWarning) as caught:
        objects = build(config)
    assert objects.remarks == (str(caught[0].message),) and "cut" in objects.remarks[0]
    positive = objects.conditions.conditions.conditions.positive["text"]
    assert all((positive[i] - positive[j]).abs().max() > 1e-4 for i in range(4) for j in range(i))
    with pytest.raises(SystemExit) as error:
        main(["shape", "red", *options, "--views", "fine", "--out", str(tmp_path / "fine")])
    said = capsys.readouterr().err
    assert error.value.code == 2 and "a view phrase must fit into a text encoder" in said
    assert said.count("\n") == 1 and not (tmp_path / "fine").exists()


def test_a_lora_and_an_embedding(sd: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def layer(name: str) -> dict[str, torch.Tensor]:
        return {f"unet.{name}.lora_A.weight": torch.ones(2, 16), f"unet.{name}.lora_B.weight": torch.ones(16, 2)}

    save_file(layer(LAYER) | layer("nowhere.to_q"), lora := tmp_path / "a=b.safetensors")
    save_file({"<x>": torch.ones(2, tiny.WIDTH)}, embedding := tmp_path / "x.safetensors")
    argv = ["image", "a <y>", "--prior", str(sd), "--size", "16", "16", "--generator", "latent", "--steps", "1"]
    argv += ["--lora", f"{lora}=0.5", "--embedding", f"{embedding}=<y>", "--out", str(tmp_path / "run")]
    (line,) = command(argv, capsys)
    assert "1 of 2 layers are merged" in line and in_log(tmp_path / "run", line) == 1
    config = Run(tmp_path / "run").config
    assert isinstance(config.prior, PipelinePriorConfig)
    assert config.prior.loras == (LoRA(str(lora), 0.5),)
    assert config.prior.embeddings == (TextualInversion(str(embedding), "<y>"),)
    assert isinstance(read_config(Run(tmp_path / "run").settings), Config)
    save_file({"<x>": torch.zeros(2, tiny.WIDTH)}, embedding)
    with pytest.raises(SystemExit) as error:
        main(["resume", str(tmp_path / "run"), "--steps", "2"])
    assert error.value.code == 2 and "has changed since run began" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "prompt", "name"),
    [
        ("a red\ncone", "a red cone", "a red cone"),
        ("a red\tcone", "a red cone", "a red cone"),
        ("a red\r\ncone\n", "a red cone", "a red cone"),
        ("a  red cone ", "a  red cone ", "a red cone"),
        ("a \x07 cone", "a \x07 cone", "a cone"),
        ("a" * 50, "a" * 50, "a" * 40),
    ],
)
def test_prompts_of_several_lines(text: str, prompt: str, name: str) -> None:
    assert (clean_prompt(text), name_of(text)) == (prompt, name)


def test_a_prompt_of_two_lines_is_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    ImageCommand(("a red\ncone", "an\towl"), negative="a\nb", dry_run=True).run([])
    config = read_config(__import__("yaml").safe_load(capsys.readouterr().out), "printed")
    assert (config.prompts, config.negative, config.name) == (("a red cone", "an owl"), "a b", "a red cone")


@pytest.mark.parametrize(
    ("text", "path", "token"),
    [
        ("x.safetensors", "x.safetensors", ""),
        ("x.safetensors=<cat>", "x.safetensors", "<cat>"),
        ("a=b.safetensors", "a=b.safetensors", ""),
        ("a=b.safetensors=c=d", "a=b.safetensors", "c=d"),
    ],
)
def test_embeddings_as_typed(text: str, path: str, token: str) -> None:
    assert parse_embedding(text) == TextualInversion(path, token)


@pytest.mark.parametrize(
    ("text", "path", "scale"),
    [
        ("style.safetensors", "style.safetensors", 1.0),
        ("style.safetensors=0.8", "style.safetensors", 0.8),
        ("style.safetensors=-1e-1", "style.safetensors", -0.1),
        ("a=b.safetensors", "a=b.safetensors", 1.0),
        ("a=b.safetensors=2", "a=b.safetensors", 2.0),
        ("exists=3", "exists=3", 1.0),
        ("exists=3=0.5", "exists=3", 0.5),
        ("runs/a=1/b", "runs/a=1/b", 1.0),
    ],
)
def test_files_with_an_equals_sign(
    text: str, path: str, scale: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exists=3").mkdir()
    assert LoRA.parse(text) == LoRA(path, scale)
    for wrong in ("style.safetensors=strong", "style.safetensors=0,8", "style.safetensors=nan"):
        with pytest.raises(ValueError, match="a LoRA must be FILE or FILE=SCALE, got"):
            LoRA.parse(wrong)
