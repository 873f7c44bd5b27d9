"""Captures of an object as data of a run: views, draws, held-out photographs, resume, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import one_line
from PIL import Image
from terminal import cli_error

import modeseek as ms
from modeseek import runs
from modeseek.cli import main
from modeseek.config.capture import CaptureConfig
from modeseek.config.generators3d import NeRFConfig
from modeseek.config.photograph_views import PhotographPenalty
from modeseek.config.photographs import PhotographsConfig
from modeseek.config.priors import RenderedPriorConfig
from modeseek.generators.base import render
from modeseek.generators.camera import CameraFrame, CameraView
from modeseek.io.images import encode_png
from modeseek.metrics.restoration import psnr
from modeseek.rundir.photograph_records import read_photograph_records
from modeseek.runs.api import create_run
from modeseek.runs.build import build
from modeseek.runs.interrupts import RunInterrupted, StopRequest
from modeseek.runs.train import train
from modeseek.runs.trained import load_trained
from modeseek.viewer.viser_camera import PosedCameras

CAPTION, SIDE, N = "a red cube", 16, 6
PRIOR = RenderedPriorConfig(CAPTION, SIDE, 4)
NERF = NeRFConfig(views=2, samples=10, sides=(8, 12), coarse=0.5, texture_size=None)
FOV = 50.0


def blob() -> ms.NeRF:
    """A volume of many colours."""
    nerf, generator = ms.NeRF(ms.generators.Dense((8,)), size=64, samples=48), torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in nerf.parameters():
            parameter += 3 * torch.randn(parameter.shape, generator=generator)
    return nerf


def cameras() -> PosedCameras:
    """Cameras that look past the origin by up to 0.3, each turned about its axis."""
    generator, frames, angles = torch.Generator().manual_seed(1), [], []
    for k in range(N):
        a, e = 2 * math.pi * k / N, 0.2 + 0.1 * k
        position = 3.5 * torch.tensor([math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)])
        forward = torch.nn.functional.normalize(
            0.3 * torch.randn(3, generator=generator).clamp(-1, 1) - position, dim=0
        )
        right = torch.nn.functional.normalize(torch.linalg.cross(forward, torch.tensor([0.0, 1.0, 0.0])), dim=0)
        up, c, s = torch.linalg.cross(right, forward), math.cos(0.4 * k), math.sin(0.4 * k)
        frames.append((position, c * right + s * up, c * up - s * right, forward))
        angles.append((math.degrees(a), math.degrees(e)))
    azimuth, elevation = torch.tensor(angles).T
    axes = CameraFrame(*(torch.stack(part) for part in zip(*frames, strict=True)))
    return PosedCameras(azimuth, elevation, torch.full((N,), 3.5), torch.full((N,), FOV), axes)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """transforms.json of photographs of the volume, in a world with y up that is the shape's own."""
    folder, posed = tmp_path_factory.mktemp("capture"), cameras()
    with torch.no_grad():
        images = render(blob(), CameraView(tuple(range(N)), posed, 64)).image
    frames = []
    for k, image in enumerate(images):
        (folder / f"{k}.png").write_bytes(encode_png(image.clamp(0, 1)))
        position, right, up, forward = (part[k] for part in posed.frame)
        matrix = torch.stack([right, up, -forward, position], 1)
        frames.append({"file_path": f"{k}.png", "transform_matrix": matrix.double().tolist()})
    table = {"camera_angle_x": math.radians(FOV), "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(table))
    return folder / "transforms.json"


def capture(file: Path, **options: Any) -> CaptureConfig:
    return CaptureConfig(file, "y", **({"centre": (0.0, 0.0, 0.0), "scale": 1.0} | options))


def config_with(photographs: PhotographsConfig) -> ms.Config:
    options: dict[str, Any] = {"steps": 10, "previews": 0, "film": "none", "device": "cpu"}
    options["optimizer"] = runs.AdamConfig(0.25)
    return ms.Config(PRIOR, ms.MSD(ms.Fixed(0.5)), NERF, photographs=photographs, **options)


def test_photographs_are_the_renders_of_their_cameras(file: Path) -> None:
    """Turned and aimed elsewhere, each is what a camera at its place sees that looks at the origin."""
    nerf, loaded = blob(), PRIOR.load("cpu")
    with pytest.warns(match=r"6 photographs, 0 held out: the object is at \(0, 0, 0\) of its world, \(0, 1, 0\) is up"):
        views = PhotographsConfig(capture=capture(file)).load(nerf, loaded, 0).views
    with torch.no_grad():
        truth = render(nerf, CameraView(tuple(range(N)), views.cameras, 4 * SIDE)).image
    truth = torch.nn.functional.avg_pool2d(truth, 4)
    assert views.seen.mean() > 0.8
    assert (psnr(views.seen * views.images, views.seen * truth) > 30).all()
    assert psnr(views.images[:1], truth[1:2]) < 25


def test_each_step_draws_some_of_those_that_are_not_held_out(file: Path) -> None:
    photographs = PhotographsConfig(capture=capture(file, held_out=2), per_step=2)
    with pytest.warns(match="2 held out"):
        penalty = build(config_with(photographs)).regularizers[0]
    assert isinstance(penalty, PhotographPenalty)
    assert penalty.views.held_out == (False, True, False, False, True, False)
    drawn = [tuple(penalty.rows(k / 399).tolist()) for k in range(400)]
    assert drawn == [tuple(penalty.rows(k / 399).tolist()) for k in range(400)]
    pairs = {pair: drawn.count(pair) for pair in set(drawn)}
    assert set(pairs) == {(0, 2), (0, 3), (0, 5), (2, 3), (2, 5), (3, 5)}
    assert min(pairs.values()) > 40  # 67 each in the mean


def test_a_draw_estimates_the_mean_over_all(file: Path) -> None:
    with pytest.warns(match="0 held out"):
        few, whole = (
            build(config_with(PhotographsConfig(capture=capture(file), per_step=n))).regularizers[0] for n in (2, 6)
        )
    assert isinstance(few, PhotographPenalty) and isinstance(whole, PhotographPenalty)
    rendering = render(few.shape, few.views.view(torch.arange(1)))
    with torch.no_grad():
        alone = torch.stack([-whole.data.select(rows).log_prob(render(few.shape, few.views.view(rows)).image)
                             for rows in torch.arange(N).split(1)])[:, 0]  # fmt: skip
        weight = whole.weight(0.5) if callable(whole.weight) else whole.weight
        assert whole(rendering, 0.5).item() == pytest.approx(weight * alone.mean().item(), rel=1e-4)
        rows = few.rows(0.5)
        assert few(rendering, 0.5).item() == pytest.approx(weight * alone[rows].mean().item(), rel=1e-4)


def test_what_photographs_do_not_show_does_not_count(file: Path) -> None:
    with pytest.warns(match="a unit is 0.7 of the shape's"):
        objects = build(config_with(PhotographsConfig(capture=capture(file, scale=0.7), per_step=N)))
    (penalty,) = objects.regularizers
    assert isinstance(penalty, PhotographPenalty)
    views = penalty.views
    with torch.no_grad():
        image = render(penalty.shape, views.view(torch.arange(N))).image.double()
        got = penalty(render(penalty.shape, views.view(torch.arange(1))), 0.5).item()
    seen, truth = views.seen.bool().expand_as(image), views.images.double()
    error = (image - truth)[seen].square().sum().item() / (2 * 0.05**2) / N
    constant = 3 * SIDE**2 / 2 * math.log(2 * math.pi * 0.05**2)
    weight = penalty.weight(0.5) if callable(penalty.weight) else penalty.weight
    assert 0.5 < seen.double().mean() < 0.95
    assert got == pytest.approx(weight * (error + constant), rel=1e-5)


def test_photographs_that_show_nothing_are_left_out(file: Path, tmp_path: Path) -> None:
    table = json.loads(file.read_text())
    for k, frame in enumerate(table["frames"]):
        frame["file_path"] = str(file.parent / frame["file_path"])
        if k == 2:
            for row in frame["transform_matrix"][:3]:
                row[0], row[2] = -row[0], -row[2]  # half a turn about its upper side
    Image.new("L", (64, 64)).save(tmp_path / "black.png")
    table["frames"][4]["mask_path"] = "black.png"
    (tmp_path / "transforms.json").write_text(json.dumps(table))
    config = PhotographsConfig(capture=capture(tmp_path / "transforms.json", held_out=1))
    with (
        pytest.warns(match=r"4 photographs, 1 held out"),
        pytest.warns(match=r"2 photographs are left out, which show nothing .*2\.png, .*4\.png"),
    ):
        views = config.load(blob(), PRIOR.load("cpu"), 0).views
    assert [Path(name).name for name in views.names] == ["0.png", "1.png", "3.png", "5.png"]
    assert views.held_out == (False, False, True, False)


@pytest.fixture(scope="module")
def finished(file: Path, tmp_path_factory: pytest.TempPathFactory) -> ms.Run:
    run = tmp_path_factory.mktemp("runs") / "run"
    with pytest.warns(match="2 held out"):
        return ms.run(config_with(PhotographsConfig(capture=capture(file, held_out=2, scale=0.7), per_step=2)), run)


@pytest.mark.slow
def test_a_run_scores_all_of_them(finished: ms.Run) -> None:
    records = read_photograph_records(finished.path)
    assert [record.file for record in records] == [f"{k}.png" for k in range(N)]
    assert [record.held_out for record in records] == [False, True, False, False, True, False]
    assert records[1].azimuth == pytest.approx(60, abs=1e-3)
    with pytest.warns(match="2 held out"):
        trained, views = load_trained(finished, "cpu").generator, build(finished.config).photographs
    assert views is not None
    with torch.no_grad():
        renders = render(trained, views.views.view(torch.arange(N))).image.clamp(0, 1)
    for k, record in enumerate(records):
        seen = views.views.seen[k].bool().expand(3, SIDE, SIDE)
        error = (renders[k] - views.views.images[k])[seen].square().mean().sqrt().item()
        assert record.residual == pytest.approx(error, rel=1e-3)
        assert record.psnr == pytest.approx(-20 * math.log10(error), abs=0.01)
    page = (finished.path / "report.html").read_text()
    assert "Held out" in page and "yes" in page and "2 held out" in (finished.path / "log.txt").read_text()


@pytest.mark.slow
def test_a_resumed_run_is_an_uninterrupted_one(finished: ms.Run, tmp_path: Path) -> None:
    with pytest.warns(match="2 held out"):
        run, objects = create_run(finished.config, ["run"], tmp_path / "run")
    stop = StopRequest()
    with pytest.raises(RunInterrupted):
        for progress in train(run, objects, 10, stop_request=stop):
            stop.signal = "the test" if progress.done == 4 else ""
    with pytest.warns(match="2 held out"):
        resumed = ms.resume(tmp_path / "run")
    name = Path("exports") / "generator.safetensors"
    assert (resumed.path / name).read_bytes() == (finished.path / name).read_bytes()


@pytest.mark.slow
def test_by_name(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["shape", CAPTION, "--prior", "renders", "--dry-run", "--photograph"]
    main([*argv, str(file), "--set", "photographs.capture.held_out=2", "photographs.capture.up=y"])
    text = capsys.readouterr().out
    assert "capture:" in text and "held_out: 2" in text and "per_step: 4" in text
    assert "one capture, got" in cli_error([*argv, str(file), "a.png=0"], capsys)
    assert "No such file" in cli_error([*argv, "none.json"], capsys)
    main([*argv, str(file.parent)])
    assert "transforms.json" in capsys.readouterr().out
    (tmp_path / "t.json").write_text("{}")
    assert "list of frames" in cli_error([*argv, str(tmp_path / "t.json")], capsys)
    elsewhere = ["--set", "photographs.capture.centre=[0,500,0]", "photographs.capture.up=y"]
    run = ["shape", CAPTION, "--prior", "renders", "--steps", "2", "--out", str(tmp_path / "run")]
    assert "must show the object" in cli_error([*run, "--photograph", str(file), *elsewhere], capsys)
    many = ["--set", "photographs.capture.held_out=6"]
    assert "held_out of a capture must be below" in cli_error([*run, "--photograph", str(file), *many], capsys)


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"up": "up"}, "up of a capture must be auto, x, y, z, -x, -y, -z, got 'up'"),
    ({"front": math.nan}, "front and centre of a capture must be finite"),
    ({"centre": (0.0, math.inf, 0.0)}, "front and centre of a capture must be finite"),
    ({"scale": 0.0}, "scale of a capture must be positive"),
    ({"held_out": -1}, "held_out of a capture must be at least 0"),
]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("options", "words"), INVALID)
def test_invalid_settings_are_one_line(options: dict[str, Any], words: str, file: Path) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        CaptureConfig(**({"file": file} | options))
    one_line(caught.value)


def test_one_kind_of_photographs(file: Path) -> None:
    for options, words in (
        ({}, "single ones or one capture, got none"),
        ({"capture": CaptureConfig(file), "fov": 30.0}, "a capture has the lenses and distances"),
        ({"capture": CaptureConfig(file), "per_step": 0}, "per_step of photographs must be at least 1"),
    ):
        with pytest.raises(ValueError, match=words):
            PhotographsConfig(**options)
