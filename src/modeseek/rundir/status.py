"""Status of a run, stored in `status.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from modeseek.io.atomic import write_atomic
from modeseek.io.errors import one_line

StateName = Literal["created", "running", "stopped", "failed", "finished"]


def utc_now() -> str:
    """Current UTC time in ISO format, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Status:
    """Status of a run.

    Attributes:
        state: created, running, stopped (resumable), failed or finished.
        reason: reason why the run is stopped or failed, one line.
        step: number of completed steps.
        steps: total number of steps, extensions included.
        checkpoint: step of the newest checkpoint, or None.
        seconds: time spent optimising, over all sessions.
        calls: number of prior calls so far.
        peak_memory_mb: peak main memory of the process, MiB.
        peak_device_memory_mb: peak memory on the accelerator, MiB, or None.
        sessions: number of times the run was started or resumed.
        rollbacks: number of rollbacks after a failure.
        started: UTC time of creation.
        updated: UTC time of the last write.
    """

    state: StateName
    reason: str = ""
    step: int = 0
    steps: int = 0
    checkpoint: int | None = None
    seconds: float = 0.0
    calls: int = 0
    peak_memory_mb: float = 0.0
    peak_device_memory_mb: float | None = None
    sessions: int = 0
    rollbacks: int = 0
    started: str = field(default_factory=utc_now)
    updated: str = field(default_factory=utc_now)

    def write(self, folder: Path) -> None:
        """Replaces `status.json` atomically."""
        write_atomic(folder / "status.json", json.dumps(asdict(self), indent=2) + "\n")


def read_status(folder: Path) -> Status:
    """Reads `status.json`.

    Raises:
        ValueError: the file is missing or damaged.
    """
    path = folder / "status.json"
    try:
        values = json.loads(path.read_bytes())
        names = {f.name for f in fields(Status)}
        status = Status(**{k: v for k, v in values.items() if k in names})
        invalid = [name for name, valid in _validity(status).items() if not valid]
        if invalid:
            raise ValueError(f"its {invalid[0]} is {str(values[invalid[0]])[:60]!r}")
        return status
    except FileNotFoundError as error:
        raise ValueError(
            f"{folder} is not a run: it has no status.json; pass a folder that modeseek created"
        ) from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {one_line(error, 200)}; restore it or start a new run") from error


def _validity(status: Status) -> dict[str, bool]:
    """Whether each value has the type and range that a run writes."""
    counts = ("step", "steps", "calls", "sessions", "rollbacks")
    texts = ("reason", "started", "updated")
    return {
        "state": status.state in get_args(StateName),
        **{name: _is_number(getattr(status, name), int) for name in counts},
        **{name: _is_number(getattr(status, name), int, float) for name in ("seconds", "peak_memory_mb")},
        "checkpoint": status.checkpoint is None or _is_number(status.checkpoint, int),
        "peak_device_memory_mb": status.peak_device_memory_mb is None
        or _is_number(status.peak_device_memory_mb, int, float),
        **{name: isinstance(getattr(status, name), str) for name in texts},
    }


def _is_number(value: Any, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool) and 0 <= value < float("inf")
