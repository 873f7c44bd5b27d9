"""Process group of a run launched by `torchrun`: rank 0 writes all files, and all processes stop together."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from modeseek.distributed import Distributed, launched_processes
from modeseek.io.errors import one_line
from modeseek.runs.interrupts import RunFailed

_TIMEOUT = timedelta(minutes=30)  # covers loading a large prior, or writing the videos of a finished run
_ERROR_KEY = "modeseek/error"


@dataclass(frozen=True)
class ProcessGroup:
    """Processes of a run, with a key-value store through which they report errors.

    Attributes:
        distributed: rank and size.
        store: key-value store shared by the processes; None for a single process.
    """

    distributed: Distributed = Distributed()
    store: dist.Store | None = None  # pyright: ignore[reportPrivateImportUsage]

    @classmethod
    def current(cls) -> ProcessGroup:
        """The group that `init_process_group` made, else this process alone."""
        return _CURRENT.get(cls())

    @property
    def is_main_process(self) -> bool:
        """Whether this is rank 0, the process that writes files."""
        return self.distributed.is_main_process

    def broadcast(self, value: Any) -> Any:
        """The value of rank 0, in every process."""
        if self.distributed.size == 1:
            return value
        values = [value if self.is_main_process else None]
        dist.broadcast_object_list(values, 0)
        return values[0]

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, by rank."""
        if self.distributed.size == 1:
            return [value]
        values: list[Any] = [None] * self.distributed.size
        dist.all_gather_object(values, value)
        return values

    def all_reduce(self, numbers: Sequence[float | int]) -> list[float]:
        """Sums of the numbers over the processes; exact for integers below 2^53."""
        return self.distributed.all_reduce([torch.tensor(numbers, dtype=torch.float64)])[0].tolist()

    @contextmanager
    def propagate_errors(self) -> Generator[None]:
        """Makes an error in one process fail the others with its message, instead of leaving them waiting.

        Raises:
            RunFailed: another process failed or exited.
        """
        try:
            yield
        except Exception as error:
            if self.store is None:
                raise
            if not _is_connection_error(error):
                self.store.set(_ERROR_KEY, f"process {self.distributed.rank} of {self.distributed.size}: {error}")
                raise
            message = self.store.get(_ERROR_KEY).decode() if self.store.check([_ERROR_KEY]) else ""
            raise RunFailed(
                message or "another process exited without an error message (killed or out of memory?)"
            ) from error


_CURRENT: ContextVar[ProcessGroup] = ContextVar("process_group")


@contextmanager
def init_process_group() -> Generator[ProcessGroup]:
    """Connects to the other processes that were launched for this command, if any.

    The backend is gloo on CPUs and NCCL on GPUs; each process uses the GPU of its local rank as "cuda". The output of
    all but rank 0 is discarded.

    Raises:
        ValueError: the processes cannot connect.
    """
    if launched_processes() == 1:
        yield ProcessGroup.current()
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    try:
        store, rank, size = next(iter(rendezvous("env://", timeout=_TIMEOUT)))
        group = dist.PrefixStore("modeseek/group", store)  # pyright: ignore[reportPrivateImportUsage]
        backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
        dist.init_process_group(backend, store=group, rank=rank, world_size=size, timeout=_TIMEOUT)
        if store.add("modeseek/connected", 1) == size:  # an exit before all have connected would look like a crash
            store.set("modeseek/all", "connected")
        store.wait(["modeseek/all"], _TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"cannot connect to the other processes: {one_line(error, 200)}") from error
    process_group = ProcessGroup(Distributed.current(), store)
    before = _CURRENT.set(process_group)
    try:
        with ExitStack() as quiet:
            if not process_group.is_main_process:
                devnull = quiet.enter_context(open(os.devnull, "w", encoding="utf-8"))
                quiet.enter_context(redirect_stdout(devnull))
                quiet.enter_context(redirect_stderr(devnull))
            yield process_group
    finally:
        _CURRENT.reset(before)
        dist.destroy_process_group()
        sys.stdout.flush()


def _is_connection_error(error: Exception) -> bool:
    """Whether an error only says that the connection to another process was lost."""
    fragments = ("closed by peer", "Connection reset", "Broken pipe", "gloo", "NCCL", "Timed out", "connectFullMesh")
    return isinstance(error, dist.DistError) or (
        type(error) is RuntimeError and any(fragment in str(error) for fragment in fragments)
    )
