"""Photographs that a 3D shape matches: cameras, data term, files of a run, resume, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import trimesh
from cases import one_line
from terminal import cli_error

import modeseek as ms
from modeseek import runs
from modeseek.cli import main
from modeseek.config.generators3d import NeRFConfig
from modeseek.config.painted import PaintedMeshConfig
from modeseek.config.photographs import Photograph, PhotographsConfig, parse_photographs
from modeseek.config.priors import RenderedPriorConfig
from modeseek.datasets.scenes.static_scene import StaticScene
from modeseek.generators.base import render
from modeseek.generators.camera import Cameras
from modeseek.io.images import encode_png
from modeseek.methods.data_weight import data_weight
from modeseek.rundir.photograph_records import PhotographRecord, read_photograph_records
from modeseek.runs.api import create_run
from modeseek.runs.build import build
from modeseek.runs.interrupts import RunInterrupted, StopRequest
from modeseek.runs.photograph_files import SHEET
from modeseek.runs.train import train

pytestmark = pytest.mark.slow

CAPTION, SIDE = "a red cube", 16
PRIOR = RenderedPriorConfig(CAPTION, SIDE, 4)
NERF = NeRFConfig(views=2, samples=10, sides=(8, 12), coarse=0.5, texture_size=None)
OPTIONS: dict[str, Any] = {
    "steps": 12,
    "previews": 0,
    "film": "none",
    "device": "cpu",
    "optimizer": runs.AdamConfig(0.25),
}


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> tuple[Photograph, ...]:
    """A cube of another colour than the prior knows, from the front and from its right, as files."""
    folder, angles = tmp_path_factory.mktemp("photographs"), ((0.0, 0.0), (90.0, 20.0))
    azimuth, elevation = torch.tensor(angles).T
    cameras = Cameras(azimuth, elevation, torch.full((2,), 3.5), torch.full((2,), 34.0))
    for k, image in enumerate(StaticScene.from_caption("a blue cube").render(cameras, SIDE).image):
        (folder / f"view={k}.png").write_bytes(encode_png(image.clamp(0, 1)))
    return tuple(Photograph(folder / f"view={k}.png", *pair) for k, pair in enumerate(angles))


def config_with(items: tuple[Photograph, ...], **options: Any) -> ms.Config:
    photographs = PhotographsConfig(items, **options)
    return ms.Config(PRIOR, ms.MSD(ms.Fixed(0.5)), NERF, photographs=photographs, **OPTIONS)


def test_a_file_may_have_the_sign_in_its_name() -> None:
    got = Photograph.parse("a=b.png=-30.5,10")
    assert (got.file, got.azimuth, got.elevation) == (Path.cwd() / "a=b.png", -30.5, 10.0)
    assert Photograph.parse("front.png=0").elevation == 0
    assert parse_photographs(()) is None


@pytest.mark.parametrize("text", ["front.png", "=30", "front.png=", "front.png=left", "front.png=1,2,3", "f.png=0,91"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a photograph must") as caught:
        Photograph.parse(text)
    one_line(caught.value)


@pytest.mark.parametrize(
    "options", [{"noise": 0.0}, {"noise": math.nan}, {"weight": -1.0}, {"fov": 180.0}, {"distance": 0.0}]
)
def test_invalid_settings_are_refused(options: dict[str, float], items: tuple[Photograph, ...]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} of photographs must be"):
        PhotographsConfig(items, **options)


def test_cameras_stand_in_the_middle_of_the_orbit_unless_given(items: tuple[Photograph, ...]) -> None:
    nerf, loaded = ms.NeRF(ms.generators.Dense((8,)), size=8), PRIOR.load("cpu")
    photographs = PhotographsConfig(items).load(nerf, loaded, 0).views
    assert photographs.images.shape == (2, 3, SIDE, SIDE) and photographs.view(torch.arange(2)).size == SIDE
    middle = photographs.cameras
    assert middle.azimuth.tolist() == [0, 90] and middle.elevation.tolist() == [0, 20]
    assert middle.fov.tolist() == [34, 34]
    assert middle.distance.tolist() == pytest.approx([1.2 / math.tan(math.radians(17))] * 2)
    given = PhotographsConfig(items, fov=20.0, distance=5.0).load(nerf, loaded, 0).views.cameras
    assert given.fov.tolist() == [20, 20] and given.distance.tolist() == [5, 5]


def test_the_data_term_is_the_gaussian_of_the_pixels(items: tuple[Photograph, ...]) -> None:
    config = config_with(items, noise=0.1, weight=3.0)
    objects = build(config)
    photographs = objects.photographs
    assert photographs is not None
    (penalty,) = objects.regularizers
    render_of_step = render(objects.generator, objects.generator.view(1, ms.Streams(0)))
    with torch.no_grad():
        got = penalty(render_of_step, 0.5).item()
        renders = render(objects.generator, photographs.views.view(torch.arange(2))).image.double()
    error = (renders - photographs.views.images.double()).square().sum((1, 2, 3)) / (2 * 0.1**2)
    constant = 3 * SIDE**2 / 2 * math.log(2 * math.pi * 0.1**2)
    assert isinstance(config.method, ms.MSD)
    weight = data_weight(config.method, objects.prior.schedule, 0.1)(0.5)
    assert got == pytest.approx(3.0 * weight * (error + constant).mean().item(), rel=1e-5)


@pytest.fixture(scope="module")
def finished(items: tuple[Photograph, ...], tmp_path_factory: pytest.TempPathFactory) -> ms.Run:
    run = tmp_path_factory.mktemp("runs") / "run"
    return ms.run(config_with(items, distance=3.5), run)


def test_a_run_writes_what_its_cameras_see(finished: ms.Run, items: tuple[Photograph, ...]) -> None:
    records = read_photograph_records(finished.path)
    assert [(record.file, record.azimuth, record.elevation) for record in records] == [
        (item.file.name, item.azimuth, item.elevation) for item in items
    ]
    for record in records:
        assert record.noise == 0.05 and record.psnr == pytest.approx(-20 * math.log10(record.residual), abs=1e-3)
    page = (finished.path / "report.html").read_text()
    assert (finished.path / SHEET).is_file() and "renders from their cameras" in page
    assert f"{records[1].psnr:.2f}" in page and records[1].file in page


@pytest.mark.slow
def test_photographs_pull_the_renders_towards_them(
    finished: ms.Run, items: tuple[Photograph, ...], tmp_path: Path
) -> None:
    without = ms.run(config_with(items, distance=3.5, weight=1e-9), tmp_path / "without")
    strong, weak = (read_photograph_records(run.path) for run in (finished, without))
    assert all(a.psnr > b.psnr + 1 for a, b in zip(strong, weak, strict=True))


@pytest.mark.slow
def test_a_resumed_run_is_an_uninterrupted_one(finished: ms.Run, items: tuple[Photograph, ...], tmp_path: Path) -> None:
    run, objects = create_run(config_with(items, distance=3.5), ["run"], tmp_path / "run")
    stop = StopRequest()
    with pytest.raises(RunInterrupted):
        for progress in train(run, objects, 12, stop_request=stop):
            stop.signal = "the test" if progress.done == 5 else ""
    resumed = ms.resume(tmp_path / "run")
    name = Path("exports") / "generator.safetensors"
    assert (resumed.path / name).read_bytes() == (finished.path / name).read_bytes()
    assert read_photograph_records(resumed.path) == read_photograph_records(finished.path)


def test_a_damaged_record_is_refused(finished: ms.Run, tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "photographs.json").write_text(json.dumps([{"file": "a.png"}]))
    with pytest.raises(ValueError, match=r"photographs.json is damaged"):
        read_photograph_records(tmp_path)
    assert isinstance(read_photograph_records(finished.path)[0], PhotographRecord)


def test_other_methods_generators_and_particles_are_refused(items: tuple[Photograph, ...]) -> None:
    photographs = PhotographsConfig(items)
    with pytest.raises(ValueError, match="photographs need the method msd, got sds"):
        ms.Config(PRIOR, ms.SDS(), NERF, photographs=photographs)
    with pytest.raises(ValueError, match="photographs need a 3D shape, got generator points"):
        ms.Config(runs.ToyPriorConfig("ring"), ms.MSD(1.0), photographs=photographs)
    two = NeRFConfig(views=2, samples=10, sides=(8,), particles=2)
    with pytest.raises(ValueError, match="photographs need one 3D shape") as caught:
        build(ms.Config(PRIOR, ms.MSD(1.0), two, photographs=photographs, **OPTIONS))
    one_line(caught.value)


@pytest.mark.parametrize("verb", [["shape"], ["paint", "cube.ply"]])
def test_by_name(
    verb: list[str],
    items: tuple[Photograph, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("words.png").write_text("no image")
    trimesh.creation.box().export("cube.ply")
    given = [f"{item.file}={item.azimuth:g},{item.elevation:g}" for item in items]
    argv = [*verb, CAPTION, "--prior", "renders", "--dry-run", "--photograph"]
    main([*argv, *given])
    text = capsys.readouterr().out
    assert "photographs:" in text and "azimuth: 90.0" in text and "elevation: 20.0" in text
    assert "a PNG, JPEG or WebP image" in cli_error([*argv, "words.png=0"], capsys)
    assert "No such file" in cli_error([*argv, "none.png=0"], capsys)
    assert "FILE=AZIMUTH" in cli_error([*argv, "words.png"], capsys)
    assert "need the method msd" in cli_error([*argv, *given, "--method", "sds"], capsys)


@pytest.mark.slow
def test_a_texture_matches_photographs(items: tuple[Photograph, ...], tmp_path: Path) -> None:
    trimesh.creation.box((0.8, 0.8, 0.8)).export(tmp_path / "cube.ply")
    options = OPTIONS | {"steps": 12, "optimizer": runs.AdamConfig(0.01)}
    records = {}
    for weight in (1e-9, 100.0):
        photographs = PhotographsConfig(items, weight=weight, distance=3.5)
        painted = PaintedMeshConfig(tmp_path / "cube.ply", views=2, texture_size=64)
        config = ms.Config(PRIOR, ms.MSD(ms.Fixed(0.5)), painted, photographs=photographs, **options)
        records[weight] = read_photograph_records(ms.run(config, tmp_path / f"{weight}").path)
    assert all(near.psnr > far.psnr for far, near in zip(records[1e-9], records[100.0], strict=True))
