"""How workers are reached, wherever they live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from modeseek.sweeps.worker import WorkerStatus


@dataclass(frozen=True)
class JobRequest:
    """A call of one of a worker's methods.

    Attributes:
        method: its name.
        args: plain data.
    """

    method: Literal["begin", "advance", "stop"]
    args: tuple[Any, ...] = ()


@dataclass(frozen=True)
class WorkerLost:
    """A worker that is no more: killed, crashed, or its machine is gone.

    Attributes:
        reason: what is known of it, one line.
    """

    reason: str


@runtime_checkable
class WorkerPool(Protocol):
    """Workers, each of which takes one call at a time and answers it once."""

    @property
    def size(self) -> int:
        """How many there should be at most."""
        ...

    def spawn(self) -> int:
        """Starts another; it says `ready` when it can take its first call, maybe much later. Returns its number."""
        ...

    def submit(self, worker: int, request: JobRequest) -> None:
        """Calls one, without waiting."""
        ...

    def poll(self, seconds: float) -> Sequence[tuple[int, WorkerStatus | WorkerLost]]:
        """What came back, after so many seconds at most."""
        ...

    def close(self) -> None:
        """Ends them all; jobs they still have go on from their checkpoints another time."""
        ...
