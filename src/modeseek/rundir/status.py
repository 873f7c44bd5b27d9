"""Where a run stands, as `status.json` says it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from modeseek.io.atomic import write_atomic

StateName = Literal["created", "running", "stopped", "failed", "finished"]


def utc_now() -> str:
    """UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Status:
    """Where a run stands.

    Attributes:
        state: created, running, stopped (resumable by intention), failed or finished.
        reason: why it is not finished, one line.
        step: steps done when this was written.
        steps: steps in all, extensions included.
        checkpoint: step of the newest checkpoint, or None.
        seconds: spent optimising, over all sessions.
        calls: prior calls so far.
        peak_memory_mb: the most main memory that the process held.
        peak_device_memory_mb: the most memory held on the accelerator, or None.
        sessions: times it was started or resumed.
        rollbacks: times it went back after a failure.
        started: when, UTC.
        updated: when this was written, UTC.
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
        """Replaces `status.json`, whole or not at all."""
        write_atomic(folder / "status.json", json.dumps(asdict(self), indent=2) + "\n")


def read_status(folder: Path) -> Status:
    """What `status.json` says.

    Raises:
        ValueError: it is missing or damaged.
    """
    path = folder / "status.json"
    try:
        told = json.loads(path.read_bytes())
        known = {f.name for f in fields(Status)}
        status = Status(**{k: v for k, v in told.items() if k in known})
        wrong = [name for name, fits in _fits(status).items() if not fits]
        if wrong:
            raise ValueError(f"its {wrong[0]} is {str(told[wrong[0]])[:60]!r}")
        return status
    except FileNotFoundError as error:
        raise ValueError(f"{folder} is no run: it has no status.json; name a folder that modeseek made") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} is damaged: {' '.join(str(error).split())[:200]}; restore it or start anew"
        ) from error


def _fits(status: Status) -> dict[str, bool]:
    """Whether each value is one that a run writes; JSON could hold any."""
    counts = ("step", "steps", "calls", "sessions", "rollbacks")
    words = ("reason", "started", "updated")
    return {
        "state": status.state in get_args(StateName),
        **{name: _is_number(getattr(status, name), int) for name in counts},
        **{name: _is_number(getattr(status, name), int, float) for name in ("seconds", "peak_memory_mb")},
        "checkpoint": status.checkpoint is None or _is_number(status.checkpoint, int),
        "peak_device_memory_mb": status.peak_device_memory_mb is None
        or _is_number(status.peak_device_memory_mb, int, float),
        **{name: isinstance(getattr(status, name), str) for name in words},
    }


def _is_number(value: Any, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool) and 0 <= value < float("inf")
