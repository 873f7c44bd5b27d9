"""Protocol of worker pools, local or on a cluster, and the messages exchanged with workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from modeseek.sweeps.worker import WorkerStatus


@dataclass(frozen=True)
class JobRequest:
    """Call of one of a worker's methods.

    Attributes:
        method: name of the method of `Worker`.
        args: positional arguments, plain data.
    """

    method: Literal["begin", "advance", "stop"]
    args: tuple[Any, ...] = ()


@dataclass(frozen=True)
class WorkerLost:
    """Notice of a worker that ended: killed, crashed, or on a machine that is gone.

    Attributes:
        reason: cause as far as known, one line.
    """

    reason: str


@runtime_checkable
class WorkerPool(Protocol):
    """Pool of workers, each of which handles one request at a time and replies to it once."""

    @property
    def size(self) -> int:
        """Maximum number of workers."""
        ...

    def spawn(self) -> int:
        """Starts a worker, which reports `ready` once it accepts requests, maybe much later. Returns its number."""
        ...

    def submit(self, worker: int, request: JobRequest) -> None:
        """Sends a request to a worker, without waiting."""
        ...

    def poll(self, seconds: float) -> Sequence[tuple[int, WorkerStatus | WorkerLost]]:
        """Replies that arrived, by worker number; waits at most that many seconds for the first one."""
        ...

    def close(self) -> None:
        """Ends all workers; their unfinished jobs can be resumed from checkpoints."""
        ...
