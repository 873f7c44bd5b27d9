"""Viewer of one run: viser on this machine, a rendering thread, and a thread that follows the folder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from modeseek.generators.camera import Cameras
from modeseek.generators.orbit import Orbit
from modeseek.rundir.run_dir import Run
from modeseek.viewer import viser_server
from modeseek.viewer.follower import RunFollower
from modeseek.viewer.frame_sources import CheckpointFrames, PreviewFrames
from modeseek.viewer.panel import Panel
from modeseek.viewer.render_thread import RenderLoop
from modeseek.viewer.ui_state import UIStateStore
from modeseek.viewer.viser_camera import Pose

_FIRST_ANGLES = (30.0, 20.0)  # azimuth and elevation of the first camera, degrees
_JPEG_QUALITY = 80  # while a window moves


@dataclass(frozen=True)
class Viewer:
    """Running viewer.

    Attributes:
        address: URL to open.
        port: port of 127.0.0.1 on which it listens.
        render_loop: loop that renders frames for all windows.
        follower: loop that follows the folder of the run.
    """

    address: str
    port: int
    render_loop: RenderLoop
    follower: RunFollower
    _failures: list[BaseException]
    _failed: threading.Event

    def wait(self) -> None:
        """Blocks until Ctrl-C; raises the error of a thread that failed."""
        while not self._failed.wait(0.5):
            pass
        raise self._failures[0]


@contextmanager
def serve_run(run: Run, port: int = 8080, device: str = "cpu") -> Generator[Viewer]:
    """Serves a viewer of a run on 127.0.0.1 until the context exits. The folder of the run is only read.

    Args:
        run: run to view, finished or not.
        port: port to listen on; 0 takes any free one.
        device: device that renders.

    Raises:
        ValueError: the run cannot be viewed, the port is taken, or viser is missing.
    """
    config = run.config
    settings = config.generator.as_3d
    server = viser_server.start_viser(port)
    source = PreviewFrames(run) if settings is None else CheckpointFrames(run, device)
    render_loop = RenderLoop(source)
    ui_state = UIStateStore(lambda: follower.wake())
    radius = 0.0 if settings is None else settings.density_radius
    panel = Panel(server, ui_state, config.title, source.noun, settings is not None, radius)
    follower = RunFollower(run, source, render_loop, panel, ui_state)
    if settings is not None:
        _set_first_camera(server, settings.orbit or Orbit())
    _track_windows(server, render_loop)
    failures: list[BaseException] = []
    failed = threading.Event()
    threads = [_start_thread(target, failures, failed) for target in (render_loop.run, follower.run)]
    try:
        open_port = server.get_port()
        yield Viewer(f"http://{viser_server.HOST}:{open_port}/", open_port, render_loop, follower, failures, failed)
    finally:
        for loop in (render_loop, follower):
            loop.stop()
        viser_server.stop_viser(server)
        for thread in threads:
            thread.join(timeout=2)


def _start_thread(
    target: Callable[[], None], failures: list[BaseException], failed: threading.Event
) -> threading.Thread:
    def guarded() -> None:
        try:
            target()
        except BaseException as error:  # raised by `Viewer.wait`
            failures.append(error)
            failed.set()

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    return thread


def _set_first_camera(server: Any, orbit: Orbit) -> None:
    """Sets the camera of new windows, with the distance and field of view of the run's own cameras."""
    ring = orbit.ring(1)
    azimuth, elevation = (torch.tensor([angle]) for angle in _FIRST_ANGLES)
    camera = Cameras(azimuth, elevation, ring.distance, ring.fov)
    server.initial_camera.position = tuple(camera.frame.position[0].tolist())
    server.initial_camera.look_at = (0.0, 0.0, 0.0)
    server.initial_camera.fov = ring.fov[0].deg2rad().item()


def _track_windows(server: Any, render_loop: RenderLoop) -> None:
    """Registers callbacks that report each window that opens, moves or closes to the render loop."""

    async def opened(client: Any) -> None:
        def send(pixels: np.ndarray | None, fine: bool) -> None:
            kind = "png" if fine else "jpeg"
            client.scene.set_background_image(pixels, kind, jpeg_quality=None if fine else _JPEG_QUALITY)

        async def moved(camera: Any) -> None:
            render_loop.move_window(client.client_id, pose_of(camera), send)

        client.camera.on_update(moved)
        await moved(client.camera)

    async def closed(client: Any) -> None:
        render_loop.close_window(client.client_id)

    server.on_client_connect(opened)
    server.on_client_disconnect(closed)


def pose_of(camera: Any) -> Pose:
    """Pose of viser's camera, as plain numbers."""
    w, qx, qy, qz = (float(q) for q in camera.wxyz)
    x, y, z = (float(c) for c in camera.position)
    return Pose((w, qx, qy, qz), (x, y, z), float(camera.fov), float(camera.aspect))
