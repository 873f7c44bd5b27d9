"""Work that is done in one go: its folder is locked, and says how it stands whatever happens."""

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
    """Locks the run, keeps its status and log true, and lets SIGTERM end it as Ctrl-C does.

    Such work is not resumed: it takes minutes. What it wrote before it ended stays.
    """
    began = time.perf_counter()
    with run.locked(), _terminable():
        log = LineFile(run.path / "log.txt")

        def tell(state: StateName, reason: str = "") -> None:
            log.append(f"{utc_now()} {state}" + (f": {reason}" if reason else ""))
            memory, seconds = peak_memory_mb(), time.perf_counter() - began
            told = replace(run.status, state=state, reason=reason, seconds=seconds, peak_memory_mb=memory)
            replace(told, sessions=1, updated=utc_now()).write(run.path)

        try:
            tell("running")
            yield
            tell("finished")
        except (KeyboardInterrupt, GeneratorExit):
            tell("stopped", "interrupted; start it again")
            raise
        except Exception as error:
            tell("failed", " ".join(str(error).split())[:500])
            raise
        finally:
            log.close()


@contextmanager
def _terminable() -> Generator[None]:
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
