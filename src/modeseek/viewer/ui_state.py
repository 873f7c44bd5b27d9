"""State of the page's controls, shared between threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from modeseek.viewer.render_frame import RenderStyle


@dataclass(frozen=True)
class UIState:
    """Values of the page's controls.

    Attributes:
        following: whether to show the newest step, and each newer one as it appears.
        step: step to show if not following; the nearest available one is used.
        style: rendering style.
        size: pixels along the window's shorter side.
        curve: name of the metric to plot; empty for the default.
    """

    following: bool = True
    step: int = 0
    style: RenderStyle = RenderStyle()
    size: int = 256
    curve: str = ""


class UIStateStore:
    """Thread-safe holder of the current `UIState`.

    Args:
        on_change: function called after each change, outside the lock.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._state, self._on_change, self._lock = UIState(), on_change, threading.Lock()

    @property
    def current(self) -> UIState:
        """The latest state."""
        return self._state

    def update(self, **changes: Any) -> None:
        """Replaces fields of the state."""
        with self._lock:
            self._state = replace(self._state, **changes)
        self._on_change()
