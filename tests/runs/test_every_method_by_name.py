"""Every method by name on both priors that ship, in image, shape, edit and svg: two steps, or the line it must say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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
from modeseek.config.shape_config import refined_config, shape_config
from modeseek.config.svg_config import svg_config
from modeseek.io.images import encode_png
from modeseek.methods import METHODS, LoRAAuxiliary, MLPAuxiliary
from modeseek.methods.base import needs_of
from modeseek.reports import run_page
from modeseek.runs import train
from modeseek.runs.build import build

VERBS: dict[str, list[str]] = {  # what keeps two steps small
    "image": ["--generator", "latent"],
    "edit": [],
    "svg": ["--start", "random", "--paths", "2", "--cubics", "2", "--shift", "0"],
    "shape": [
        *("--set", "generator.nerf.sides=[8]", "generator.nerf.samples=4", "generator.nerf.size=8"),
        *("generator.nerf.coarse=1", "generator.nerf.texture_size=null", "--shift", "0"),
    ],
    "splats": [
        *("--generator", "splats", "--set", "generator.splats.capacity=40", "generator.splats.size=8"),
        *("generator.splats.start=ball", "generator.splats.texture_size=null", "--shift", "0"),
    ],
}
SOLID = ("shape", "splats")  # both are the command shape
FAST = {  # of methods that evaluate the prior many times in a step
    "sdi": ["method.sdi.inversion_steps=1"],
    "ism": ["method.ism.stride=0.5"],
    "pfd": ["method.pfd.inversion_steps=1", "method.pfd.steps=1"],
    "dsd": ["method.dsd.ode_steps=1"],
    "reward-sds": ["method.reward-sds.steps=1"],
}
NEEDS_VIEWS = ("mvdream", "esd")
DRAWN = ("msd", "vsd", "sds-bridge")  # of svg; the others run in image
SHAPED = (  # of shape: what has other settings there, sees the camera, or keeps something per particle
    *(
        "msd",
        "sds",
        "vsd",
        "esd",
        "asd",
        "vpsd",
        "cfd",
        "fsd",
        "rsd",
        "dsd",
        "mvdream",
        "segment-dreamer",
        "dds",
        "cds",
    ),
)
TEXTS = {"negative": "a blue cube", "source": "a yellow cube"}
RUN = [  # each method in images and edits, under the two priors in turn, those of which 3-D is another case there, too
    *((name, "image", ("scenes", "emoji")[number % 2]) for number, name in enumerate(METHODS)),
    *((name, "edit", ("emoji", "scenes")[number % 2]) for number, name in enumerate(edit_methods())),
    *((name, "svg", "emoji") for name in DRAWN),
    *((name, "shape", "scenes") for name in SHAPED),
    *((name, "splats", "scenes") for name in ("msd", "cfd", "esd")),
]
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
    if verb not in SOLID and name in NEEDS_VIEWS:
        return f"{name} needs views of one 3D object, got generator {'latent' if verb == 'image' else 'drawing'}; try"
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
    fast += ["--cameras", "4" if name == "mvdream" else "1"] if verb in SOLID else []
    command = "shape" if verb in SOLID else verb
    argv = [command, *image, "a red cone", "--prior", prior, "--method", name, "--steps", "2", "--film", "none"]
    return [*argv, "--device", "cpu", *options, *VERBS[verb], *fast, "--set", "previews=0"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "verb", "prior"), [row for row in RUN if not expected_line(row[1], row[0], frozenset(TEXTS))]
)
def test_two_steps(name: str, verb: str, prior: str, folder: Path, tmp_path: Path) -> None:
    main([*arguments(verb, name, prior, folder, TEXTS), "--out", str(tmp_path / "run")])
    run = ms.Run.load(tmp_path / "run")
    assert run.status.state == "finished" and run.status.step == 2 and run.config.method_name == name
    assert all(row["direction_norm"] is not None for row in run.metrics)
    weights = load_file(sorted((run.path / "checkpoints").glob("*/tensors.safetensors"))[-1])
    assert weights and all(tensor.isfinite().all() for tensor in weights.values() if tensor.is_floating_point())


@pytest.mark.parametrize("verb", VERBS)
def test_what_a_method_lacks_is_one_line_before_anything_is_loaded(
    verb: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PipelinePriorConfig, "load", lambda self, device: pytest.fail("the prior was loaded"))
    for texts in (TEXTS, {}):
        for name in METHODS:
            if line := expected_line(verb, name, frozenset(texts)):
                assert line in cli_error(arguments(verb, name, "scenes", folder, texts), capsys)


def test_views_are_needed_in_groups_of_cameras(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PipelinePriorConfig, "load", lambda self, device: pytest.fail("the prior was loaded"))
    argv = ["shape", "a cone", "--method", "mvdream", "--cameras", "6"]
    assert "mvdream needs a multiple of 4 cameras per step, got 6; try --cameras 4" in cli_error(argv, capsys)


@pytest.mark.parametrize("name", ["vsd", "esd", "asd", "vpsd"])
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


def test_in_three_dimensions_phi_sees_the_camera_and_noise_lives_in_the_world() -> None:
    for prior in ("scenes", "renders"):
        for name in ("vsd", "esd", "asd"):
            for given in (name, METHODS[name]()):
                method = shape_config("a red cone", prior, method=given).method
                assert isinstance(method, ms.VSD) and method.camera is ms.methods.pose
                assert method.auxiliary.cameras == ms.methods.POSE_NUMBERS  # pyright: ignore[reportAttributeAccessIssue]
        cfd, fsd = (shape_config("a red cone", prior, method=name).method for name in ("cfd", "fsd"))
        assert isinstance(cfd, ms.methods.CFD) and cfd.noise == ms.methods.Triplanes()
        assert isinstance(fsd, ms.methods.FSD) and fsd.noise == ms.methods.Voxels()
    assert image_config(["a cone"], method="vsd").method.camera is None  # pyright: ignore[reportAttributeAccessIssue]


def test_several_particles_by_name(loaded: Callable[[str], LoadedPrior]) -> None:
    config = shape_config("a red cone", method="rsd", device="cpu", settings=VERBS["shape"][1:4])
    config = replace(config, generator=replace(config.generator, particles=3, views=2))  # pyright: ignore[reportArgumentType]
    assert config.generator.rows == 6
    objects = build(config, loaded("scenes"))
    assert isinstance(objects.generator, ms.Ensemble) and objects.batch == 6 and objects.is_3d
    with pytest.raises(ValueError, match="particles must be 1 to 64, got 0; try 4"):
        shape_config("a red cone", particles=0)
    with pytest.raises(ValueError, match="the second stage refines one mesh, got 3 particles; try particles=1"):
        refined_config(config, Path("mesh.ply"), 4)


def test_the_preset_of_vsd_has_a_lora(capsys: pytest.CaptureFixture[str]) -> None:
    main(["shape", "a cone", "--preset", "prolificdreamer", "--dry-run"])
    assert "adapter:" in capsys.readouterr().out
