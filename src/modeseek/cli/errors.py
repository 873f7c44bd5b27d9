"""Exit codes and one-line messages for errors."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

from modeseek.io import errors
from modeseek.runs.interrupts import FAILED, RESUMABLE, RunFailed, RunInterrupted


@contextmanager
def exit_on_error() -> Generator[None]:
    """Prints an exception as one line on stderr and exits with its code; only the first of several processes prints."""
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
    """Error message on one line."""
    if isinstance(error, OSError) and error.strerror:
        path = f" {error.filename}" if error.filename else ""
        return f"cannot read or write{path}: {error.strerror}; try another path"
    return errors.one_line(error)
