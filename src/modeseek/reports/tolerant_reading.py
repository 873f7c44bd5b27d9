"""Tolerant reading of run folders: a damaged file gives an error line instead of an exception."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from modeseek.io.errors import one_line
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status

Value = TypeVar("Value")


def try_read(read: Callable[[], Value]) -> tuple[Value | None, str]:
    """The value read and an empty line, or None and the error in one line."""
    try:
        return read(), ""
    except (ValueError, OSError) as error:
        return None, one_line(error)


def observed_state(run: Run, status: Status) -> str:
    """State of a run; `lost` if the status says running but no process works on it (killed or crashed)."""
    return "lost" if status.state == "running" and not run.running else status.state


def damaged_lines(run: Run, rows: Sequence[Any]) -> list[str]:
    """A warning if `metrics.jsonl` has truncated or damaged lines: those without a row.

    Raises:
        OSError: the file cannot be read.
    """
    path = run.path / "metrics.jsonl"
    if not path.exists():
        return []
    n = sum(1 for text in path.read_bytes().split(b"\n") if text.strip()) - len(rows)
    return [f"{n} of the lines of metrics.jsonl {'is' if n == 1 else 'are'} damaged and left out"] if n > 0 else []
