"""Reading a run's folder piece by piece: what is damaged costs itself only, and has a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status

Value = TypeVar("Value")


def try_read(read: Callable[[], Value]) -> tuple[Value | None, str]:
    """What it reads, or None and the line that says why it cannot be read."""
    try:
        return read(), ""
    except (ValueError, OSError) as error:
        return None, " ".join(str(error).split())


def observed_state(run: Run, status: Status) -> str:
    """The state, and `lost` for a run that is not finished although no process works on it: killed, or crashed."""
    return "lost" if status.state == "running" and not run.running else status.state


def n_damaged_lines(run: Run, rows: Sequence[Any]) -> int:
    """Lines of `metrics.jsonl` that are torn or damaged: those that are not among its rows.

    Raises:
        OSError: it cannot be read.
    """
    path = run.path / "metrics.jsonl"
    if not path.exists():
        return 0
    return max(0, sum(1 for text in path.read_bytes().split(b"\n") if text.strip()) - len(rows))
