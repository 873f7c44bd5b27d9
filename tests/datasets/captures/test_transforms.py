"""transforms.json: both forms in use, poses in its axes, the framing of an object, and damaged files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cases import one_line
from PIL import Image

from modeseek.datasets.captures import Capture, Framing, read_transforms
from modeseek.generators.camera import Cameras

UNIT = [[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 4], [0, 0, 0, 1]]


def look_at(position: np.ndarray, target: np.ndarray, up: np.ndarray, roll: float = 0.0) -> list[list[float]]:
    """Pose of a camera in OpenGL's axes: it looks along its -z."""
    back = (position - target) / np.linalg.norm(position - target)
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    above = np.cross(back, right)
    c, s = math.cos(roll), math.sin(roll)
    columns = (c * right + s * above, c * above - s * right, back, position)
    return [*np.stack(columns, 1).tolist(), [0.0, 0.0, 0.0, 1.0]]


def write(folder: Path, table: dict[str, Any], size: tuple[int, int] = (8, 6)) -> Path:
    for frame in table["frames"]:
        name = frame["file_path"] if "." in Path(frame["file_path"]).name else frame["file_path"] + ".png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, "white").save(folder / name)
    (folder / "transforms.json").write_text(json.dumps(table))
    return folder / "transforms.json"


def test_the_form_of_nerfstudio(tmp_path: Path) -> None:
    shared = {"camera_model": "OPENCV", "fl_x": 10.0, "fl_y": 11.0, "cx": 3.0, "cy": 2.5, "w": 16, "h": 12, "k1": 0.1}
    frames = [
        {"file_path": "images/a.jpg", "transform_matrix": UNIT, "mask_path": "masks/a.png"},
        {"file_path": "images/b.jpg", "transform_matrix": UNIT, "fl_x": 20.0, "p2": 0.01},
    ]
    first, second = read_transforms(write(tmp_path, shared | {"frames": frames})).photographs
    assert first.file == tmp_path / "images" / "a.jpg" and first.mask == tmp_path / "masks" / "a.png"
    assert (first.lens.width, first.lens.height) == (16, 12)
    assert (first.lens.focal, first.lens.centre, first.lens.radial) == ((10, 11), (3, 2.5), (0.1, 0, 0, 0))
    assert second.mask is None and second.lens.focal == (20, 11) and second.lens.tangential == (0, 0.01)
    assert first.position.tolist() == [0, 0, 4]
    right, down, forward = first.rotation.T.tolist()
    assert (right, down, forward) == ([1, 0, 0], [0, -1, 0], [0, 0, -1])


def test_the_form_of_the_synthetic_data(tmp_path: Path) -> None:
    frames = [{"file_path": "./train/r_0", "rotation": 0.01, "transform_matrix": UNIT}]
    (photograph,) = read_transforms(
        write(tmp_path, {"camera_angle_x": 2 * math.atan(0.5), "frames": frames})
    ).photographs
    assert photograph.file == tmp_path / "train" / "r_0.png"
    assert photograph.lens.focal == pytest.approx((8, 8)) and photograph.lens.centre == (4, 3)


ANGLES = ((0.0, 10.0), (90.0, 20.0), (200.0, 45.0), (-60.0, -5.0))


def orbit(tmp_path: Path, front: float, up: str = "z") -> Capture:
    """Cameras 5 units from a centre that look past it by a little, in another world than the shape's."""
    centre, frames = np.array([1.0, -2.0, 0.5]), []
    for k, (azimuth, elevation) in enumerate(ANGLES):
        a, e = math.radians(azimuth + front), math.radians(elevation)
        x, y, z = math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)
        position = np.array([x, -z, y] if up == "z" else [x, y, z])
        above = np.array([0.0, 0, 1] if up == "z" else [0.0, 1, 0])
        frames.append({"file_path": f"{k}.png", "transform_matrix": look_at(centre + 5 * position, centre, above)})
    return read_transforms(write(tmp_path, {"fl_x": 20.0, "w": 8, "h": 6, "frames": frames}))


@pytest.mark.parametrize("up", ["z", "y"])
@pytest.mark.parametrize("front", [0.0, 70.0])
def test_cameras_are_found_again(up: Any, front: float, tmp_path: Path) -> None:
    capture = orbit(tmp_path, front, up)
    framing = Framing.fit(capture, 1.2, up, front)
    assert framing.centre.tolist() == pytest.approx([1, -2, 0.5])
    cameras = framing.cameras(capture)
    azimuth = (cameras.azimuth + 360 + 1e-4) % 360
    assert azimuth.tolist() == pytest.approx([a % 360 for a, _ in ANGLES], abs=1e-3)
    assert cameras.elevation.tolist() == pytest.approx([e for _, e in ANGLES], abs=1e-3)
    # the shorter side, 6 pixels at focal length 20 from 5 units away, is as wide as the view of 2.4
    assert framing.scale == pytest.approx(2.4 / (5 * 6 / 20))
    assert cameras.distance.tolist() == pytest.approx([5 * framing.scale] * 4)
    width = cameras.distance * (cameras.fov / 2).deg2rad().tan()
    assert width.tolist() == pytest.approx([1.2] * 4, rel=1e-5)


@pytest.mark.parametrize("tilt", [0.0, 3.0, 40.0, 170.0])
def test_the_vertical_is_that_of_level_cameras(tilt: float, tmp_path: Path) -> None:
    """In a tilted world, as that of COLMAP, elevations are those above the object's own ground."""
    capture = orbit(tmp_path, 0)
    c, s = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    turn = torch.tensor([[1.0, 0, 0], [0, c, -s], [0, s, c]], dtype=torch.float64)
    tilted = [replace(p, rotation=turn @ p.rotation, position=turn @ p.position) for p in capture.photographs]
    capture = Capture(capture.file, tuple(tilted))
    framing = Framing.fit(capture, 1.2)
    assert torch.linalg.det(framing.axes).item() == pytest.approx(1)
    elevation = framing.cameras(capture).elevation.tolist()
    assert elevation == pytest.approx([e for _, e in ANGLES], abs=3.1 if tilt == 3 else 1e-3)  # near an axis it is it
    assert (framing.axes[1] @ turn[:, 2]).item() == pytest.approx(1 if tilt != 3 else c, abs=1e-6)


def test_photographs_from_one_side_have_the_mean_vertical(tmp_path: Path) -> None:
    frames = [{"file_path": f"{k}.png", "transform_matrix": look_at(np.array([0.0, -4, k]), np.zeros(3),
               np.array([0.0, 0, 1]))} for k in (0, 1)]  # fmt: skip
    capture = read_transforms(write(tmp_path, {"fl_x": 9.0, "frames": frames}))
    up = capture.up().tolist()
    assert up[0] == pytest.approx(0, abs=1e-9) and up[2] > 0.98


@pytest.mark.parametrize(("up", "elevation"), [("z", 30.0), ("-z", -30.0), ("x", 0.0), ("-y", 60.0)])
def test_the_vertical_may_be_given(up: Any, elevation: float, tmp_path: Path) -> None:
    position = np.array([0.0, -math.cos(math.radians(30)), math.sin(math.radians(30))])
    frames = [{"file_path": "a.png", "transform_matrix": look_at(position, np.zeros(3), np.array([0.0, 0, 1]))}]
    capture = read_transforms(write(tmp_path, {"fl_x": 9.0, "frames": frames}))
    framing = Framing.fit(capture, 1.2, up, centre=(0.0, 0.0, 0.0))
    assert framing.cameras(capture).elevation.item() == pytest.approx(elevation, abs=1e-3)


def test_files_as_people_name_them(tmp_path: Path) -> None:
    """A PNG whose name has a dot, a path of Windows, a byte-order mark, and fields of view."""
    (tmp_path / "images").mkdir()
    for name in ("f.0.png", "g.png"):
        Image.new("RGB", (8, 4)).save(tmp_path / "images" / name)
    frames = [{"file_path": name, "transform_matrix": UNIT} for name in ("./images/f.0", "images\\g.png")]
    table = {"camera_angle_x": 2 * math.atan(0.5), "camera_angle_y": 2 * math.atan(0.2), "frames": frames}
    (tmp_path / "transforms.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(table).encode())
    first, second = read_transforms(tmp_path / "transforms.json").photographs
    assert (first.file, second.file) == (tmp_path / "images" / "f.0.png", tmp_path / "images" / "g.png")
    assert first.lens.focal == pytest.approx((8, 10))


def test_the_scale_and_centre_may_be_given(tmp_path: Path) -> None:
    framing = Framing.fit(orbit(tmp_path, 0), 1.2, centre=(1.0, -2.0, 1.5), scale=0.5)
    assert framing.scale == 0.5 and framing.centre.tolist() == [1, -2, 1.5]
    assert isinstance(framing.cameras(orbit(tmp_path, 0)), Cameras)


def test_parallel_axes_have_no_centre(tmp_path: Path) -> None:
    frames = [{"file_path": f"{k}.png", "transform_matrix": UNIT} for k in range(2)]
    capture = read_transforms(write(tmp_path, {"fl_x": 9.0, "frames": frames}))
    with pytest.raises(ValueError, match=r"parallel axes of 2; try .*photographs\.capture\.centre=\[0,0,0\]"):
        Framing.fit(capture, 1.2)
    with pytest.raises(ValueError, match="must stand outside the object's centre"):
        Framing.fit(capture, 1.2, centre=(0.0, 0.0, 4.0))


def frame(**changes: Any) -> dict[str, Any]:
    return {"fl_x": 9.0, "frames": [{"file_path": "a.png", "transform_matrix": UNIT} | changes]}


def scaled(matrix: list[list[float]]) -> list[list[float]]:
    return (torch.tensor(matrix) * 2).tolist()


DAMAGED: list[tuple[str, Callable[[], Any], str]] = [
    ("no JSON", lambda: "{", "must be a transforms.json of nerfstudio, JSON with a list of frames"),
    ("no frames", lambda: {"fl_x": 1.0}, "got no 'frames'"),
    ("a list", lambda: [1], "must be a transforms.json"),
    ("none", lambda: {"frames": []}, "must have one frame or more, got none"),
    ("no path", lambda: {"frames": [{"transform_matrix": UNIT}]}, "file_path of frame 0 of .* must be the path"),
    ("words", lambda: frame(transform_matrix="up"), "transform_matrix of frame 0 of .* must be 4 x 4 numbers"),
    ("three", lambda: frame(transform_matrix=UNIT[:2]), r"must be 4 x 4 finite numbers, got shape \(2, 4\)"),
    ("scale", lambda: frame(transform_matrix=scaled(UNIT)), "axes that are no rotation .* without a scale"),
    ("mirror", lambda: frame(transform_matrix=[[-1.0, 0, 0, 0], *UNIT[1:]]), "axes that are no rotation"),
    ("a fisheye of instant-ngp", lambda: frame(is_fisheye=True), "must be perspective .* got 'is_fisheye'"),
    ("a large pose", lambda: frame(transform_matrix=[[10**400, 0, 0, 0], *UNIT[1:]]), "must be 4 x 4 numbers"),
    ("deep", lambda: "[" * 100_000, "must be a transforms.json of nerfstudio"),
    ("infinite", lambda: frame(w=math.inf, h=6), "the lens of frame 0 of .* must be that of a camera"),
    ("flat", lambda: {"camera_angle_x": 0.0, "frames": frame()["frames"]}, "must be that of a camera"),
    ("a mask by number", lambda: frame(mask_path=3), "mask_path of frame 0 of .* must be the path of an image, got 3"),
    ("fisheye", lambda: frame(camera_model="OPENCV_FISHEYE"), "must be perspective .* got 'OPENCV_FISHEYE'"),
    ("no lens", lambda: frame() | {"fl_x": None}, "the lens of frame 0 of .* must be that of a camera"),
    ("lens", lambda: {"frames": frame()["frames"]}, "got no focal length; try fl_x or camera_angle_x"),
    ("zero", lambda: frame(fl_x=0.0), "focal lengths > 0"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "words"), [row[1:] for row in DAMAGED], ids=[row[0] for row in DAMAGED])
def test_damaged_files_are_one_line(make: Callable[[], Any], words: str, tmp_path: Path) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    table = make()
    (tmp_path / "transforms.json").write_text(table if isinstance(table, str) else json.dumps(table))
    with pytest.raises(ValueError, match=words) as caught:
        read_transforms(tmp_path / "transforms.json")
    one_line(caught.value)
