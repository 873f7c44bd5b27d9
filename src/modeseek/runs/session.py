"""Session of a run that is not resumable: locks its folder and keeps its status and log up to date."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

from modeseek.io.atomic import LineFile
from modeseek.rundir.environment import peak_memory_mb
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import StateName, utc_now


@contextmanager
def run_session(run: Run) -> Generator[None]:
    """Locks the run, keeps its status and log up to date, and handles SIGTERM like Ctrl-C.

    Such a run takes minutes and is not resumed. Files written before an interruption stay.
    """
    began = time.perf_counter()
    with run.locked(), _interrupt_on_sigterm():
        log = LineFile(run.path / "log.txt")

        def write_status(state: StateName, reason: str = "") -> None:
            log.append(f"{utc_now()} {state}" + (f": {reason}" if reason else ""))
            memory, seconds = peak_memory_mb(), time.perf_counter() - began
            status = replace(run.status, state=state, reason=reason, seconds=seconds, peak_memory_mb=memory)
            replace(status, sessions=1, updated=utc_now()).write(run.path)

        try:
            write_status("running")
            yield
            write_status("finished")
        except (KeyboardInterrupt, GeneratorExit):
            write_status("stopped", "interrupted; start it again")
            raise
        except Exception as error:
            write_status("failed", " ".join(str(error).split())[:500])
            raise
        finally:
            log.close()


@contextmanager
def _interrupt_on_sigterm() -> Generator[None]:
    """Turns SIGTERM into KeyboardInterrupt, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
