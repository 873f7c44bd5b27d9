"""Exit codes and one-line messages for errors."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Generator
from contextlib import contextmanager

from modeseek.io import errors
from modeseek.runs.interrupts import FAILED, RESUMABLE, RunFailed, RunInterrupted

_SIGPIPE = 141  # exit code of a process that a closed pipe ended


@contextmanager
def exit_on_error() -> Generator[None]:
    """Prints an exception as one line on stderr and exits with its code; only the first of several processes prints.

    Where the reader of the output has left (`modeseek list runs | head`), it exits quietly, as by SIGPIPE.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError as error:
        if _reader_has_left():
            sys.exit(_SIGPIPE)
        _end(f"error: {one_line(error)}", 2)
    except KeyboardInterrupt:
        _end("stopped", 130)
    except RunInterrupted as stopped:
        _end(f"stopped: {one_line(stopped)}", RESUMABLE)
    except RunFailed as failed:
        _end(f"the run failed: {one_line(failed)}", FAILED)
    except (ValueError, TypeError, FloatingPointError, OSError) as error:
        _end(f"error: {one_line(error)}", 2)
    except (MemoryError, RuntimeError) as error:
        if not errors.is_out_of_memory(error):
            raise
        text = errors.one_line(error, 200)
        _end(f"error: out of memory{f': {text}' * bool(text)}; try smaller or fewer items", 2)


def _reader_has_left() -> bool:
    """Whether standard output is a pipe without a reader; then what is left of it goes nowhere."""
    try:
        handle = sys.stdout.fileno()
    except (OSError, ValueError):  # no file of the system
        return False
    if not hasattr(select, "poll"):  # Windows: no other pipe of a command breaks
        return True
    poll = select.poll()
    poll.register(handle, select.POLLOUT)
    if not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), handle)
    return True


def _end(line: str, code: int) -> None:
    print(f"modeseek: {line}", file=sys.stderr)
    sys.exit(code)


def one_line(error: Exception) -> str:
    """Error message on one line."""
    if isinstance(error, OSError) and error.strerror:
        path = f" {error.filename}" if error.filename else ""
        return f"cannot read or write{path}: {error.strerror}; try another path"
    return errors.one_line(error)
