"""Viewer of one run: viser behind an authenticating proxy, a rendering thread, and a thread that follows the folder."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from modeseek.config.generators3d import MeshConfig, NeRFConfig
from modeseek.generators.camera import Cameras
from modeseek.generators.orbit import Orbit
from modeseek.rundir.run_dir import Run
from modeseek.viewer import viser_server
from modeseek.viewer.auth import Authenticator
from modeseek.viewer.follower import RunFollower
from modeseek.viewer.frame_sources import CheckpointFrames, PreviewFrames
from modeseek.viewer.panel import Panel
from modeseek.viewer.proxy import Proxy, listen
from modeseek.viewer.render_thread import RenderLoop
from modeseek.viewer.ui_state import UIStateStore
from modeseek.viewer.viser_camera import Pose
from modeseek.viewer.without_prior import is_3d

_FIRST_ANGLES = (30.0, 20.0)  # azimuth and elevation of the first camera, degrees
_JPEG_QUALITY = 80  # while a window moves


@dataclass(frozen=True)
class Viewer:
    """Running viewer.

    Attributes:
        address: URL to open, with the token if one is required.
        port: port of the proxy.
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
def serve_run(run: Run, host: str | None = None, port: int = 8080, device: str = "cpu") -> Generator[Viewer]:
    """Serves a viewer of a run until the context exits. The folder of the run is only read.

    Args:
        run: run to view, finished or not.
        host: interface to listen on. None is 127.0.0.1 without a token; any other, 127.0.0.1 included, requires the
            token in the URL.
        port: port to listen on; 0 takes any free one.
        device: device that renders.

    Raises:
        ValueError: the run cannot be viewed, the port is taken, or viser is missing.
    """
    config = run.config
    in_3d = is_3d(config)
    listener = listen(host or "127.0.0.1", port)
    try:
        secret, token = secrets.token_urlsafe(24), "" if host is None else secrets.token_urlsafe(18)
        server = viser_server.start_viser(secret)
    except BaseException:
        listener.close()
        raise
    source = CheckpointFrames(run, device) if in_3d else PreviewFrames(run)
    render_loop = RenderLoop(source)
    ui_state = UIStateStore(lambda: follower.wake())
    radius = config.generator.radius if isinstance(config.generator, NeRFConfig) else 0.0
    panel = Panel(server, ui_state, config.title, in_3d, radius)
    follower = RunFollower(run, source, render_loop, panel, ui_state)
    if in_3d and isinstance(config.generator, NeRFConfig | MeshConfig):
        _set_first_camera(server, config.generator.orbit or Orbit())
    _track_windows(server, render_loop)
    open_port = listener.getsockname()[1]
    proxy = Proxy(listener, server.get_port(), Authenticator(secret, f"modeseek_view_{open_port}", token))
    failures: list[BaseException] = []
    failed = threading.Event()
    threads = [_start_thread(target, failures, failed) for target in (proxy.run, render_loop.run, follower.run)]
    try:
        address = f"http://{_host_name(host)}:{open_port}/" + (f"?token={token}" if token else "")
        yield Viewer(address, open_port, render_loop, follower, failures, failed)
    finally:
        for loop in (proxy, render_loop, follower):
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


def _host_name(host: str | None) -> str:
    """Host for the URL: the name of this machine where the proxy listens on all interfaces."""
    if host is None:
        return "127.0.0.1"
    if host in ("0.0.0.0", "::", ""):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
