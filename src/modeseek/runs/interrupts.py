"""Interruption and failure of runs: exceptions, exit codes and signal handling."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

RESUMABLE = 75  # exit code of a run that stopped and can be resumed: EX_TEMPFAIL
FAILED = 1


class RunInterrupted(Exception):
    """A run was stopped and can be resumed; the message says how."""


class RunFailed(RuntimeError):
    """A run failed; the message says at which step and item, and what to change."""


@dataclass
class StopRequest:
    """Request to stop, set by a signal handler or by the caller of `train`, and read after each step.

    Attributes:
        signal: name of the received signal, or another cause, or empty.
    """

    signal: str = ""


@contextmanager
def stop_on_signal(request: StopRequest | None = None) -> Generator[StopRequest]:
    """Turns the first Ctrl-C or SIGTERM into a stop request, to be honoured after the step; a second one interrupts.

    Outside the main thread no handlers can be installed; signals then keep their default effect.

    Args:
        request: request to set; None for a new one.
    """
    request = StopRequest() if request is None else request
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if request.signal:
            raise KeyboardInterrupt
        request.signal = signal.Signals(number).name

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
