"""The one thread that renders: rough and soon while a window moves, fine once it rests."""

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

_REST = 0.25  # seconds without a move after which a window is drawn finely
Send = Callable[[np.ndarray | None, bool], None]


@dataclass
class _Window:
    """One browser: where it looks from, and how much of that it has seen."""

    send: Send
    pose: Pose
    moved: float
    rough: bool = False
    fine: bool = False


class RenderLoop:
    """Draws for all windows, the one that waited longest first.

    Args:
        show: what is drawn.
    """

    def __init__(self, show: FrameSource) -> None:
        self._show = show
        self._windows: dict[int, _Window] = {}
        self._bell = threading.Condition()
        self._look, self._size = RenderStyle(), 256
        self._stopped = False
        self._drawn = 0
        self.resolution = AdaptiveResolution()

    def move_window(self, number: int, pose: Pose, send: Send) -> None:
        """A window looks from there now; it may be a new one."""
        with self._bell:
            before = self._windows.get(number)
            if before is None or before.pose != pose:
                self._windows[number] = _Window(send, pose, time.monotonic())
                self._bell.notify()

    def close_window(self, number: int) -> None:
        """A window is gone."""
        with self._bell:
            self._windows.pop(number, None)

    def set_style(self, look: RenderStyle, size: int) -> None:
        """All windows shall show it so, with that many pixels along their shorter side once they rest."""
        with self._bell:
            self._look, self._size = look, size
        self.redraw()

    def redraw(self) -> None:
        """All windows are drawn anew: what they show has changed."""
        with self._bell:
            for window in self._windows.values():
                window.rough = window.fine = False
                window.moved = time.monotonic()
            self._bell.notify()

    def stop(self) -> None:
        """Ends `work` after the picture at hand."""
        with self._bell:
            self._stopped = True
            self._bell.notify()

    @property
    def frames_sent(self) -> int:
        """Pictures sent so far."""
        return self._drawn

    def run(self) -> None:
        """Draws until it is stopped."""
        while (found := self._next()) is not None:
            window, pose, look, size, fine = found
            began = time.perf_counter()
            window.send(self._show.frame(pose, size, look), fine)
            if not fine:
                self.resolution.record(size, time.perf_counter() - began)
            self._drawn += 1

    def _next(self) -> tuple[_Window, Pose, RenderStyle, int, bool] | None:
        """What to draw now, once there is anything; None when it was stopped."""
        with self._bell:
            while not self._stopped:
                waiting = sorted((w for w in self._windows.values() if not w.fine), key=lambda w: (w.rough, w.moved))
                now = time.monotonic()
                if waiting and not waiting[0].rough:
                    window, size = waiting[0], self.resolution.size(self._size)
                    window.rough = True
                    return window, window.pose, self._look, size, False
                if waiting and now - waiting[0].moved >= _REST:
                    waiting[0].fine = True
                    return waiting[0], waiting[0].pose, self._look, self._size, True
                self._bell.wait(waiting[0].moved + _REST - now if waiting else None)
        return None
