"""Exit codes and one-line messages for errors."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

from modeseek.runs.interrupts import FAILED, RESUMABLE, RunFailed, RunInterrupted


@contextmanager
def exit_on_error() -> Generator[None]:
    """One line and an exit code for what goes wrong; of several processes only the first one's line is seen."""
    try:
        yield
    except KeyboardInterrupt:
        _end("stopped", 130)
    except RunInterrupted as stopped:
        _end(f"stopped: {one_line(stopped)}", RESUMABLE)
    except RunFailed as failed:
        _end(f"the run failed: {one_line(failed)}", FAILED)
    except (ValueError, TypeError, FloatingPointError, MemoryError, OSError) as error:
        _end(f"error: {one_line(error)}", 2)


def _end(line: str, code: int) -> None:
    print(f"modeseek: {line}", file=sys.stderr)
    sys.exit(code)


def one_line(error: Exception) -> str:
    """What to tell of a mistake."""
    if isinstance(error, OSError) and error.strerror:
        place = f" {error.filename}" if error.filename else ""
        return f"cannot read or write{place}: {error.strerror}; choose another place"
    return " ".join(str(error).split())
