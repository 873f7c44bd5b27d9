"""Every method by name on both priors that ship, in image, shape, edit and svg: two steps, or the line it must say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from terminal import cli_error

import modeseek as ms
from modeseek.cli import main
from modeseek.config.defaults import configure
from modeseek.config.edit_config import edit_methods
from modeseek.config.image_config import image_config
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.config.priors import PipelinePriorConfig
from modeseek.config.shape_config import shape_config
from modeseek.config.svg_config import svg_config
from modeseek.io.images import encode_png
from modeseek.methods import METHODS, LoRAAuxiliary, MLPAuxiliary
from modeseek.methods.base import needs_of
from modeseek.reports import run_page
from modeseek.runs import train

BUILT = (  # commands under the priors that they are for; both priors under images and edits
    *(("image", "scenes"), ("image", "emoji"), ("edit", "scenes"), ("edit", "emoji")),
    *(("svg", "emoji"), ("shape", "scenes")),
)
VERBS: dict[str, list[str]] = {  # what keeps two steps small
    "image": ["--generator", "latent"],
    "edit": [],
    "svg": ["--start", "random", "--paths", "2", "--cubics", "2", "--shift", "0"],
    "shape": [
        *("--set", "generator.nerf.sides=[8]", "generator.nerf.samples=4", "generator.nerf.size=8"),
        *("generator.nerf.coarse=1", "--shift", "0"),
    ],
}
FAST = {  # of methods that evaluate the prior many times in a step
    "sdi": ["method.sdi.inversion_steps=1"],
    "ism": ["method.ism.stride=0.5"],
}
NEEDS_VIEWS = ("mvdream", "esd")
TEXTS = {"negative": "a blue cube", "source": "a yellow cube"}
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def expected_line(verb: str, name: str, given: frozenset[str]) -> str:
    """The line that a command must end with; empty where it must run."""
    if verb == "edit" and name not in edit_methods():
        return f"edit needs a method that compares two prompts, got {name}; try dds"
    missing = next((need for need in needs_of(METHODS[name]) if need not in given), "")
    if missing:
        return f"{name} needs a {missing} prompt, got none; try --{missing}"
    if verb != "shape" and name in NEEDS_VIEWS:
        return f"{name} needs views of one 3D object, got generator {'latent' if verb == 'image' else 'drawing'}; try"
    if name == "esd":
        return "ESD with entropy > 0 needs a camera"
    return ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an image to edit."""
    path = tmp_path_factory.mktemp("named")
    image = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0)).repeat_interleave(16, 1)
    (path / "image.png").write_bytes(encode_png(image.repeat_interleave(16, 2)))
    return path


@pytest.fixture(autouse=True)
def shared(loaded: Callable[[str], LoadedPrior], monkeypatch: pytest.MonkeyPatch) -> None:
    """The priors are loaded once for all tests, and no run is exported: meshes and sheets take longer than steps."""
    monkeypatch.setattr(PipelinePriorConfig, "load", lambda self, device: loaded(self.path))
    monkeypatch.setattr(train, "export_run", lambda run, objects, recorder: None)
    monkeypatch.setattr(run_page, "write_run_page", lambda run: run.path / "report.html")


@pytest.fixture(scope="module")
def loaded() -> Callable[[str], LoadedPrior]:
    """Function that returns a prior by its name, loaded once."""
    load, priors = PipelinePriorConfig.load, dict[str, LoadedPrior]()

    def find(name: str) -> LoadedPrior:
        if name not in priors:
            priors[name] = load(PipelinePriorConfig(name), "cpu")
        return priors[name]

    return find


def arguments(verb: str, name: str, prior: str, folder: Path, texts: dict[str, str]) -> list[str]:
    """Arguments of two steps of a method, with the prompts that it needs and that are given."""
    needed = ("source",) if verb == "edit" else needs_of(METHODS[name])
    options = [part for need in needed if need in texts for part in (f"--{need}", texts[need])]
    image = [str(folder / "image.png")] if verb == "edit" else []
    fast = ["--set", *FAST[name]] if name in FAST else []
    fast += ["--cameras", "4" if name == "mvdream" else "1"] if verb == "shape" else []
    argv = [verb, *image, "a red cone", "--prior", prior, "--method", name, "--steps", "2", "--film", "none"]
    return [*argv, "--device", "cpu", *options, *VERBS[verb], *fast, "--set", "previews=0"]


@pytest.mark.parametrize(("verb", "prior"), BUILT)
@pytest.mark.parametrize("name", METHODS)
def test_two_steps_or_the_line(
    name: str, verb: str, prior: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [*arguments(verb, name, prior, folder, TEXTS), "--out", str(tmp_path / "run")]
    line = expected_line(verb, name, frozenset(TEXTS))
    if line:
        assert line in cli_error(argv, capsys)
        assert not (tmp_path / "run").exists()
        return
    main(argv)
    run = ms.Run.load(tmp_path / "run")
    assert run.status.state == "finished" and run.status.step == 2 and run.config.method_name == name
    assert all(row["direction_norm"] is not None for row in run.metrics)
    weights = load_file(sorted((run.path / "checkpoints").glob("*/tensors.safetensors"))[-1])
    assert weights and all(tensor.isfinite().all() for tensor in weights.values() if tensor.is_floating_point())


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if needs_of(method)])
def test_a_missing_prompt_is_named_before_anything_is_loaded(
    name: str, verb: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PipelinePriorConfig, "load", lambda self, device: pytest.fail("the prior was loaded"))
    line = expected_line(verb, name, frozenset())
    assert line and line in cli_error(arguments(verb, name, "scenes", folder, {}), capsys)


def test_views_are_needed_in_groups_of_cameras(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PipelinePriorConfig, "load", lambda self, device: pytest.fail("the prior was loaded"))
    argv = ["shape", "a cone", "--method", "mvdream", "--cameras", "6"]
    assert "mvdream needs a multiple of 4 cameras per step, got 6; try --cameras 4" in cli_error(argv, capsys)


@pytest.mark.parametrize("name", ["vsd", "esd", "asd"])
def test_a_second_score_is_a_lora_under_pipelines_and_a_small_network_elsewhere(name: str) -> None:
    made, settings = METHODS[name](), ["generator.nerf.views=4"]
    shapes = [shape_config("a cone", method=method) for method in (name, made)]
    configs = [configure({"prior": "scenes", "prompts": ["a cone"], "method": name, "generator": "nerf"}, settings)]
    if name not in NEEDS_VIEWS:
        images = [make(["a cone"], method=method) for make in (image_config, svg_config) for method in (name, made)]
        configs += [*images, configure({"prior": "emoji", "prompts": ["a cone"]}, [f"method={name}"])]
    assert all(isinstance(vars(config.method)["auxiliary"], LoRAAuxiliary) for config in [*shapes, *configs])
    for method in (name, made):
        renders = shape_config("a red cone", "renders", method=method)
        assert isinstance(vars(renders.method)["auxiliary"], MLPAuxiliary)
    chosen = METHODS[name](auxiliary=MLPAuxiliary(width=8))  # pyright: ignore[reportCallIssue]
    assert vars(shape_config("a cone", method=chosen).method)["auxiliary"] == MLPAuxiliary(width=8)


def test_the_preset_of_vsd_has_a_lora(capsys: pytest.CaptureFixture[str]) -> None:
    main(["shape", "a cone", "--preset", "prolificdreamer", "--dry-run"])
    assert "adapter:" in capsys.readouterr().out
