"""What the page asks for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from modeseek.viewer.render_frame import RenderStyle


@dataclass(frozen=True)
class UIState:
    """What the page's controls say.

    Attributes:
        following: whether the newest moment is shown, and every newer one as it comes.
        step: which is shown otherwise; the nearest there is.
        look: how.
        size: pixels along the window's shorter side.
        curve: name of the metric that is drawn.
    """

    following: bool = True
    step: int = 0
    look: RenderStyle = RenderStyle()
    size: int = 256
    curve: str = ""


class UIStateStore:
    """Where wishes lie, for the threads that fulfil them.

    Args:
        heard: called after each change, with nothing held.
    """

    def __init__(self, heard: Callable[[], None]) -> None:
        self._now, self._heard, self._lock = UIState(), heard, threading.Lock()

    @property
    def current(self) -> UIState:
        """As they are."""
        return self._now

    def update(self, **changes: Any) -> None:
        """Changes some of them."""
        with self._lock:
            self._now = replace(self._now, **changes)
        self._heard()
