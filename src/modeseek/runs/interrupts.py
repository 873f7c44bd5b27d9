"""How a run ends before its time: asked to, or because it went wrong."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

RESUMABLE = 75  # the exit code of a run that stopped and can go on: EX_TEMPFAIL, "try again later"
FAILED = 1


class RunInterrupted(Exception):
    """A run that was stopped and can be resumed; its message says how."""


class RunFailed(RuntimeError):
    """A run that went wrong: at which step, which item, and what to do."""


@dataclass
class StopRequest:
    """Whether somebody asked the run to stop.

    Attributes:
        signal: the signal's name, or empty.
    """

    signal: str = ""


@contextmanager
def stop_on_signal() -> Generator[StopRequest]:
    """Turns the first Ctrl-C or SIGTERM into a wish that the loop grants after its step; a second one ends at once.

    Outside the main thread signals cannot be taken over; they then keep their meaning.
    """
    wish = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return

    def note(number: int, frame: FrameType | None) -> None:
        if wish.signal:
            raise KeyboardInterrupt
        wish.signal = signal.Signals(number).name

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
