"""`modeseek svg` end to end on a small pipeline: files, numbers, starts, resume, export, mistakes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from terminal import cli_error

import modeseek as ms
from modeseek.cli import main
from modeseek.config import vector_starts
from modeseek.config.config import CheckpointConfig
from modeseek.generators.vector.svg_read import read_svg_file
from modeseek.rundir.drawing_records import read_records
from modeseek.runs.api import create_run
from modeseek.runs.train import train

pytest.importorskip("diffusers", reason="pip install -e '.[diffusers]' runs the tests of pipelines")
pytest.importorskip("skimage", reason="pip install -e '.[vector]' runs the tests of drawings")
import tiny  # noqa: E402 - needs diffusers

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.usefixtures("loaded_once"),
]
SMALL = ["generator.drawing.start.sample.steps=2", "generator.drawing.start.sample.fit_steps=2"]
NAMES = ("a-red-cone-s0", "a-cube-s0")
FILE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" fill="#8080ff"/>'
    '<path d="M1 1C6 1 9 1 9 9C9 12 6 12 3 12C1 9 1 6 1 1Z" fill="#f00"/></svg>'
)


@pytest.fixture(scope="module")
def sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make("sd", tmp_path_factory.mktemp("sd"))


def arguments(sd: Path, *more: str) -> list[str]:
    argv = ["svg", "a red cone", "a cube", "--prior", str(sd), "--size", "16", "16", "--paths", "4", *more]
    return [*argv, "--steps", "3", "--set", "prior.pipeline.cache=false"]


def draw(sd: Path, out: Path, *more: str, settings: list[str] = SMALL) -> ms.Run:
    main([*arguments(sd, *more), *settings, "--out", str(out)])
    return ms.Run.load(out)


@pytest.fixture(scope="module")
def drawn(sd: Path, tmp_path_factory: pytest.TempPathFactory) -> ms.Run:
    return draw(sd, tmp_path_factory.mktemp("svg") / "run", "--film", "gif")


def test_a_run_has_a_drawing_of_each_prompt(drawn: ms.Run) -> None:
    assert drawn.status.state == "finished"
    names = {path.name for path in (drawn.path / "exports").iterdir()}
    images = {f"{name}{suffix}" for name in NAMES for suffix in (".svg", ".png", "@16x.png")}
    assert names == {"generator.safetensors", "images.npy", "drawings.json", *images}
    for name, title in zip(NAMES, ("a red cone", "a cube"), strict=True):
        path = drawn.path / "exports" / f"{name}.svg"
        assert f"<title>{title}</title>" in path.read_text() and path.stat().st_size <= 10_000
        paths, size = read_svg_file(path)
        assert size == (16, 16) and 1 <= paths.n_fills <= 4
        with Image.open(path.with_name(f"{name}@16x.png")) as png:
            assert png.size == (256, 256)
    assert (drawn.path / "media" / "optimisation.gif").exists()


def test_previews_and_the_contact_sheet_are_sharp(drawn: ms.Run) -> None:
    previews = sorted((drawn.path / "previews").glob("step-*.png"))
    assert previews[0].name == "step-00000000.png" and previews[-1].name == "step-00000003.png"
    for path, least in ((previews[0], 512), (drawn.path / "results.png", 512)):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        assert pixels.shape[1] >= least
        blocks = pixels[1:257, 1:257].reshape(16, 16, 16, 16, 3)
        assert np.ptp(blocks.astype(int), axis=(1, 3)).max() > 8, path  # not pixels of the run, enlarged


def test_the_record_the_log_and_the_report_have_the_numbers(drawn: ms.Run) -> None:
    records = read_records(drawn.path)
    assert [record.file for record in records] == [f"{name}.svg" for name in NAMES]
    page, log = (drawn.path / "report.html").read_text(), "\n".join(drawn.log)
    for record, prompt in zip(records, ("a red cone", "a cube"), strict=True):
        text = (drawn.path / "exports" / record.file).read_bytes()
        assert record.prompt == prompt and record.bytes == len(text) and text.count(b"<path ") == record.paths
        assert record.error is not None and record.error < 2e-3
        assert f"{record.file}: {record.paths} paths, {record.bytes:,} bytes" in log
        path = text.decode().split(' d="')[1].split('"')[0]
        assert f"d='{path}'" in page and f"href='./exports/{record.file}'" in page and f"{record.error:.1e}" in page


def test_prior_calls_of_the_start_count(drawn: ms.Run) -> None:
    start, steps = 2 * 2 * 2, 3 * 2 * 2  # guided: two a row, two rows
    assert drawn.status.calls == start + steps
    assert f"initial parameters after {start} prior calls" in "\n".join(drawn.log)
    assert json.loads((drawn.path / "metrics.jsonl").read_text().splitlines()[0])["calls"] == start + 4


@pytest.mark.parametrize("start", ["random", "saliency", "owl.svg"])
def test_every_other_start(start: str, sd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owl.svg").write_text(FILE)
    argv = arguments(sd, "--start", start)
    if start == "owl.svg":
        del argv[argv.index("--paths") : argv.index("--paths") + 2]
    main([*argv, "previews=1", "--film", "none", "--out", "run"])
    run = ms.Run.load(tmp_path / "run")
    calls = {"random": 0, "saliency": 2 * (2 * 8 + 2 * 4), "owl.svg": 0}[start]
    assert run.status.state == "finished" and run.status.calls == calls + 12
    if start == "owl.svg":
        text = (run.path / "exports" / f"{NAMES[0]}.svg").read_text()
        assert 'fill="#8080ff"' in text and read_records(run.path)[0].paths == 1


def test_a_resumed_run_starts_once_and_equals_an_uninterrupted_one(
    sd: Path, drawn: ms.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(drawn.config, saving=CheckpointConfig(steps=1))
    run, objects = create_run(config, ["test"], tmp_path / "run")
    for progress in train(run, objects, 3):
        if progress.stage == "optimising" and progress.done == 2:
            break
    monkeypatch.setattr(vector_starts, "sample_images", None)  # a second sample would fail
    ms.resume(run)
    files = ["exports/generator.safetensors", *(f"exports/{name}.svg" for name in NAMES)]
    assert all((run.path / file).read_bytes() == (drawn.path / file).read_bytes() for file in files)
    assert run.status.calls == drawn.status.calls and run.status.sessions == 2


def test_a_run_that_stopped_during_its_start_begins_again(drawn: ms.Run, tmp_path: Path) -> None:
    run, objects = create_run(drawn.config, ["test"], tmp_path / "run")
    stages = []
    for progress in train(run, objects, 3):
        stages.append(progress.stage)
        if progress.stage == "fitting":
            break
    assert stages == ["sampling", "sampling", "tracing", "tracing", "fitting"] and run.status.state == "stopped"
    ms.resume(run)
    file = f"exports/{NAMES[0]}.svg"
    assert (run.path / file).read_bytes() == (drawn.path / file).read_bytes() and run.status.calls == drawn.status.calls


def test_drawings_are_exported_again(drawn: ms.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["export", str(drawn.path), "--out", str(tmp_path / "cone.svg"), "--device", "cpu"])
    printed = capsys.readouterr().out.split()
    assert printed == [str(tmp_path / f"cone-{k}.svg") for k in (1, 2)]
    for k, name in enumerate(NAMES):
        assert (tmp_path / f"cone-{k + 1}.svg").read_bytes() == (drawn.path / "exports" / f"{name}.svg").read_bytes()
    main(["export", str(drawn.path), "--format", "png", "--size", "40", "--out", str(tmp_path / "images")])
    with Image.open(tmp_path / "images" / f"{NAMES[0]}@40.png") as png:
        assert png.size == (40, 40)


def test_the_image_command_draws_too(sd: Path, tmp_path: Path) -> None:
    argv = ["image", "a cube", "--prior", str(sd), "--size", "16", "16", "--steps", "1", "--generator", "drawing"]
    main(
        [
            *argv,
            "--film",
            "none",
            "--set",
            "previews=0",
            "generator.drawing.paths=3",
            *SMALL,
            "--out",
            str(tmp_path / "run"),
        ]
    )
    assert (tmp_path / "run" / "exports" / "a-cube-s0.svg").exists()


def test_a_budget_in_bytes_is_kept(drawn: ms.Run, sd: Path, tmp_path: Path) -> None:
    run = draw(sd, tmp_path / "run", "--bytes", "450", "--film", "none", settings=[*SMALL, "previews=0"])
    for name in NAMES:
        assert (run.path / "exports" / f"{name}.svg").stat().st_size <= 450
    assert any(record.removed for record in read_records(run.path))
    assert torch.equal(*(torch.from_numpy(np.load(r.path / "exports" / "images.npy")) for r in (run, drawn)))


MISTAKES = {
    "start": (
        ["--start", "sampel"],
        "start must be sample, saliency, random or an SVG file, got 'sampel': did you mean",
    ),
    "missing file": (["--start", "missing.svg"], "missing.svg"),
    "not an SVG": (["--start", "text.svg"], "text.svg"),
    "paths": (["--paths", "0"], "a drawing must have a path"),
    "bytes": (["--bytes", "10"], "max_bytes of drawings whose paths have 4 cubics must be at least 430, got 10"),
    "background": (["--background", "mauvish"], "got 'mauvish'"),
    "numbers of the file": (
        ["--start", "owl.svg", "--paths", "7"],
        "paths must be 1, as in the file of the start, got 7",
    ),
    "latents": (["--shift", "0", "--set", "generator=latent"], "generator must be drawing for an SVG, got latent"),
    "a prior without text": (["--set", "prior=ring"], "need a prior of images, got shape (2,)"),
    "method": (["--method", "msdd"], "did you mean msd?"),
    "preset": (["--preset", "hifa"], "preset hifa must be for modeseek svg"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_and_leaves_no_folder(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owl.svg").write_text(FILE)
    (tmp_path / "text.svg").write_text("an owl")
    options, words = MISTAKES[case]
    assert words in cli_error(["svg", "a cube", *options], capsys) and not (tmp_path / "runs").exists()
