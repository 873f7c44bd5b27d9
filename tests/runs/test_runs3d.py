"""Runs of 3D shapes: configuration, interruption, exports, and conditions by camera."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import pytest
import torch
import trimesh
from PIL import Image

import modeseek as ms
from modeseek import runs
from modeseek.cli import main
from modeseek.codec import RangeCodec, ResizeCodec
from modeseek.config.camera_prompts import CameraPromptsConfig
from modeseek.config.config import read_config, read_yaml_file
from modeseek.config.generators3d import MeshConfig, NeRFConfig
from modeseek.config.priors import RenderedPriorConfig
from modeseek.generators.camera import CameraView
from modeseek.generators.mesh.read import read_mesh
from modeseek.generators.nerf import NeRF
from modeseek.generators.orbit import Orbit
from modeseek.regularizers import OpacityEntropy, TotalVariation
from modeseek.rng import Streams
from modeseek.runs.api import create_run, iter_resume
from modeseek.runs.build import build
from modeseek.runs.train import train

pytestmark = pytest.mark.slow

PRIOR = RenderedPriorConfig("a red cube", 16, 4)
VOLUME = NeRFConfig(views=2, samples=10, sides=(8, 12), coarse=0.5, texture_size=32)
CONFIG = ms.Config(
    PRIOR,
    ms.MSD(ms.Geometric(5.0, 0.5), jitter=ms.Fading()),
    VOLUME,
    runs.AdamConfig(0.25, fall=0.2),
    steps=9,
    previews=3,
    regularizers=(OpacityEntropy(1e-3), TotalVariation(1e-4)),
    saving=runs.CheckpointConfig(steps=4),
)


BARE = replace(CONFIG, generator=replace(VOLUME, texture_size=None), film="none")  # the same run, fewer files


@pytest.fixture(scope="module", autouse=True)
def coarse_meshes() -> Iterator[None]:
    """Meshes of the runs are extracted on a coarse grid."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("modeseek.generators.generator3d.MESH_RESOLUTION", 40)
        yield


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> ms.Run:
    run, objects = create_run(CONFIG, ["modeseek"], tmp_path_factory.mktemp("shape") / "run")
    for _ in train(run, objects, CONFIG.steps):
        pass
    return run


def test_the_configuration_file_is_complete(finished_run: ms.Run) -> None:
    assert read_config(read_yaml_file(finished_run.path)) == CONFIG.with_device()


def test_the_rate_falls_geometrically_and_penalties_are_logged(finished_run: ms.Run) -> None:
    rows = finished_run.metrics
    assert [row["lr"] for row in rows] == pytest.approx([0.25 * 0.2 ** (k / 8) for k in range(9)])
    assert all(row["loss_OpacityEntropy"] >= 0 and row["loss_TotalVariation"] >= 0 for row in rows)
    assert rows[-1]["calls"] == 9 * 2


def test_exports_are_a_mesh_a_turntable_and_strips(finished_run: ms.Run) -> None:
    mesh = trimesh.load(
        io.BytesIO((finished_run.path / "exports/mesh.glb").read_bytes()), file_type="glb", force="mesh"
    )
    assert mesh.is_watertight and len(mesh.faces) > 100
    with av.open(finished_run.path / "media/turntable.mp4") as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == 72 and frames[0].shape == (128, 128, 3), "on a CPU: four times the size, 128 to 256"
    names = {f"renders-of-a-red-cube-s0-az{angle:03d}.png" for angle in range(0, 360, 60)}
    assert {path.name for path in (finished_run.path / "exports").glob("*-az*.png")} == names
    with Image.open(finished_run.path / "results.png") as sheet:
        assert sheet.size == (4 * 14 + 3 * 256, 3 * 14 + 2 * 256), "three views a row, 16 times enlarged"
    with Image.open(finished_run.path / "media/sides.png") as sides:
        assert sides.size == (6 * 192, 3 * 192)
    page = (finished_run.path / "report.html").read_text(encoding="utf-8")
    assert "<figure class='model'" in page and "Turntable" in page


def test_previews_show_the_same_sides_before_and_after(finished_run: ms.Run) -> None:
    names = sorted(path.name for path in (finished_run.path / "previews").glob("*.png"))
    assert names == [f"step-{steps:08d}.png" for steps in (0, 4, 7, 9)]  # completed updates at each preview
    objects = build(CONFIG)
    drawn = objects.preview_painter().draw(objects.render_preview())
    assert (finished_run.path / "previews" / names[0]).read_bytes() == drawn


def test_interrupted_and_resumed_equals_uninterrupted(finished_run: ms.Run, tmp_path: Path) -> None:
    run, objects = create_run(BARE, ["modeseek"], tmp_path / "run")
    steps = train(run, objects, BARE.steps)
    next(step for step in steps if step.done == 6)  # after the finer grid began, between two checkpoints
    steps.close()
    for _ in iter_resume(run):
        pass
    weights = "exports/generator.safetensors"
    assert (run.path / weights).read_bytes() == (finished_run.path / weights).read_bytes()
    assert (run.path / "exports/mesh.ply").read_bytes() == (finished_run.path / "exports/mesh.ply").read_bytes()


def test_a_mesh_is_refined_by_any_method(finished_run: ms.Run, tmp_path: Path) -> None:
    before = read_mesh(finished_run.path / "exports/mesh.ply", torch.empty(0))
    surface = MeshConfig(finished_run.path / "exports/mesh.ply", views=2, texture_size=None)
    config = replace(BARE, generator=surface, method=ms.SDS(ms.Uniform(0.2, 0.5)), regularizers=(), steps=3)
    run, objects = create_run(config, ["modeseek"], tmp_path / "refined")
    for _ in train(run, objects, config.steps):
        pass
    after = read_mesh(run.path / "exports/mesh.ply", torch.empty(0))
    assert torch.equal(after.faces, before.faces) and torch.allclose(after.vertices, before.vertices)
    assert (after.colours - before.colours).abs().max() > 0.01


def test_a_volume_without_a_surface_notes_why_it_has_no_mesh() -> None:
    nerf = build(CONFIG).generator
    assert isinstance(nerf, NeRF)
    with torch.no_grad():
        for grid in nerf.volume.parameters():
            grid.fill_(-30.0)
    *_, last = nerf.exports()
    assert last.data is None and last.note.startswith("no mesh was written: ") and "\n" not in last.note


def test_skipped_space_is_empty_for_meshes_too() -> None:
    nerf = build(CONFIG).generator
    assert isinstance(nerf, NeRF)
    points = torch.tensor([[0.3, -0.2, 0.1], [0.1, -0.2, 0.3]])
    open_ = nerf.field(points)[0]
    assert torch.equal(open_, nerf.volume(points)[0]) and (open_ > 0).all()
    x, y, z = ((points[0] + 1) * 32).long().tolist()
    nerf.space.get_buffer("open")[z, y, x] = False
    assert nerf.field(points)[0].tolist() == [0.0, open_[1].item()]


def test_the_ideal_prior_is_conditioned_on_each_camera() -> None:
    objects = build(CONFIG)
    view = objects.generator.view(2, Streams(3, use="view"))
    assert isinstance(view, CameraView) and callable(objects.conditions)
    conditions = objects.conditions(view)
    bins = ((view.cameras.azimuth + 45) % 360 // 90).long()
    bands = (view.cameras.elevation >= 7.5).long() + (view.cameras.elevation >= 30).long()
    assert torch.equal(conditions.positive, bands * 4 + bins)
    with pytest.raises(ValueError, match="conditioned on the camera alone"):
        build(replace(CONFIG, prompts=("a red cube",)))


def test_fewer_pixels_are_enlarged_for_the_prior() -> None:
    objects = build(replace(CONFIG, generator=replace(VOLUME, size=8, coarse=1.0)))
    view = objects.generator.view(2, Streams(3, use="view"))
    assert isinstance(objects.codec, ResizeCodec) and isinstance(view, CameraView) and view.size == 8
    flat = torch.full((1, 3, 8, 8), 0.25)
    assert torch.allclose(objects.codec.encode(flat), torch.full((1, 3, 16, 16), -0.5))
    dot = torch.zeros(1, 1, 8, 8)
    dot[0, 0, 0, 0] = 1.0
    small = ResizeCodec(RangeCodec(0.0, 1.0), 2, 2).encode(dot)
    assert small[0, 0, 0, 0] > 0.03 and small.sum() < 0.1  # its fraction of the merged pixels
    with pytest.raises(ValueError, match="must be >= 1"):
        ResizeCodec(RangeCodec(), 0, 2)


def test_the_first_grid_is_rendered_in_fewer_pixels() -> None:
    objects = build(CONFIG)
    sizes = []
    for progress in (0.0, 0.49, 0.5, 1.0):
        objects.generator.advance(progress)  # type: ignore[attr-defined]
        view = objects.generator.view(2, Streams(3, use="view"))
        assert isinstance(view, CameraView)
        sizes.append(view.size)
        assert objects.codec.encode(objects.generator(view).image).shape == (2, 3, 16, 16)  # type: ignore[attr-defined]
    assert sizes == [8, 8, 16, 16]
    alone = build(replace(CONFIG, generator=replace(VOLUME, kind="triplane"), optimizer=runs.AdamConfig(0.02)))
    assert alone.generator.size == 16  # type: ignore[attr-defined]  # there is no finer grid to come


def test_invalid_settings_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for invalid in (
        lambda: NeRFConfig(views=0),
        lambda: NeRFConfig(finer=1.0),
        lambda: NeRFConfig(coarse=0.0),
        lambda: NeRFConfig(coarse=1.5),
        lambda: MeshConfig(tmp_path / "a.ply", views=0),
        lambda: CameraPromptsConfig("fine", opposed=True),
        lambda: runs.AdamConfig(0.1, fall=-0.1),
        lambda: build(replace(CONFIG, prior=runs.ToyPriorConfig("digits"), label=1)),
        lambda: build(replace(CONFIG, prior=replace(PRIOR, caption="a zebra"))),
    ):
        with pytest.raises(ValueError) as caught:
            invalid()
        assert "\n" not in str(caught.value)
    (tmp_path / "bad.ply").write_bytes(b"ply\nnot really")
    (tmp_path / "bad.obj").write_bytes(b"")
    for name in ("bad.ply", "bad.obj"):
        with pytest.raises(ValueError, match=name):
            read_mesh(tmp_path / name, torch.empty(0))
    for argv in (
        ["shape", "  "],
        ["shape", "a zebra", "--prior", "renders"],
        ["shape", "a red cube", "--refine", "-1"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(argv)
        assert ended.value.code == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "Traceback" not in error


def test_the_command_writes_the_same_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    main(["shape", "a red cube", "--dry-run"])
    out = capsys.readouterr().out
    assert "path: scenes" in out and "words: fine" in out and "scale: 3.0" in out
    options = ["--prior", "renders", "--method", "sds", "--volume", "fourier", "--steps", "7"]
    main(["shape", "a red cube", "--dry-run", *options])
    out = capsys.readouterr().out
    assert "caption: a red cube" in out and "kind: fourier" in out and "steps: 7" in out
    main(["shape", "a red mug", "--prior", "somewhere", "--method", "sdi", "--dry-run"])
    out = capsys.readouterr().out
    assert "words: coarse" in out and "path: somewhere" in out and "scale: 7.5" in out


def test_an_orbit_of_the_configuration_is_taken() -> None:
    objects = build(replace(CONFIG, generator=replace(VOLUME, orbit=Orbit(elevation=(10.0, 10.0)))))
    view = objects.generator.view(2, Streams(3, use="view"))
    assert isinstance(view, CameraView) and torch.allclose(view.cameras.elevation, torch.tensor(10.0))
