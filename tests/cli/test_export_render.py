"""`modeseek export` and `modeseek render`: every format at any size from a run folder, and one line for bad input."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from terminal import cli_error

import modeseek as ms
from modeseek import runs
from modeseek.cli import main
from modeseek.config.generators3d import NeRFConfig
from modeseek.config.priors import RenderedPriorConfig
from modeseek.generators.camera import Cameras
from modeseek.generators.nerf import NeRF
from modeseek.runs.build import build
from modeseek.runs.export_run import choose_resolution
from modeseek.runs.exports import WEIGHTS
from modeseek.runs.render_run import RenderSettings
from modeseek.runs.trained import load_trained

pytestmark = pytest.mark.slow

SETTINGS = {"steps": 2, "previews": 0, "film": "none", "device": "cpu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs "shape" (3D), "images" (two fields) and "points"."""
    folder, options = tmp_path_factory.mktemp("runs"), dict[str, object](SETTINGS)
    sgd, points = runs.SGDConfig(0.1), runs.PointsConfig(runs.NoiseStart(5))
    nerf = NeRFConfig(views=2, samples=10, sides=(8, 12), coarse=0.5)
    fields = runs.FieldConfig(2, width=8, depth=1)
    adam = runs.AdamConfig(0.25)
    msd = ms.MSD(ms.Fixed(0.5))
    ms.run(ms.Config(runs.ToyPriorConfig("ring"), msd, points, sgd, **options), folder / "points")  # pyright: ignore
    ms.run(ms.Config(runs.ToyPriorConfig("digits"), msd, fields, sgd, **options), folder / "images")  # pyright: ignore
    prior = RenderedPriorConfig("a red cube", 16, 4)
    ms.run(ms.Config(prior, msd, nerf, adam, name="a red cube", **options), folder / "shape")  # pyright: ignore
    return folder


@pytest.fixture(autouse=True)
def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def trained(folder: Path) -> NeRF:
    generator = load_trained(ms.Run.load(folder / "shape"), "cpu").shape
    assert isinstance(generator, NeRF)
    return generator


@pytest.mark.parametrize("form", ["glb", "obj", "ply", "stl"])
def test_meshes_of_every_format(form: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"cube.{form}"
    main(["export", "shape", "--resolution", "16", "--level", "0.5", "--out", str(path)])
    printed = capsys.readouterr().out
    assert "at density 0.5 (given)" in printed and printed.rstrip().endswith(str(path))
    found = trimesh.load(path, force="mesh", process=form == "stl")
    with torch.no_grad():
        want, _ = trained(folder).extract_mesh(16, 0.5)
    assert len(found.faces) == len(want.faces) and found.volume == pytest.approx(want.volume, rel=1e-4)


def test_meshes_are_fine_by_default_and_less_so_under_a_texture() -> None:
    assert [choose_resolution(*given) for given in ((None, None), (None, 1024), (64, 1024))] == [256, 128, 64]


def test_a_texture_is_written_beside_an_obj_or_into_a_glb(tmp_path: Path) -> None:
    for form, files in (("obj", {"a.obj", "a.mtl", "a.png"}), ("glb", {"a.glb"})):
        out = tmp_path / form
        out.mkdir()
        more = ["--resolution", "12", "--level", "0.5", "--texture", "64"]
        main(["export", "shape", *more, "--out", str(out / f"a.{form}")])
        assert {path.name for path in out.iterdir()} == files
        model = trimesh.load(out / f"a.{form}", force="mesh")
        assert model.visual.kind == "texture" and model.visual.uv.min() >= 0 and model.visual.uv.max() <= 1


def test_by_default_files_lie_in_the_run_and_say_their_resolution(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(folder / "shape", tmp_path / "runs" / "mine")
    monkeypatch.chdir(tmp_path)
    exports = tmp_path / "runs" / "mine" / "exports"
    before = {path.name for path in exports.iterdir()}
    main(["export", "--resolution", "12", "--level", "0.5"])  # the newest run
    main(["export", "mine", "--format", "ply", "--resolution", "12", "--level", "0.5"])
    main(["export", "mine", "--resolution", "12", "--level", "0.5", "--texture", "32"])
    main(["export", "mine", "--format", "png", "--size", "24"])
    main(["export", "mine", "--format", "npy", "--size", "24"])
    main(["render", "--size", "32", "--frames", "2"])
    views = {f"a-red-cube-s0-az{angle:03d}@24.png" for angle in range(0, 360, 60)}
    assert {path.name for path in exports.iterdir()} - before == {
        *("mesh-12.glb", "mesh-12.ply", "mesh-12-textured.glb", "images-24.npy"),
        *views,
    }
    assert [path.name for path in (tmp_path / "runs" / "mine" / "media").glob("*.mp4")] == ["turntable-32.mp4"]


def test_images_are_rendered_at_any_size(folder: Path, tmp_path: Path) -> None:
    main(["export", "images", "--size", "40", "--out", str(tmp_path / "pair.png")])
    main(["export", "images", "--size", "40", "--out", str(tmp_path / "pair.npy")])
    main(["export", "images", "--out", str(tmp_path / "native")])
    run = ms.Run.load(folder / "images")
    objects = build(run.config)
    field = objects.generator
    assert isinstance(field, ms.Field)
    field.load_state_dict(load_trained(run, "cpu").generator.state_dict())
    with torch.no_grad():
        want = field.render(40, 40)
    array = np.load(tmp_path / "pair.npy")
    np.testing.assert_allclose(array, want.numpy(), atol=1e-6)
    for k in (0, 1):
        with Image.open(tmp_path / f"pair-{k + 1}.png") as png:
            np.testing.assert_allclose(np.asarray(png), (array[k, 0].clip(0, 1) * 255).round(), atol=1)
            assert png.text["Enlarged"] == "40 pixels, rendered"
        native = f"digits-s0-{k + 1}.png"
        assert (tmp_path / "native" / native).read_bytes() == (run.path / "exports" / native).read_bytes()


def test_a_film_turns_once_and_a_still_shows_one_side(folder: Path, tmp_path: Path) -> None:
    main(["render", "shape", "--size", "32", "--frames", "4", "--fps", "7", "--out", str(tmp_path / "turn.mp4")])
    with av.open(tmp_path / "turn.mp4") as film:
        assert film.streams.video[0].average_rate == 7
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    nerf, sides = trained(folder), {"front": (0.0, 15.0), "right": (90.0, 15.0), "top": (0.0, 90.0)}
    assert len(frames) == 4
    fov = sum(nerf.orbit.fov) / 2
    for index, (side, (azimuth, elevation)) in enumerate(sides.items()):
        path = tmp_path / f"{side}.png"
        main(["render", "shape", "--camera", side, "--size", "32", "--out", str(path)])
        distance = sum(nerf.orbit.span) / 2 / np.tan(np.radians(fov / 2))
        camera = Cameras(*(torch.tensor([value]) for value in (azimuth, elevation, distance, fov)))
        with torch.no_grad():
            want = nerf(nerf.view_from(camera, 32)).image[0].permute(1, 2, 0).clamp(0, 1).numpy() * 255
        with Image.open(path) as png:
            np.testing.assert_allclose(np.asarray(png, dtype=float), want, atol=1)
        if side != "top":  # frames of a quarter turn: front, right, back, left
            assert np.abs(frames[index] - want).mean() < 6
    main(["render", "shape", "--format", "gif", "--frames", "3", "--size", "16", "--out", str(tmp_path / "turn.gif")])
    with Image.open(tmp_path / "turn.gif") as gif:
        assert gif.n_frames == 3 and gif.size == (16, 16)


def test_cameras_are_those_of_the_settings(folder: Path) -> None:
    nerf = trained(folder)
    cameras = RenderSettings(frames=4, elevation=33.0, fov=50.0).cameras(nerf)
    assert cameras.azimuth.tolist() == [0, 90, 180, 270]
    assert set(cameras.elevation.tolist()) == {33.0} and set(cameras.fov.tolist()) == {50.0}
    span = sum(nerf.orbit.span) / 2
    assert cameras.distance.tolist() == pytest.approx([span / np.tan(np.radians(25.0))] * 4, rel=1e-5)
    assert RenderSettings(frames=120).rate == 30 and RenderSettings(frames=1).rate == 1


def test_a_run_without_films_has_none(folder: Path) -> None:
    names = {path.name for path in (folder / "shape" / "media").iterdir()}
    assert names == {"before.png", "after.png", "sides.png"} or names == {"sides.png"}


def test_without_checkpoints_the_exported_weights_are_taken(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "shape", tmp_path / "run")
    for checkpoint in ms.Run(tmp_path / "run").checkpoints:
        shutil.rmtree(checkpoint)
    want = load_trained(ms.Run.load(folder / "shape"), "cpu")
    found = load_trained(ms.Run(tmp_path / "run"), "cpu")
    assert found.step == want.step == 2 and found.generator.state_dict().keys() == want.generator.state_dict().keys()
    for name, tensor in found.generator.state_dict().items():
        assert torch.equal(tensor, want.generator.state_dict()[name])
    (tmp_path / "run" / WEIGHTS).write_bytes(b"\0" * 20)
    with pytest.raises(ValueError, match="generator.safetensors is damaged or of another generator; resume the run"):
        load_trained(ms.Run(tmp_path / "run"), "cpu")
    (tmp_path / "run" / WEIGHTS).unlink()
    with pytest.raises(ValueError, match="must hold a checkpoint, got none; run it longer: modeseek resume"):
        load_trained(ms.Run(tmp_path / "run"), "cpu")


BAD = [
    ("export nowhere", "there is no run nowhere"),
    ("export images --format glb", "a mesh needs a run of a 3D shape, got images, which optimised a Field"),
    ("export points --format stl", "a mesh needs a run of a 3D shape, got points, which optimised a Points"),
    ("export points --format png", "points must hold images, got items of shape (2,)"),
    ("export shape --out a.fbx", "--out must end in .glb, .obj, .ply, .stl, .svg, .png, .npy, got a.fbx"),
    ("export shape --out a.usdz", "usdz and fbx: convert the glb"),
    ("export shape --format glb --out a.obj", "--out must end in .glb, the --format, got a.obj; remove one of them"),
    ("export shape --format glb --out a", "--out must end in .glb, got a"),
    ("export shape --out gone/a.glb", "the folder of gone/a.glb must exist, got gone, which does not; try mkdir -p"),
    ("export shape --out images.glb", "the output must be a file, got images.glb, which is a folder"),
    ("export shape --resolution 0 --out a.glb", "resolution must be 8 to 512, got 0"),
    ("export shape --resolution 513 --out a.glb", "resolution must be 8 to 512, got 513"),
    ("export shape --level 1e9 --resolution 12 --out a.glb", "level must be below the greatest density"),
    ("export shape --level -1 --resolution 12 --out a.glb", "level > 0"),
    ("export shape --texture 4 --resolution 12 --out a.glb", "a texture must have 16 to 8192 pixels a side, got 4"),
    ("export shape --texture 64 --out a.ply", "a texture needs the format glb or obj, got ply"),
    ("export shape --size 64 --out a.glb", "--size is for png and npy, got --format glb"),
    ("export images --size 0", "size must be 1 to 8192, got 0"),
    ("export images --format usdz", "unknown format 'usdz'"),
    ("render nowhere", "there is no run nowhere"),
    ("render images --out a.mp4", "a render needs a run of a 3D shape, got images, which optimised a Field"),
    ("render shape --frames 0 --out a.mp4", "frames must be 1 to 10,000, got 0; try 120"),
    ("render shape --size 8 --out a.mp4", "size must be 16 to 4096 pixels, got 8; try 512"),
    ("render shape --elevation 91 --out a.mp4", "elevation must be -90 to 90 degrees, got 91.0; try 15"),
    ("render shape --fov 0 --out a.mp4", "fov must be 1 to 170 degrees, got 0.0; try 40"),
    ("render shape --fps 0 --out a.mp4", "fps must be 1 to 120, got 0; try 30"),
    ("render shape --out a.avi", "a render must be written to a .mp4, .gif or .png file, got 'a.avi'"),
    ("render shape --out gone/a.mp4", "the folder of gone/a.mp4 must exist"),
    ("render shape --camera front --out a.mp4", "camera orbit makes a film and the others a still"),
    ("render shape --camera orbit --out a.png", "pick a side such as front"),
    ("render shape --camera below", "unknown camera 'below'"),
    ("render shape --format avi", "unknown format 'avi'"),
    ("render shape --format gif --out a.mp4", "--out must end in .gif, the --format, got a.mp4"),
]


@pytest.mark.parametrize(("line", "words"), BAD, ids=[line for line, _ in BAD])
def test_bad_input_ends_with_one_line_and_writes_nothing(
    line: str, words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "images.glb").mkdir(exist_ok=True)
    before = sorted(folder.rglob("*"))
    assert words in cli_error(line.split(), capsys)
    assert sorted(folder.rglob("*")) == before


def test_no_run_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert "runs must hold a run, got none; pass the folder of one" in cli_error(["export"], capsys)
