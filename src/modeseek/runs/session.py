"""Session of a run: locks its folder and keeps its status and log up to date."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

from modeseek.io.atomic import LineFile
from modeseek.io.errors import one_line
from modeseek.rundir.environment import peak_memory_mb
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import StateName, utc_now
from modeseek.runs.interrupts import RunInterrupted


@contextmanager
def run_session(run: Run, *, resumable: bool = False) -> Generator[LineFile]:
    """Locks the run, keeps its status up to date while open, and handles SIGTERM like Ctrl-C; gives its log.

    Files written before an interruption stay.

    Args:
        run: run folder.
        resumable: whether a stopped run can be resumed by the same command; else it has to start again.

    Raises:
        RunInterrupted: a resumable run was stopped, by Ctrl-C, SIGTERM or one of its jobs; the message says how to
            resume.
        KeyboardInterrupt: another run was stopped.
        ValueError: another process works on the folder.
    """
    began = time.perf_counter()
    with run.locked(), _interrupt_on_sigterm():
        log, before = LineFile(run.path / "log.txt"), run.status.seconds

        def write_status(state: StateName, reason: str = "", sessions: int = 0) -> None:
            log.append(f"{utc_now()} {state}" + (f": {reason}" if reason else ""))
            status = run.status
            memory, seconds = max(status.peak_memory_mb, peak_memory_mb()), before + time.perf_counter() - began
            status = replace(status, state=state, reason=reason, seconds=seconds, peak_memory_mb=memory)
            replace(status, sessions=status.sessions + sessions, updated=utc_now()).write(run.path)

        try:
            write_status("running", sessions=1)
            yield log
            write_status("finished")
        except (KeyboardInterrupt, GeneratorExit, RunInterrupted) as error:
            reason = _stop_reason(error) if resumable else "interrupted; start it again"
            write_status("stopped", reason)
            if resumable and not isinstance(error, GeneratorExit):
                raise RunInterrupted(resume_hint(run, reason)) from error
            raise
        except Exception as error:
            write_status("failed", one_line(error, 500))
            raise
        finally:
            log.close()


def resume_hint(run: Run, reason: str) -> str:
    """Message of a stopped run that can be resumed: the reason, and how to resume."""
    return f"{reason}; what is done is kept; to resume, rerun the same command with --out {run.path}"


def _stop_reason(error: BaseException) -> str:
    if isinstance(error, RunInterrupted):
        return one_line(str(error).split(";")[0])  # of a job, whose message goes on to say how to resume it
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "the caller stopped iterating"


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
