"""Workers and their pools, on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Worker(Protocol):
    """Process that makes one call at a time."""

    def submit(self, call: Callable[..., Any], *args: Any) -> Future[Any]:
        """Makes a call, without waiting: the first one begins once the process has started."""
        ...

    def exit_reason(self, error: Exception) -> str | None:
        """Reason why the process ended, one line, where a call raised `error` for that; None for the call's own."""
        ...

    def kill(self) -> None:
        """Ends the process at once; its job can be resumed from its last checkpoint."""
        ...


@dataclass(frozen=True)
class WorkerPool:
    """Pool of workers.

    Attributes:
        size: maximum number of workers at a time, >= 1.
        start: function that starts the worker of a number in [0, size), without waiting for it.
    """

    size: int
    start: Callable[[int], Worker]
