"""A viewer of one run: viser, the gate before it, a thread that renders and one that follows the folder."""

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

_FIRST = (30.0, 20.0)  # azimuth and elevation of the first camera, degrees
_QUALITY = 80  # of JPEGs while a window moves


@dataclass(frozen=True)
class Viewer:
    """A viewer at work.

    Attributes:
        address: to open, with the token where one is asked for.
        port: that is open.
        render_loop: what renders.
        follower: what follows the run.
    """

    address: str
    port: int
    render_loop: RenderLoop
    follower: RunFollower
    _failures: list[BaseException]
    _over: threading.Event

    def wait(self) -> None:
        """Returns never, but by Ctrl-C; what goes wrong in a thread is raised here."""
        while not self._over.wait(0.5):
            pass
        raise self._failures[0]


@contextmanager
def serve_run(run: Run, host: str | None = None, port: int = 8080, device: str = "cpu") -> Generator[Viewer]:
    """Serves a run until the block ends. Its folder is only read.

    Args:
        run: finished, or on its way.
        host: interface to listen on. None is 127.0.0.1, which only this machine reaches; with any other, that one
            included if it is named, only who has the token in the address is let in.
        port: 0 takes one that is free.
        device: that renders.

    Raises:
        ValueError: no run that can be viewed, a port that is taken, or viser is missing.
    """
    config = run.config
    solid = is_3d(config)
    outside = listen(host or "127.0.0.1", port)
    try:
        secret, token = secrets.token_urlsafe(24), "" if host is None else secrets.token_urlsafe(18)
        server = viser_server.start_viser(secret)
    except BaseException:
        outside.close()
        raise
    show = CheckpointFrames(run, device) if solid else PreviewFrames(run)
    render_loop = RenderLoop(show)
    ui_state = UIStateStore(lambda: follower.wake())
    reach = config.generator.radius if isinstance(config.generator, NeRFConfig) else 0.0
    panel = Panel(server, ui_state, config.title, solid, reach)
    follower = RunFollower(run, show, render_loop, panel, ui_state)
    if solid and isinstance(config.generator, NeRFConfig | MeshConfig):
        _first_camera(server, config.generator.orbit or Orbit())
    _watch(server, render_loop)
    number = outside.getsockname()[1]
    gate = Proxy(outside, server.get_port(), Authenticator(secret, f"modeseek_view_{number}", token))
    failures: list[BaseException] = []
    over = threading.Event()
    threads = [_thread(work, failures, over) for work in (gate.run, render_loop.run, follower.run)]
    try:
        address = f"http://{_name(host)}:{number}/" + (f"?token={token}" if token else "")
        yield Viewer(address, number, render_loop, follower, failures, over)
    finally:
        for part in (gate, render_loop, follower):
            part.stop()
        viser_server.stop_viser(server)
        for thread in threads:
            thread.join(timeout=2)


def _thread(work: Callable[[], None], failures: list[BaseException], over: threading.Event) -> threading.Thread:
    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # whoever waits raises it
            failures.append(error)
            over.set()

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    return thread


def _first_camera(server: Any, orbit: Orbit) -> None:
    """Where a new window looks from: as far away as the run's own cameras, with their lens."""
    ring = orbit.ring(1)
    azimuth, elevation = (torch.tensor([angle]) for angle in _FIRST)
    placed = Cameras(azimuth, elevation, ring.distance, ring.fov)
    server.initial_camera.position = tuple(placed.frame.position[0].tolist())
    server.initial_camera.look_at = (0.0, 0.0, 0.0)
    server.initial_camera.fov = ring.fov[0].deg2rad().item()


def _watch(server: Any, render_loop: RenderLoop) -> None:
    """Tells the render_loop of every window that comes, moves or goes."""

    async def come(client: Any) -> None:
        def send(pixels: np.ndarray | None, fine: bool) -> None:
            kind = "png" if fine else "jpeg"
            client.scene.set_background_image(pixels, kind, jpeg_quality=None if fine else _QUALITY)

        async def moved(camera: Any) -> None:
            render_loop.move_window(client.client_id, pose_of(camera), send)

        client.camera.on_update(moved)
        await moved(client.camera)

    async def go(client: Any) -> None:
        render_loop.close_window(client.client_id)

    server.on_client_connect(come)
    server.on_client_disconnect(go)


def pose_of(camera: Any) -> Pose:
    """Of viser's camera."""
    w, x, y, z = (float(q) for q in camera.wxyz)
    east, north, front = (float(c) for c in camera.position)
    return Pose((w, x, y, z), (east, north, front), float(camera.fov), float(camera.aspect))


def _name(host: str | None) -> str:
    """What to write in an address: this machine's name where all interfaces listen."""
    if host is None:
        return "127.0.0.1"
    if host in ("0.0.0.0", "::", ""):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
