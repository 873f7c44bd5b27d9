"""README and docs/results.md: links, code, and every number against the file that it comes from."""

from __future__ import annotations

import ast
import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import modeseek as ms
from modeseek.cli import main
from modeseek.cli.method_list import count_calls
from modeseek.cli.verbs import VERBS
from modeseek.config.guidance import default_guidance
from modeseek.config.priors import PipelinePriorConfig
from modeseek.methods import METHODS
from modeseek.priors.pipeline.architectures import FAMILY_BY_CLASS
from modeseek.priors.pipeline.bundled_table import BUNDLED_PRIORS

ROOT = Path(__file__).parents[1]
_STABLE_DIFFUSION = {"StableDiffusionPipeline", "StableDiffusionXLPipeline", "StableDiffusion3Pipeline"}
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
FRACTAL = json.loads((ROOT / "docs" / "results" / "fractal.json").read_text())
ROWS = {
    "DDIM (samples)": "ddim",
    "SDS, uniform t": "sds",
    "SDS, annealed t": "sds-annealed",
    "SDI": "sdi",
    "MSD, one call, Adaptive": "msd",
    "MSD, fading jitter": "msd-jitter",
    "MSD, exact product (8 Heun steps)": "msd-product",
    "MSD, kernel score (the paper's sampler)": "msd-kernel-score",
    "find_modes from 2,000 samples": "find-modes",
}
COLUMNS = {
    "calls": "calls",
    "NLL": "nll",
    "precision": "precision",
    "recall": "recall",
    "MMD": "mmd",
    "median mode distance": "distance",
    "mass found": "coverage",
}


def table(text: str, first: str) -> list[dict[str, str]]:
    """Rows of the first table after a line that starts so, by heading, without emphasis."""
    lines = text[text.index(first) :].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace("*", "").replace("`", "") for cell in line.strip("|").split("|")])
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def test_the_fractal_table_is_that_of_its_run() -> None:
    rows = {row["method"]: row for row in table(RESULTS, "## A 2-D fractal")}
    assert list(rows) == list(ROWS)
    for title, row in rows.items():
        measured = FRACTAL["methods"][ROWS[title]]
        for heading, key in COLUMNS.items():
            text = row[heading].removesuffix(" h").replace(",", "")
            decimals = len(text.partition(".")[2]) if "e" not in text else 0
            allowed = 0.51 * float(text) if "e" in text else 0.51 * 10**-decimals
            assert abs(float(text) - measured[key]) <= allowed + 1e-12, (title, heading, text, measured[key])


# What each number of the text is, as code that finds it; numbers in code and links are checked by the tests below.
NUMBERS: dict[str, Callable[[], bool]] = {
    "64-pixel": lambda: all(prior.size == (64, 64) for prior in BUNDLED_PRIORS.values()),
    "64 x 64": lambda: all(prior.size == (64, 64) for prior in BUNDLED_PRIORS.values()),
    "Python 3.11": lambda: 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text(),
    "| 2 evaluations |": lambda: _cost("msd") == _cost("sds") == 2,
    "| 2, and 20 for the inversion |": lambda: ms.SDI().inversion_steps * 2 == 20,
    "| 2, and the LoRA's training |": lambda: _cost("vsd") == 2,
    "`scale = 1` is none": lambda: _guided_by(1.0) == _guided_by(None),
    "DreamFusion's 100 is 101 here": lambda: default_guidance("sds", PipelinePriorConfig("owner/name")).scale == 101,
    "Stable Diffusion 1, 2, XL and 3": lambda: _STABLE_DIFFUSION <= FAMILY_BY_CLASS.keys(),
    "3 GB": lambda: sys.prefix == sys.base_prefix or _size(Path(sys.prefix)) < 3e9,  # of a virtual environment
    "Apache-2.0": lambda: "Apache License" in (ROOT / "LICENSE").read_text(),
}


def _size(folder: Path) -> int:
    """Size of all files of a folder, bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _guided_by(scale: float | None) -> list[float]:
    """Prediction of one of two components, guided."""
    eye = torch.eye(2).expand(2, 2, 2)
    mixture = ms.GaussianMixture(torch.ones(2) / 2, torch.tensor([[0.0, 1.0], [2.0, 0.0]]), eye, labels=torch.arange(2))
    conditions = ms.Conditions(torch.tensor([0]), null=torch.tensor([-1]))
    prior = mixture if scale is None else ms.Guided(mixture, scale)
    return prior(torch.ones(1, 2), torch.tensor([0.5]), conditions).z.flatten().tolist()


def _cost(name: str) -> int:
    """Evaluations of a guided step of a method, counted."""
    return count_calls(name)[2]


@pytest.mark.slow
@pytest.mark.parametrize("text", NUMBERS)
def test_every_number_has_a_source(text: str) -> None:
    assert text in README and NUMBERS[text]()


def test_no_number_is_without_a_row() -> None:
    plain = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", plain)
    for text in sorted(NUMBERS, key=len, reverse=True):
        plain = plain.replace(text, "")
    plain = re.sub(r"`[^`]*`|\b[23]-?D\b", "", plain)
    assert re.findall(r"\S*(?<![A-Za-z])\d\S*", plain) == [], "name where it comes from in NUMBERS"


def test_it_is_short_and_nothing_is_clipped() -> None:
    assert len(README.splitlines()) <= 125
    for block in re.findall(r"```\w*\n(.*?)```", README, flags=re.DOTALL):
        assert max(map(len, block.splitlines())) <= 100


@pytest.mark.parametrize("name", ["README.md", "docs/results.md"])
def test_links_lead_somewhere(name: str) -> None:
    path = ROOT / name
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target
    for anchor in re.findall(r"results\.md#([\w-]+)", README):
        headings = [
            re.sub(r"[^\w -]", "", line.lstrip("# ")).lower() for line in RESULTS.splitlines() if line[:1] == "#"
        ]
        assert anchor in [heading.replace(" ", "-") for heading in headings]


def test_commands_are_commands(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    mesh = tmp_path / "cone.obj"
    mesh.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n")
    commands = [line.split(" #")[0] for line in README.splitlines() if line.startswith("modeseek ")]
    assert len(commands) >= 3
    for command in commands:
        argv = shlex.split(command.replace(mesh.name, str(mesh)))[1:]
        assert argv[0] in VERBS
        main([*argv, "--dry-run"])
        assert "verb: run" in capsys.readouterr().out or argv[0] != "image"


@pytest.mark.slow
def test_the_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first block, with fewer steps and pixels; the second is a part of a loop, and parses."""
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len([line for line in blocks[0].splitlines() if line.strip()]) <= 10
    ast.parse(blocks[1])
    monkeypatch.chdir(tmp_path)
    code = blocks[0]
    for old, new in (
        ("steps=100)", "steps=2, film='none')"),
        ("steps=100", "steps=2"),
        ("resolution=128", "resolution=16"),
        ("size=512", "size=32, frames=4"),
    ):
        assert old in code
        code = code.replace(old, new)
    exec(compile(code, "README.md", "exec"), {})
    assert {path.name for path in tmp_path.iterdir()} == {"owl.png", "cone.glb", "cone.mp4", "runs"}


def test_more_than_twenty_other_methods() -> None:
    assert len(METHODS) - 4 > 20 and "more than\ntwenty other methods" in README
