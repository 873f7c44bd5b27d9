"""`ms.image` and `ms.shape`: the runs of the commands, from Python, with images, films and meshes as results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cases import one_line
from PIL import Image

import modeseek as ms
from modeseek.cli import main
from modeseek.config.priors import PipelinePriorConfig

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
pytest.importorskip("skimage", reason="pip install -e '.[mesh]' runs the tests of meshes")
import tiny  # noqa: E402 - needs diffusers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
PROMPTS = ["a red cone", "a cube"]


@pytest.fixture(scope="module")
def sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make("sd", tmp_path_factory.mktemp("sd"))


@pytest.fixture(scope="module")
def loaded(sd: Path) -> ms.Pipeline:
    return ms.Pipeline.from_pretrained(sd, size=16, cache=None)


@pytest.fixture(scope="module")
def drawn(loaded: ms.Pipeline, tmp_path_factory: pytest.TempPathFactory) -> ms.ImageResult:
    return ms.image(PROMPTS, loaded, steps=4, copies=2, seed=3, out=tmp_path_factory.mktemp("image") / "run")


@pytest.fixture(scope="module")
def turned(loaded: ms.Pipeline, tmp_path_factory: pytest.TempPathFactory) -> ms.ShapeResult:
    out = tmp_path_factory.mktemp("shape") / "run"
    small = ["generator.nerf.samples=8", "generator.nerf.sides=[8]", "generator.nerf.size=8", "previews=2"]
    return ms.shape(
        "a red cone", loaded, ms.SDS(), steps=2, cameras=2, views="none", film="none", settings=small, out=out
    )


def weights(run: ms.Run) -> bytes:
    return (run.path / "exports" / "generator.safetensors").read_bytes()


def test_the_result_has_images_of_pillow_and_the_run(drawn: ms.ImageResult) -> None:
    assert drawn.run.status.state == "finished" and drawn.run.config.prompts == tuple(PROMPTS)
    assert drawn.run.command == "modeseek.image" and (drawn.run.path / "report.html").exists()
    assert len(drawn.images) == 4 and drawn.image == drawn.images[0]
    exported = np.load(drawn.run.path / "exports" / "images.npy")
    assert torch.equal(drawn.pixels, torch.from_numpy(exported))
    for image, pixels in zip(drawn.images, exported, strict=True):
        assert image.mode == "RGB" and image.size == (16, 16)
        assert np.abs(np.asarray(image) / 255 - pixels.clip(0, 1).transpose(1, 2, 0)).max() <= 0.5 / 255 + 1e-6


def test_the_same_words_give_the_run_of_the_command(sd: Path, drawn: ms.ImageResult, tmp_path: Path) -> None:
    argv = [*PROMPTS, "--prior", str(sd), "--size", "16", "16", "--steps", "4", "--copies", "2", "--seed", "3"]
    main(["image", *argv, "--set", "prior.pipeline.cache=false", "--out", str(tmp_path / "run")])
    typed = ms.Run(tmp_path / "run")
    assert typed.config == drawn.run.config and weights(typed) == weights(drawn.run)


def test_a_loaded_pipeline_is_used_as_it_is_and_loaded_again_on_resume(
    loaded: ms.Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []
    load = PipelinePriorConfig.load
    monkeypatch.setattr(PipelinePriorConfig, "load", lambda self, device: loads.append(device) or load(self, device))
    whole = ms.image("a red cone", loaded, "sds", steps=5, film="none", out=tmp_path / "whole")
    part = ms.image("a red cone", loaded, "sds", steps=3, film="none", out=tmp_path / "part")
    assert loads == []
    ms.resume(part.run, steps=5)
    assert loads == ["cpu"] and part.run.status.step == 5
    assert part.run.environment["prior"] == whole.run.environment["prior"]


@pytest.mark.parametrize(("progress", "terminal", "shown"), [(True, False, 1), (False, True, 0), (None, False, 0)])
def test_progress_is_shown_where_somebody_watches(
    progress: bool | None,
    terminal: bool,
    shown: int,
    loaded: ms.Pipeline,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("modeseek.runs.result.is_interactive", lambda: terminal)
    ms.image("a cube", loaded, steps=1, film="none", out=tmp_path / "run", progress=progress)
    assert ("optimising" in capsys.readouterr().err) == shown


def test_a_method_is_a_name_or_an_object_with_its_own_settings(sd: Path, tmp_path: Path) -> None:
    options = {"steps": 1, "size": 16, "film": "none"}
    sdi = ms.SDI(scale=5.0, inversion_steps=2)
    chosen = ms.image("a cone", sd, sdi, **options, out=tmp_path / "a")
    assert chosen.run.config.method == sdi and chosen.run.config.scale == 1
    scaled = ms.image("a cone", str(sd), sdi, scale=3.0, **options, out=tmp_path / "b")
    assert scaled.run.config.method == ms.SDI(scale=3.0, inversion_steps=2)
    msd = ms.image("a cone", ms.runs.PipelinePriorConfig(str(sd), (16, 16)), ms.MSD(0.3), steps=1, out=tmp_path / "c")
    assert msd.run.config.method == ms.MSD(ms.Fixed(0.3)) and msd.run.config.scale == 7.5


@pytest.mark.parametrize(("name", "form"), [("film.mp4", "mp4"), ("film.gif", "gif")])
def test_the_film_is_written_in_the_format_of_its_suffix(
    name: str, form: str, drawn: ms.ImageResult, tmp_path: Path
) -> None:
    data = drawn.video(tmp_path / name).read_bytes()
    assert data[4:8] == b"ftyp" if form == "mp4" else data[:4] == b"GIF8"
    with pytest.raises(ValueError, match=r"a film must be written to a \.mp4 or \.gif file, got 'film\.avi'"):
        drawn.video(tmp_path / "film.avi")


def test_a_shape_is_a_run_with_views_a_mesh_and_a_turntable(turned: ms.ShapeResult, tmp_path: Path) -> None:
    run = turned.run
    assert run.status.state == "finished" and run.config.method == ms.SDS() and run.command == "modeseek.shape"
    assert len(turned.images) == 6 and turned.image.mode == "RGB"
    mesh = turned.mesh(resolution=16)
    assert len(mesh.mesh.faces) < len(turned.mesh(resolution=24).mesh.faces)
    heads = {"a.glb": b"glTF", "a.ply": b"ply\n", "a.obj": b"", "a.stl": b""}
    for name, head in heads.items():
        path = mesh.save(tmp_path / name)
        assert path == tmp_path / name and path.read_bytes().startswith(head) and path.stat().st_size > 1000
    with Image.open(turned.turntable(tmp_path / "turn.gif", size=24, frames=3)) as film:
        assert film.size == (24, 24) and film.n_frames == 3
    with pytest.raises(ValueError) as caught:
        mesh.save(tmp_path / "a.fbx")
    assert "fbx" in one_line(caught.value)


def test_a_pipeline_moves_and_says_how_it_was_loaded(sd: Path, loaded: ms.Pipeline) -> None:
    assert loaded.to("cpu") is loaded and loaded.device.type == "cpu"
    config = PipelinePriorConfig.of(loaded)
    assert config == PipelinePriorConfig(str(sd.absolute()), (16, 16), cache=False)
    half = ms.Pipeline.load(sd, dtype=torch.bfloat16)
    assert PipelinePriorConfig.of(half) == PipelinePriorConfig(str(sd.absolute()), dtype="bfloat16")


MISTAKES = {
    "empty prompt": (lambda sd: ms.image("", sd), ValueError, "prompts must not be empty"),
    "no prompts": (lambda sd: ms.image([], sd), ValueError, "prompts must not be empty"),
    "a number": (lambda sd: ms.image(3, sd), TypeError, "prompts must be text or a list of texts, got 3"),
    "a set": (lambda sd: ms.image({"a"}, sd), TypeError, "prompts must be text or a list of texts"),
    "method class": (lambda sd: ms.image("a", sd, ms.SDS), TypeError, "got the class SDS; try SDS()"),
    "method name": (lambda sd: ms.image("a", sd, "sdss"), ValueError, "unknown method 'sdss': did you mean sds?"),
    "method object": (
        lambda sd: ms.image("a", sd, 3),
        TypeError,
        "method must be a name or an object such as ms.SDS()",
    ),
    "prior": (lambda sd: ms.image("a", 3), TypeError, "prior must be a name such as 'emoji'"),
    "mixture": (lambda sd: ms.image("a", ms.Empirical(torch.zeros(1, 2))), TypeError, "other priors: ms.distill"),
    "generator": (lambda sd: ms.image("a", sd, "msd", "fields"), ValueError, "did you mean field?"),
    "device": (lambda sd: ms.image("a", ms.Pipeline.load(sd), device="meta"), ValueError, "device must be"),
    "size of a loaded one": (lambda sd: ms.image("a", ms.Pipeline.load(sd), size=16), ValueError, "size must be set"),
    "setting": (lambda sd: ms.image("a", sd, settings=["steps"]), ValueError, "a setting must be KEY=VALUE"),
    "copies": (lambda sd: ms.image("a", sd, copies=0), ValueError, "copies must be at least 1, got 0"),
    "shape of a list": (lambda sd: ms.shape(["a"], sd), TypeError, "the prompt must be one text"),
    "empty shape": (lambda sd: ms.shape(" ", sd), ValueError, "the prompt must not be empty"),
    "shape of a class": (lambda sd: ms.shape("a", ms.Pipeline), TypeError, "prior must be a name"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_no_folder(
    case: str, sd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unchecked: None
) -> None:
    monkeypatch.chdir(tmp_path)
    call, kind, words = MISTAKES[case]
    with pytest.raises(kind) as caught:
        call(sd)
    assert words in one_line(caught.value) and not (tmp_path / "runs").exists()


def test_a_pipeline_that_was_built_in_python_cannot_be_run(sd: Path, loaded: ms.Pipeline) -> None:
    built = ms.Pipeline(loaded.pipe, loaded.family, loaded.shape, loaded.prompts)
    with pytest.raises(ValueError, match="this pipeline was built in Python: save it by") as caught:
        ms.image("a cone", built)
    one_line(caught.value)
