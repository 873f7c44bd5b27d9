"""The viewer on run folders: loading, following, and its messages for missing or damaged files."""

from __future__ import annotations

import io
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fabricated_runs import fabricate
from PIL import Image

from modeseek.cli.errors import one_line
from modeseek.cli.view import ViewCommand
from modeseek.config.priors import RenderedPriorConfig
from modeseek.generators.export import encode_ply
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.surface import Surface
from modeseek.generators.nerf import Dense, Fourier, HashGrid, NeRF, Triplane
from modeseek.rng import Streams
from modeseek.rundir.checkpoint import read_checkpoint, write_checkpoint
from modeseek.rundir.run_dir import Run
from modeseek.viewer import server as serve
from modeseek.viewer.follower import RunFollower
from modeseek.viewer.frame_sources import CheckpointFrames, FrameSource, PreviewFrames
from modeseek.viewer.panel import Panel
from modeseek.viewer.render_frame import RenderStyle
from modeseek.viewer.render_thread import RenderLoop
from modeseek.viewer.ui_state import UIStateStore
from modeseek.viewer.viser_camera import Pose
from modeseek.viewer.without_prior import AbsentPrior, load_generator

FRONT = Pose((0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 4.0), 0.6, 1.0)
STARTED = {"state": "running", "reason": ""}
RENDERS = {"renders": {"caption": "a red cone on a blue cube"}}


def folder(path: Path, generator: Any, **settings: Any) -> Run:
    return fabricate(path, done=0, n_previews=0, prior=RENDERS, generator=generator, **settings)


def dense(run: Run, *steps: int) -> dict[int, NeRF]:
    """Checkpoints as a run writes them, each of another grid."""
    made = {}
    for step in steps:
        nerf = NeRF(Dense((4, 6)), samples=8)
        with torch.no_grad():
            nerf.volume.grid[:] = torch.randn(1, 4, 4, 4, 4, generator=torch.Generator().manual_seed(step)) + 2
            if step > 10:
                nerf.volume.refine(1)
        moments = {"state": {0: {"exp_avg": torch.zeros(4)}}}  # ignored by the viewer
        state = {"generator": nerf, "optimizer": moments, "method": None, "seconds": 1.0, "attempt": 0, "calls": 3}
        write_checkpoint(run.path / "checkpoints", step, state, keep=10)
        made[step] = nerf
    return made


@pytest.fixture(autouse=True)
def no_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prior is never loaded here."""

    def refuse(self: RenderedPriorConfig, device: str) -> None:
        raise AssertionError("the prior was loaded")

    monkeypatch.setattr(RenderedPriorConfig, "load", refuse)


class RecordingPanel(Panel):
    """Panel that records what it shows."""

    def __init__(self) -> None:
        self.displayed = dict[str, Any]()

    def show_steps(self, steps: Any, shown: int | None) -> None:
        self.displayed |= {"steps": list(steps), "shown": shown}

    def show_status(self, lines: Any, error: str) -> None:
        self.displayed |= {"lines": list(lines), "error": error}

    def show_metrics(self, names: Any, row: Any) -> None:
        self.displayed |= {"names": list(names), "row": row}

    def show_curve(self, name: str, steps: Any, values: Any) -> None:
        self.displayed |= {"curve": name, "values": list(values)}

    def show_frame_rate(self, line: str) -> None:
        self.displayed |= {"pace": line}


def following(run: Run, source: FrameSource) -> tuple[RunFollower, UIStateStore, dict[str, Any]]:
    ui_state, panel = UIStateStore(lambda: None), RecordingPanel()
    follower = RunFollower(run, source, RenderLoop(source), panel, ui_state)
    return follower, ui_state, panel.displayed


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["dense", "triplane", "fourier", "hash"])
def test_a_nerf_is_what_the_checkpoint_holds(tmp_path: Path, kind: str, dtype: torch.dtype) -> None:
    run = folder(tmp_path / "run", {"nerf": {"kind": kind, "samples": 8, "background": "learned"}})
    like, rng = torch.empty(0, dtype=dtype), Streams(5, use="start")
    made = {"triplane": Triplane, "fourier": Fourier, "hash": HashGrid}
    volume = Dense((32, 64), like=like) if kind == "dense" else made[kind](rng, like=like)
    from modeseek.generators.nerf import Background

    nerf = NeRF(volume, samples=8, background=Background("learned", like=like))
    with torch.no_grad():
        for parameter in nerf.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)).to(parameter))
        nerf.volume.refine(nerf.volume.levels - 1)
        nerf.space.get_buffer("open")[:20] = False
    write_checkpoint(run.path / "checkpoints", 7, {"generator": nerf, "method": None})
    found = load_generator(run.config, read_checkpoint(run.checkpoints[-1]))
    assert isinstance(found, NeRF) and next(found.parameters()).dtype == dtype
    assert not any(parameter.requires_grad for parameter in found.parameters())
    cameras = found.orbit.ring(2, first=20.0)
    with torch.no_grad():
        assert torch.equal(found(found.view_from(cameras, 12)).image, nerf(nerf.view_from(cameras, 12)).image)


def test_a_surface_is_what_the_checkpoint_holds(tmp_path: Path) -> None:
    corners = torch.tensor([[0.5, -0.4, 0.3], [-0.5, -0.4, 0.3], [0.0, -0.4, -0.6], [0.0, 0.6, 0.0]])
    faces = torch.tensor([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
    mesh = Mesh(corners, faces, torch.full((4, 3), 0.5))
    (tmp_path / "mesh.ply").write_bytes(encode_ply(mesh))
    run = folder(tmp_path / "run", {"surface": {"path": str(tmp_path / "mesh.ply")}})
    surface = Surface(mesh)
    with torch.no_grad():
        surface.logits[:, 0] += 3
    write_checkpoint(run.path / "checkpoints", 3, {"generator": surface, "method": None})
    frames = CheckpointFrames(run)
    frames.load(3)
    pixels = frames.frame(FRONT, 40, RenderStyle())
    assert pixels is not None and pixels.shape == (40, 40, 3)
    assert pixels[22, 20, 0] > 230 and pixels[22, 20, 1] < 150  # red from the checkpoint, grey in the file
    (tmp_path / "mesh.ply").unlink()
    with pytest.raises((ValueError, OSError)) as caught:
        CheckpointFrames(run).load(3)
    assert "mesh.ply" in one_line(caught.value)


def test_checkpoints_of_something_else_are_refused(tmp_path: Path) -> None:
    run = folder(tmp_path / "run", {"nerf": {"sides": [4, 8]}})
    dense(run, 5)  # of sides 4 and 6
    with pytest.raises(ValueError, match="step-00000005 does not fit this run"):
        CheckpointFrames(run).load(5)
    write_checkpoint(run.path / "checkpoints", 6, {"method": None}, keep=10)
    with pytest.raises(ValueError, match="step-00000006 holds no generator"):
        CheckpointFrames(run).load(6)
    points = fabricate(tmp_path / "points", done=1, n_previews=1)
    assert run.config.generator.as_3d is not None and points.config.generator.as_3d is None
    with pytest.raises(ValueError, match="a generator must be 3D to be viewed, got PointsConfig"):
        load_generator(points.config, read_checkpoint(run.checkpoints[0]))


def test_the_absent_prior_cannot_be_evaluated() -> None:
    prior = AbsentPrior((3, 8, 8), torch.float32, torch.device("cpu"))
    with pytest.raises(RuntimeError, match="holds no prior"):
        prior(torch.zeros(1, 3, 8, 8), torch.ones(1))


def test_the_newest_checkpoint_is_followed_until_another_is_chosen(tmp_path: Path) -> None:
    run = folder(
        tmp_path / "run", {"nerf": {"sides": [4, 6], "samples": 8}}, steps=30, status={"state": "running", "reason": ""}
    )
    frames = CheckpointFrames(run)
    follower, ui_state, displayed = following(run, frames)
    follower.update()
    assert displayed["steps"] == [] and displayed["shown"] is None and frames.frame(FRONT, 8, RenderStyle()) is None
    assert displayed["lines"][1].startswith("No checkpoint yet") and displayed["error"] == ""
    assert displayed["lines"][0].startswith("not running now; modeseek resume")
    made = dense(run, 5)
    with run.locked():
        follower.update()
    assert displayed["lines"] == ["running, step 0 of 30", "Shown: checkpoint of step 5."]
    made |= dense(run, 12)
    follower.update()
    assert displayed["steps"] == [5, 12] and displayed["shown"] == 12

    def shows(step: int) -> bool:
        other, want = CheckpointFrames(run), frames.frame(FRONT, 16, RenderStyle())
        other.load(step)
        return np.array_equal(other.frame(FRONT, 16, RenderStyle()), want)  # pyright: ignore[reportArgumentType]

    assert shows(12) and not shows(5)
    ui_state.update(following=False, step=5)
    follower.update()
    assert displayed["shown"] == 5 and shows(5)
    dense(run, 20)
    follower.update()
    assert displayed["steps"] == [5, 12, 20] and displayed["shown"] == 5
    ui_state.update(following=True)
    follower.update()
    assert displayed["shown"] == 20
    (run.path / "metrics.jsonl").write_text('{"step": 0, "loss": 2.0}\n{"step": 1, "loss": 1.0}\n')
    follower.update()
    assert (
        displayed["curve"] == "loss"
        and displayed["values"] == [2.0, 1.0]
        and displayed["row"] == {"step": 1, "loss": 1.0}
    )
    follower.update()
    assert displayed["lines"][0].endswith("step 2 of 30")


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_shown(tmp_path: Path) -> None:
    run = folder(tmp_path / "run", {"nerf": {"sides": [4, 6], "samples": 8}})
    dense(run, 5, 12)
    tensors = run.checkpoints[-1] / "tensors.safetensors"
    data = bytearray(tensors.read_bytes())
    data[-1] ^= 1
    tensors.write_bytes(data)
    follower, ui_state, displayed = following(run, CheckpointFrames(run))
    for _ in range(2):  # it is displayed for as long as it is so
        follower.update()
        assert displayed["shown"] == 5
        assert displayed["error"].startswith("checkpoint step-00000012 is damaged: tensors.safetensors was altered")
    ui_state.update(following=False, step=5)
    follower.update()
    assert displayed["shown"] == 5 and displayed["error"] == ""
    dense(run, 20)
    ui_state.update(following=True)
    follower.update()
    assert displayed["shown"] == 20 and displayed["error"] == ""


def test_previews_of_2d_runs_are_shown_whole(tmp_path: Path) -> None:
    run = fabricate(tmp_path / "run", done=100, n_previews=3, steps=100)
    previews = PreviewFrames(run)
    follower, ui_state, displayed = following(run, previews)
    follower.update()
    assert displayed["steps"] == [0, 50, 100] and displayed["lines"][-1] == "Shown: preview of step 100."
    newest = run.path / "previews" / "step-00000100.png"
    with Image.open(newest) as file:
        pixels = np.asarray(file.convert("RGB"))
    wide = previews.frame(Pose(FRONT.wxyz, FRONT.position, 0.6, 2.0), 64, RenderStyle())
    tall = previews.frame(Pose(FRONT.wxyz, FRONT.position, 0.6, 0.5), 64, RenderStyle())
    assert wide is not None and tall is not None
    assert wide.shape == (320, 640, 3) and np.array_equal(wide[:, 160:480], pixels) and (wide[:, :160] == 255).all()
    assert tall.shape == (640, 320, 3) and np.array_equal(tall[160:480], pixels)
    newest.write_bytes(newest.read_bytes()[:200])
    follower, _, displayed = following(run, PreviewFrames(run))
    follower.update()
    assert displayed["shown"] == 50 and displayed["error"].startswith("preview step-00000100.png is damaged")


def test_the_command_ends_well_by_control_c_and_names_mistakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = folder(tmp_path / "run", {"nerf": {"sides": [4, 6], "samples": 8}})

    def pressed(viewer: serve.Viewer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(serve.Viewer, "wait", pressed)
    ViewCommand(str(run.path), port=0).run([])
    captured = capsys.readouterr()
    assert captured.out.startswith("Open http://127.0.0.1:") and captured.err == ""
    number = captured.out.split("/ (Ctrl-C")[0].rpartition(":")[2]
    assert f"ssh -L {number}:127.0.0.1:{number} " in captured.out
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {number} is taken: pass another with --port"):
            ViewCommand(str(run.path), port=number).run([])
    with pytest.raises(ValueError, match="a port must be in 0 to 65535, got 70000"):
        ViewCommand(str(run.path), port=70000).run([])
    with pytest.raises(ValueError, match="there is no run"):
        ViewCommand(str(tmp_path / "other"), port=0).run([])
    (run.path / "config.yaml").write_text("verb: toy\n")
    with pytest.raises(ValueError, match="must be for the verb run, got 'toy'"):
        ViewCommand(str(run.path), port=0).run([])


def test_what_goes_wrong_in_a_thread_ends_the_viewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = folder(tmp_path / "run", {"nerf": {"sides": [4, 6], "samples": 8}})

    def broken(self: RunFollower) -> None:
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr(RunFollower, "update", broken)
    with serve.serve_run(run, port=0) as viewer, pytest.raises(RuntimeError, match="the disk is on fire"):
        viewer.wait()


def test_without_viser_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = folder(tmp_path / "run", {"nerf": {"sides": [4, 6], "samples": 8}})
    monkeypatch.setattr("modeseek.viewer.viser_server.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs the package viser: got none; pip install 'modeseek\[viewer\]'"):
        ViewCommand(str(run.path), port=0).run([])


def test_a_damaged_preview_is_named(tmp_path: Path) -> None:
    run = fabricate(tmp_path / "run", done=10, n_previews=2, steps=10)
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, "PNG")
    (run.path / "previews" / "step-00000003.png").write_bytes(out.getvalue()[:30])
    with pytest.raises(ValueError, match="preview step-00000003.png is damaged"):
        PreviewFrames(run).load(3)
