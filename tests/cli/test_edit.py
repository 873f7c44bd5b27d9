"""`modeseek edit` end to end on a small pipeline: every method and generator, files, scores, resume, mistakes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from terminal import cli_error, help_text

import modeseek as ms
from modeseek.cli import main
from modeseek.config.config import CheckpointConfig
from modeseek.config.edit_config import edit_config, edit_methods
from modeseek.config.generators import FieldConfig, LatentConfig, PixelsConfig
from modeseek.config.optimizers import AdamConfig, SGDConfig
from modeseek.config.vector import DrawingConfig
from modeseek.rundir.edit_records import EditRecord, read_edit_records
from modeseek.runs.api import create_run
from modeseek.runs.train import train

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
import tiny  # noqa: E402 - needs diffusers

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.usefixtures("loaded_once"),
]
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" fill="#8080ff"/>'
    '<path d="M1 1C6 1 9 1 9 9C9 12 6 12 3 12C1 9 1 6 1 1Z" fill="#f00"/></svg>'
)


@pytest.fixture(scope="module")
def sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make("sd", tmp_path_factory.mktemp("sd"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODESEEK_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def few_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    """Edits are compared with their sources at one noise level; `sampling/` tests the score at all."""
    monkeypatch.setattr("modeseek.sampling.likeliest._TIMES", (0.5,))


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "cone.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)).save(path)
    return path


def edit(photo: Path, sd: Path, out: Path, *more: str) -> ms.Run:
    argv = ["edit", str(photo), "a blue cone", "a cube", "--source", "a red cone", "--prior", str(sd)]
    film = [] if "--film" in more else ["--film", "none"]
    main([*argv, "--size", "16", "--steps", "3", "--out", str(out), *film, *more])
    return ms.Run.load(out)


@pytest.mark.slow
@pytest.mark.parametrize("generator", ["latent", "pixels", "field"])
def test_every_generator_starts_at_the_image(generator: str, photo: Path, sd: Path, tmp_path: Path) -> None:
    more = ["--set", "generator.field.fit_steps=200"] if generator == "field" else []
    run = edit(photo, sd, tmp_path / "run", "--generator", generator, "--film", "gif", *more)
    assert run.status.state == "finished" and run.status.calls == 3 * 2 * 4
    files = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*") if path.is_file()}
    stems = ("exports/a-blue-cone-s0", "exports/a-cube-s0")
    assert files >= {f"{stem}{size}.png" for stem in stems for size in ("", "@16x")}
    assert files >= {"media/source.png", "results.png", "exports/edits.json", "media/optimisation.gif", "report.html"}
    source = np.asarray(Image.open(run.path / "media" / "source.png"))
    assert source.shape == (16, 16, 3)
    page = (run.path / "report.html").read_text()
    assert "Source: a red cone" in page and "Distance to the source" in page
    assert "cone.png, 30 x 20 pixels, was cropped to its middle 20 x 20 and resized to 16 x 16" in page
    for record, prompt, stem in zip(read_edit_records(run.path), ("a blue cone", "a cube"), stems, strict=True):
        result = np.asarray(Image.open(run.path / f"{stem}.png"))
        assert (record.prompt, record.source, record.image) == (prompt, "a red cone", "media/source.png")
        expected = ((result.astype(float) - source) ** 2).mean() / 255**2
        assert record.distance == pytest.approx(expected, abs=2e-2) and record.distance > 0
        assert record.target_share is None and record.margin is not None and record.margin_before is not None


@pytest.mark.parametrize("generator", ["pixels", "latent"])
def test_the_optimisation_starts_at_the_image(generator: str, photo: Path, sd: Path, tmp_path: Path) -> None:
    config = edit_config(photo, ["a cube"], "a red cone", str(sd), generator=generator, size=(16, 16), steps=1)
    run, objects = create_run(config, ["test"], tmp_path / "run")
    assert objects.sources is not None
    expected = objects.sources if generator == "pixels" else objects.loaded.codec.encode(objects.sources)
    view = objects.generator.preview_view()
    assert torch.equal(objects.generator(view), expected)
    list(train(run, objects, 1))
    assert not torch.equal(objects.generator(view), expected)


def test_an_svg_file_is_edited_as_a_drawing(sd: Path, tmp_path: Path) -> None:
    pytest.importorskip("skimage", reason="pip install -e '.[vector]' runs the tests of drawings")
    (tmp_path / "a.svg").write_text(SVG)
    run = edit(tmp_path / "a.svg", sd, tmp_path / "run")
    assert isinstance(run.config.generator, DrawingConfig) and len(list((run.path / "exports").glob("*.svg"))) == 2
    source = np.asarray(Image.open(run.path / "media" / "source.png"))
    assert tuple(source[0, -1]) == (128, 128, 255) and tuple(source[5, 5]) == (255, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("generator", ["pixels", "latent"])
def test_a_resumed_edit_is_an_uninterrupted_one(generator: str, photo: Path, sd: Path, tmp_path: Path) -> None:
    whole = edit(photo, sd, tmp_path / "whole", "--steps", "4", "--generator", generator)
    prompts = ["a blue cone", "a cube"]
    config = edit_config(photo, prompts, "a red cone", str(sd), generator=generator, size=(16, 16), steps=4)
    config = replace(config, saving=CheckpointConfig(steps=1))
    run, objects = create_run(config, ["test"], tmp_path / "part")
    job = train(run, objects, 4)
    for _ in range(2):
        next(job)
    job.close()
    main(["resume", str(run.path)])
    first, second = (np.load(r.path / "exports" / "images.npy") for r in (whole, run))
    assert np.array_equal(first, second)
    assert read_edit_records(whole.path) == read_edit_records(run.path)


@pytest.mark.slow
@pytest.mark.parametrize("name", edit_methods())
def test_every_method_that_compares_two_prompts_edits(name: str, photo: Path, sd: Path, tmp_path: Path) -> None:
    run = edit(photo, sd, tmp_path / "run", "--method", name)
    assert run.status.state == "finished" and run.config.method_name == name
    assert all(record.distance > 0 for record in read_edit_records(run.path))


def test_the_defaults_and_their_rates_per_image(photo: Path) -> None:
    config = edit_config(photo, ["a", "b"], "c", copies=3)
    assert config.method_name == "dds" and config.generator == LatentConfig(6, files=(photo,)) and config.shift == 0
    assert config.optimizer == SGDConfig(6 * 0.4) and config.steps == 50
    assert edit_config(photo, ["a"], "c", lr=0.1).optimizer == SGDConfig(0.1)
    for name, kind in (("pixels", PixelsConfig), ("field", FieldConfig)):
        assert isinstance(edit_config(photo, ["a"], "c", generator=name).generator, kind)
    adam = edit_config(photo, ["a"], "c", optimizer="adam").optimizer
    assert isinstance(adam, AdamConfig) and adam.lr == 0.03


MISTAKES = [
    (["none.png", "a", "--source", "b"], "none.png: No such file or directory"),
    (["notes.txt", "a", "--source", "b"], "notes.txt must be a PNG, JPEG or WebP image, got another kind of file"),
    (["cone.png", "a"], "dds needs a source prompt, got none; try --source"),
    (["cone.png", "a", "--source", " "], "dds needs a source prompt, got none; try --source"),
    (["cone.png", "--source", "b"], "prompts must not be empty, got []"),
    (["cone.png", "", "--source", "b"], "prompts must not be empty"),
    (["cone.png", "a", "--source", "b", "--method", "sds"],
     "edit needs a method that compares two prompts, got sds; try dds"),
    (["cone.png", "a", "--source", "b", "--method", "ddss"], "unknown method 'ddss': did you mean dds?"),
    (["cone.png", "a", "--source", "b", "--generator", "nerf"], "unknown generator 'nerf'"),
    (["cone.png", "a", "--source", "b", "--generator", "drawing"],
     "generator drawing must start from an SVG file, got cone.png; try --generator latent"),
    (["a.svg", "a", "--source", "b", "--generator", "latent"],
     "generator latent must start from a PNG, JPEG or WebP image, got a.svg; try --generator drawing"),
    (["cone.png", "a", "--source", "b", "--copies", "0"], "copies must be at least 1, got 0"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "words"), MISTAKES)
def test_a_mistake_is_one_line_before_anything_is_loaded(
    more: list[str],
    words: str,
    photo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cone.png").write_bytes(photo.read_bytes())
    Path("notes.txt").write_text("notes")
    Path("a.svg").write_text(SVG)
    assert words in cli_error(["edit", *more, "--prior", "no/such/model", "--out", "run"], capsys)
    assert not Path("run").exists()


def test_prompts_follow_the_image_however_they_are_given(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["edit", str(photo), "--source", "b", "--prompt", "a cat", "--prompt", "a dog", "--dry-run"])
    assert "prompts:\n- a cat\n- a dog" in capsys.readouterr().out


def test_the_help_names_the_image_and_the_source(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_text(["edit", "--help"], capsys)
    assert "IMAGE" in text and "--source" in text and "prompt" in text


@pytest.mark.usefixtures("unchecked")
def test_an_image_in_memory_is_refused() -> None:
    with pytest.raises(TypeError, match=r"image must be the path of a file, got Tensor; try image.save"):
        ms.edit(torch.zeros(3, 8, 8), "a", "b")  # pyright: ignore[reportArgumentType]


def test_from_python(photo: Path, sd: Path, tmp_path: Path) -> None:
    prior = ms.Pipeline.from_pretrained(sd, size=16, cache=None)
    result = ms.edit(photo, "a cube", "a red cone", prior, ms.methods.DDS(scale=2.0), steps=2, out=tmp_path / "run")
    assert isinstance(result, ms.EditResult) and isinstance(result.scores[0], EditRecord)
    assert result.image.size == (16, 16) and result.run.config.method == ms.methods.DDS(scale=2.0)
    with pytest.raises(TypeError, match=r"ms.edit has no option 'step'; did you mean steps"):
        ms.edit(photo, "a", "b", prior, step=3)
