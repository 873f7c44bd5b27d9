"""Cameras, frames, sections, resolution and metrics of the viewer, each against independent computations."""

from __future__ import annotations

import json
import math
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from viser.transforms import SE3, SO3
from volumes import AnalyticVolume

from modeseek.generators.camera import Cameras
from modeseek.generators.nerf import Dense, NeRF
from modeseek.rundir.metrics_tail import MetricsTail
from modeseek.viewer.adaptive_resolution import AdaptiveResolution
from modeseek.viewer.density_section import AxisName, DensitySection, section_density
from modeseek.viewer.render_frame import RenderMode, RenderStyle, render_frame
from modeseek.viewer.render_thread import RenderLoop
from modeseek.viewer.viser_camera import Pose, rotation

angles = st.floats(-179, 179)
FRONT = Pose((0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 4.0), 0.6, 1.0)  # half a turn about x: looks along -z, y up


def around(azimuth: float, elevation: float, distance: float, fov: float = 40.0, aspect: float = 1.0) -> Pose:
    """Our camera as a viser pose, by viser's own quaternions."""
    frame = Cameras(*(torch.tensor([v], dtype=torch.float64) for v in (azimuth, elevation, distance, fov))).frame
    position, right, up, forward = (part[0].numpy() for part in frame)
    w, x, y, z = SO3.from_matrix(np.stack([right, -up, forward], 1)).wxyz.tolist()
    return Pose((w, x, y, z), tuple(position.tolist()), math.radians(fov), aspect)


@given(angles, st.floats(-89, 89), st.floats(0.5, 9), st.floats(5, 120))
def test_a_camera_comes_back_from_viser_as_it_went(azimuth: float, elevation: float, far: float, fov: float) -> None:
    ours = Cameras(*(torch.tensor([v]) for v in (azimuth, elevation, far, fov)))
    back = around(azimuth, elevation, far, fov).cameras()
    for mine, theirs in zip(ours.frame, back.frame, strict=True):
        assert torch.allclose(mine, theirs, atol=2e-5 * far)
    converted = torch.stack([back.azimuth, back.elevation, back.distance, back.fov])
    assert torch.allclose(converted[1:, 0], torch.tensor([elevation, far, fov]), rtol=1e-4, atol=1e-3)
    if abs(elevation) < 80:
        assert abs((converted[0, 0].item() - azimuth + 180) % 360 - 180) < 0.01


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1))
def test_a_quaternion_turns_as_it_does_in_viser(wxyz: list[float]) -> None:
    oracle = SO3(np.array(wxyz) / np.linalg.norm(wxyz)).as_matrix()
    assert np.allclose(rotation(wxyz).numpy(), oracle, atol=1e-6)


@pytest.mark.parametrize("aspect", [1.0, 2.0, 0.5, 1.78, 0.6])
def test_rays_go_through_the_pixels_of_the_window(aspect: float) -> None:
    turn = SO3.exp(np.array([0.4, -1.1, 0.3]))
    pose = Pose(tuple(turn.wxyz.tolist()), (1.0, -2.0, 3.0), 0.7, aspect)  # looks past the origin, and is rolled
    side = pose.side(32)
    rows, columns = pose.window(side)
    position, directions = pose.cameras().rays(side)
    seen = directions[0, rows, columns].double().numpy()
    h, w = seen.shape[:2]
    assert min(h, w) in (31, 32, 33) and abs(w / h / aspect - 1) < 1.1 / 32
    assert position[0].tolist() == [1.0, -2.0, 3.0]
    local = (SE3.from_rotation_and_translation(turn, np.array([1.0, -2.0, 3.0])).inverse()).rotation().as_matrix() @ (
        seen.reshape(-1, 3).T
    )
    tangent = math.tan(0.35)  # OpenCV's axes: x right, y down, the window from -1 to 1
    u = (local[0] / local[2] / (tangent * aspect)).reshape(h, w)
    v = (local[1] / local[2] / tangent).reshape(h, w)
    assert np.abs(u - ((2 * np.arange(w) + 1) / w - 1)).max() < 1.1 / w
    assert np.abs(v - ((2 * np.arange(h) + 1) / h - 1)[:, None]).max() < 1.1 / h


def test_a_placed_camera_stays_placed() -> None:
    placed = around(20, 10, 3).cameras()
    for other in (placed.to(torch.empty(0, dtype=torch.float64)), placed.select(0), placed.select(slice(0, 1))):
        assert torch.allclose(other.frame.forward.float(), placed.axes.forward)
    assert placed.to(torch.empty(0, dtype=torch.float64)).frame.up.dtype == torch.float64


@pytest.mark.parametrize(
    ("wxyz", "position", "fov", "aspect"),
    [
        ((math.nan, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0), 1.0, 1.0),
        ((1.0, 0.0, 0.0, 0.0), (0.0, math.inf, 1.0), 1.0, 1.0),
        ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0), math.pi, 1.0),
        ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0), 1.0, 0.0),
    ],
)
def test_a_pose_without_sense_is_refused(wxyz: Any, position: Any, fov: float, aspect: float) -> None:
    with pytest.raises(ValueError, match="a pose must have"):
        Pose(wxyz, position, fov, aspect)


def test_a_quaternion_of_no_length_is_refused() -> None:
    with pytest.raises(ValueError, match="length > 0"):
        rotation((0.0, 0.0, 0.0, 0.0))


def test_a_small_ball_is_seen_where_viser_projects_it() -> None:
    centre = np.array([0.5, 0.3, -0.2])
    nerf = NeRF(
        AnalyticVolume(lambda p: 500.0 * ((p - p.new_tensor(centre)).norm(dim=1) < 0.12)).double(), samples=64
    ).requires_grad_(False)
    for pose in (around(30, 20, 4), around(-100, -30, 3, aspect=1.6), around(200, 50, 5, aspect=0.7)):
        pixels = render_frame(nerf, pose, 96, RenderStyle("opacity"))
        h, w = pixels.shape[:2]
        local = SE3(np.array([*pose.wxyz, *pose.position])).inverse() @ centre
        tangent = math.tan(pose.fov / 2)
        u, v = local[0] / local[2] / (tangent * pose.aspect), local[1] / local[2] / tangent
        row, column = np.argwhere(pixels[..., 0] < 128).mean(0)
        assert abs((2 * column + 1) / w - 1 - u) < 3 / w and abs((2 * row + 1) / h - 1 - v) < 3 / h


@pytest.mark.parametrize("mode", ["colour", "depth", "normal", "opacity"])
def test_each_mode_shows_what_was_rendered(mode: RenderMode) -> None:
    nerf = NeRF(Dense((8,)), samples=16).requires_grad_(False)
    with torch.no_grad():
        nerf.volume.grid[0, 0] += 3  # pyright: ignore[reportIndexIssue, reportOperatorIssue]
        nerf.volume.grid[0, 1:] += torch.linspace(-2, 2, 8)  # pyright: ignore[reportIndexIssue, reportOperatorIssue]
    solid = nerf(nerf.view_from(Cameras(*(torch.tensor([v]) for v in (30.0, 20.0, 4.0, 40.0))), 24, normals=True))
    alpha = solid.opacity[0, 0].double().numpy()[..., None]
    if mode == "colour":
        want = solid.image[0].permute(1, 2, 0).double().numpy()
    elif mode == "opacity":
        want = np.repeat(1 - alpha, 3, -1)
    elif mode == "normal":
        normal = solid.normal[0].permute(1, 2, 0).double().numpy()
        length = np.linalg.norm(normal, axis=-1, keepdims=True)
        want = 1 - alpha * (0.5 - normal / np.maximum(length, 1e-12) / 2)
    else:
        from matplotlib import colormaps

        depth, opaque = solid.depth[0, 0].double().numpy(), alpha[..., 0] >= 0.5
        near, far = depth[opaque].min(), depth[opaque].max()
        want = 1 - alpha * (1 - colormaps["viridis"](np.clip((far - depth) / (far - near), 0, 1))[..., :3])
    assert alpha.max() > 0.9 > 0.1 > alpha.min()
    found = render_frame(nerf, around(30, 20, 4), 24, RenderStyle(mode))
    assert found.dtype == np.uint8 and found.shape == (24, 24, 3)
    assert np.abs(found / 255 - want).max() < 0.02


@pytest.mark.parametrize(("axis", "place"), [("x", 0.3), ("y", -0.5), ("z", 0.0)])
def test_a_section_is_the_density_where_each_ray_hits_the_plane(axis: AxisName, place: float) -> None:
    def linear(points: Any) -> Any:
        return 7 + 2 * points[:, 0] + 3 * points[:, 1] - points[:, 2]

    nerf = NeRF(AnalyticVolume(linear).double()).requires_grad_(False)
    pose = around(35, 25, 3, 45)
    density, met = section_density(nerf.density_field, pose.cameras(), 20, DensitySection(axis, place))
    k, tangent = "xyz".index(axis), math.tan(math.radians(22.5))
    turn, origin = SO3(np.array(pose.wxyz)), np.array(pose.position)
    inside = 0
    for row in range(20):
        for column in range(20):
            ray = turn @ np.array([((2 * column + 1) / 20 - 1) * tangent, ((2 * row + 1) / 20 - 1) * tangent, 1.0])
            share = (place - origin[k]) / ray[k]
            point = origin + share * ray
            hit = share > 0 and np.linalg.norm(point) <= 1
            assert met[0, row, column].item() == hit or abs(np.linalg.norm(point) - 1) < 1e-4
            if hit and met[0, row, column]:
                inside += 1
                assert density[0, row, column].item() == pytest.approx(linear(point[None])[0], abs=1e-4)
    assert inside > 20 and density[~met].abs().max() == 0


def test_a_section_beside_the_plane_or_behind_the_camera_is_empty() -> None:
    nerf = NeRF(Dense((8,))).requires_grad_(False)
    along, field = FRONT.cameras(), nerf.density_field
    within = Pose(FRONT.wxyz, (0.0, 0.0, 0.5), 0.6, 1.0).cameras()
    assert not section_density(field, within, 8, DensitySection("z", 0.7))[1].any()  # behind the camera
    assert section_density(field, within, 8, DensitySection("z", 0.2))[1].all()
    assert not section_density(field, along, 9, DensitySection("x", 0.0))[1].any()  # seen edgewise
    plain = render_frame(nerf, FRONT, 16, RenderStyle())
    cut = render_frame(nerf, FRONT, 16, RenderStyle(section=DensitySection("z", 0.0)))
    away = render_frame(nerf, FRONT, 16, RenderStyle(section=DensitySection("z", 5.0)))
    assert np.abs(cut[8, 8].astype(int) - away[8, 8]).max() > 60  # viridis is there
    assert np.abs(away / 255 - (1 - 0.3 * (1 - plain / 255))).max() < 0.01


@pytest.mark.parametrize(("cost", "side"), [(2e-6, 200), (1e-5, 89), (1e-9, 256), (1.0, 48)])
def test_the_resolution_finds_the_side_that_is_ready_in_time(cost: float, side: int) -> None:
    resolution = AdaptiveResolution(seconds=0.08, least=48, first=96)
    for _ in range(20):
        size = resolution.size(256)
        resolution.record(size, cost * size * size)
    assert resolution.size(256) == pytest.approx(side, abs=1)
    assert resolution.rate == pytest.approx(1 / max(cost * side * side, 1e-4), rel=0.1)
    resolution.record(resolution.size(256), 100 * cost * side * side)  # one slow frame
    assert resolution.size(10**6) >= 48 and resolution.size(20) == 20


def line(step: int, **more: Any) -> str:
    return json.dumps({"step": step, "loss": 0.5 * step, **more}) + "\n"


def test_metrics_are_read_on_and_read_anew_when_a_run_went_back(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tail = MetricsTail(path)
    assert not tail.read() and tail.rows == []
    path.write_text(line(0) + line(1) + line(2)[:9])
    assert tail.read() and [row["step"] for row in tail.rows] == [0, 1]
    assert not tail.read()
    with path.open("a") as file:
        file.write(line(2)[9:] + "{broken\n" + line(3, note="text", rate=None))
    assert tail.read() and [row["step"] for row in tail.rows] == [0, 1, 2, 3]
    assert tail.names == ["loss"]
    path.write_text(line(0) + line(1, loss=9.0))  # shorter
    assert tail.read() and [row["loss"] for row in tail.rows] == [0.0, 9.0]
    path.write_text(line(0) + line(1) + line(2) + line(3))
    path.write_text(line(0, loss=7.0) + line(1, loss=7.0) + line(1) + line(2))
    assert tail.read() and tail.rows[0]["loss"] == 7.0  # as long, but a step came twice
    path.unlink()
    assert tail.read() and tail.rows == []


def test_a_curve_is_thinned_and_keeps_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(line(step) for step in range(1001)))
    tail = MetricsTail(path)
    tail.read()
    steps, values = tail.curve("loss")
    assert steps[0] == 0 and steps[-1] == 1000 and 300 <= len(steps) <= 401
    assert np.array_equal(values, 0.5 * steps)
    assert np.isnan(tail.curve("other")[1]).all()


class SlowFrames:
    """Frame source that records its calls."""

    noun = "frame"

    def __init__(self, cost: float) -> None:
        self.cost, self.calls = cost, list[tuple[Pose, int, RenderStyle]]()

    def steps(self) -> list[int]:
        return [1]

    def load(self, step: int) -> None: ...

    def frame(self, pose: Pose, size: int, style: RenderStyle) -> np.ndarray:
        self.calls.append((pose, size, style))
        time.sleep(self.cost)
        return np.zeros((2, 2, 3), np.uint8)


def until(condition: Any, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.005)


def test_the_render_loop_draws_coarsely_while_a_window_moves_and_finely_once_it_rests() -> None:
    source, sent = SlowFrames(0.01), list[tuple[int, bool]]()
    render_loop = RenderLoop(source)
    thread = threading.Thread(target=render_loop.run, daemon=True)
    thread.start()
    render_loop.move_window(1, FRONT, lambda pixels, fine: sent.append((1, fine)))
    until(lambda: (1, True) in sent)
    assert sent == [(1, False), (1, True)]
    assert [size for _, size, _ in source.calls][-1] == 256 and source.calls[0][1] == 96
    render_loop.move_window(1, FRONT, lambda pixels, fine: sent.append((1, fine)))  # the same again: nothing to do
    moving = [around(k, 10, 4) for k in range(12)]
    for pose in moving:
        render_loop.move_window(1, pose, lambda pixels, fine: sent.append((1, fine)))
        render_loop.move_window(2, pose, lambda pixels, fine: sent.append((2, fine)))
        time.sleep(0.03)
    assert not any(fine for _, fine in sent[2:]) and {1, 2} == {window for window, _ in sent[2:]}
    until(lambda: (2, True) in sent and sent[2:].count((1, True)) == 1)
    assert source.calls[-1][0] == moving[-1]
    render_loop.close_window(2)
    count = len(sent)
    render_loop.set_style(RenderStyle("depth"), 64)
    until(lambda: sent[-1] == (1, True) and len(sent) > count)
    assert source.calls[-1] == (moving[-1], 64, RenderStyle("depth")) and (2, False) not in sent[count:]
    render_loop.stop()
    thread.join(5)
    assert not thread.is_alive() and render_loop.frames_sent == len(sent)
