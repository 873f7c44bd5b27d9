"""Rendering loop: fast coarse frames while a window's camera moves, full resolution once it rests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modeseek.viewer.adaptive_resolution import AdaptiveResolution
from modeseek.viewer.frame_sources import FrameSource
from modeseek.viewer.render_frame import RenderStyle
from modeseek.viewer.viser_camera import Pose

_REST_SECONDS = 0.25  # without a camera move before a window is rendered at full resolution
Send = Callable[[np.ndarray | None, bool], None]


@dataclass
class _Window:
    """One browser window: its camera, and which frames of it were sent."""

    send: Send
    pose: Pose
    moved: float
    rough: bool = False
    fine: bool = False


class RenderLoop:
    """Renders frames for all windows, the one that has waited longest first.

    Args:
        source: frames to render.
    """

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self._windows: dict[int, _Window] = {}
        self._changed = threading.Condition()
        self._style, self._size = RenderStyle(), 256
        self._stopped = False
        self._frames_sent = 0
        self.resolution = AdaptiveResolution()

    def move_window(self, number: int, pose: Pose, send: Send) -> None:
        """Sets the camera of a window, which may be new.

        Args:
            number: id of the window.
            pose: pose of its camera.
            send: function that displays a frame, called with the pixels and whether they are at full resolution.
        """
        with self._changed:
            window = self._windows.get(number)
            if window is None or window.pose != pose:
                self._windows[number] = _Window(send, pose, time.monotonic())
                self._changed.notify()

    def close_window(self, number: int) -> None:
        """Removes a window."""
        with self._changed:
            self._windows.pop(number, None)

    def set_style(self, style: RenderStyle, size: int) -> None:
        """Sets the style of all windows, and the pixels along their shorter side at full resolution."""
        with self._changed:
            self._style, self._size = style, size
        self.redraw()

    def redraw(self) -> None:
        """Renders all windows anew."""
        with self._changed:
            for window in self._windows.values():
                window.rough = window.fine = False
                window.moved = time.monotonic()
            self._changed.notify()

    def stop(self) -> None:
        """Ends `run` after the current frame."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    @property
    def frames_sent(self) -> int:
        """Number of frames sent so far."""
        return self._frames_sent

    def run(self) -> None:
        """Renders until stopped."""
        while (task := self._next()) is not None:
            window, pose, style, size, fine = task
            start = time.perf_counter()
            window.send(self._source.frame(pose, size, style), fine)
            if not fine:
                self.resolution.record(size, time.perf_counter() - start)
            self._frames_sent += 1

    def _next(self) -> tuple[_Window, Pose, RenderStyle, int, bool] | None:
        """The next frame to render, once there is one; None when stopped."""
        with self._changed:
            while not self._stopped:
                waiting = sorted((w for w in self._windows.values() if not w.fine), key=lambda w: (w.rough, w.moved))
                time_now = time.monotonic()
                if waiting and not waiting[0].rough:
                    window, size = waiting[0], self.resolution.size(self._size)
                    window.rough = True
                    return window, window.pose, self._style, size, False
                if waiting and time_now - waiting[0].moved >= _REST_SECONDS:
                    waiting[0].fine = True
                    return waiting[0], waiting[0].pose, self._style, self._size, True
                self._changed.wait(waiting[0].moved + _REST_SECONDS - time_now if waiting else None)
        return None
