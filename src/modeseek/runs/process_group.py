"""Processes that work on one run, as `torchrun` starts them: the first one writes, all of them stop together."""

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

from modeseek.distributed import Distributed
from modeseek.runs.interrupts import RunFailed

_TIMEOUT = timedelta(minutes=30)  # for a process that loads a large prior, or writes the films of a finished run
_ERROR_KEY = "modeseek/last words"


@dataclass(frozen=True)
class ProcessGroup:
    """A team, and a place where its members leave word.

    Attributes:
        team: the processes.
        store: between them; None for one alone.
    """

    distributed: Distributed = Distributed()
    store: dist.Store | None = None  # pyright: ignore[reportPrivateImportUsage]

    @classmethod
    def current(cls) -> ProcessGroup:
        """The one that `joined` made, else this process alone."""
        return _CURRENT.get(cls())

    @property
    def is_main_process(self) -> bool:
        """Whether this is the process that writes."""
        return self.distributed.is_main_process

    def broadcast(self, value: Any) -> Any:
        """What the first process has."""
        if self.distributed.size == 1:
            return value
        held = [value if self.is_main_process else None]
        dist.broadcast_object_list(held, 0)
        return held[0]

    def gather(self, value: Any) -> list[Any]:
        """What each process has, in order."""
        if self.distributed.size == 1:
            return [value]
        held: list[Any] = [None] * self.distributed.size
        dist.all_gather_object(held, value)
        return held

    def all_reduce(self, numbers: Sequence[float | int]) -> list[float]:
        """Sums over the processes, exact for whole numbers below 2^53."""
        return self.distributed.all_reduce([torch.tensor(numbers, dtype=torch.float64)])[0].tolist()

    @contextmanager
    def propagate_errors(self) -> Generator[None]:
        """Where one process fails, the others fail with its message instead of waiting for it.

        Raises:
            Failed: another process failed or is gone.
        """
        try:
            yield
        except Exception as error:
            if self.store is None:
                raise
            if not _is_connection_error(error):
                self.store.set(_ERROR_KEY, f"process {self.distributed.rank} of {self.distributed.size}: {error}")
                raise
            words = self.store.get(_ERROR_KEY).decode() if self.store.check([_ERROR_KEY]) else ""
            raise RunFailed(
                words or "another process ended without a word; was it killed, or out of memory?"
            ) from error


_CURRENT: ContextVar[ProcessGroup] = ContextVar("crew")


def launched_processes() -> int:
    """How many processes `torchrun` or `accelerate launch` started for this command; 1 where neither did."""
    told = os.environ.get("WORLD_SIZE", "1")
    return int(told) if told.isdigit() and "RANK" in os.environ else 1


@contextmanager
def init_process_group() -> Generator[ProcessGroup]:
    """Meets the other processes that were started for this command, where there are any.

    They talk through gloo on CPUs and NCCL on GPUs; each takes the GPU of its local rank as "cuda". All but the first
    are silent.

    Raises:
        ValueError: they cannot be met.
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
        if store.add("modeseek/met", 1) == size:  # nobody leaves before all have met: it would look like a crash
            store.set("modeseek/all", "met")
        store.wait(["modeseek/all"], _TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"cannot meet the other processes: {' '.join(str(error).split())[:200]}") from error
    process_group = ProcessGroup(Distributed.current(), store)
    before = _CURRENT.set(process_group)
    try:
        with ExitStack() as quiet:
            if not process_group.is_main_process:
                nowhere = quiet.enter_context(open(os.devnull, "w", encoding="utf-8"))
                quiet.enter_context(redirect_stdout(nowhere))
                quiet.enter_context(redirect_stderr(nowhere))
            yield process_group
    finally:
        _CURRENT.reset(before)
        dist.destroy_process_group()
        sys.stdout.flush()


def _is_connection_error(error: Exception) -> bool:
    """Whether an error says no more than that another process is gone."""
    words = ("closed by peer", "Connection reset", "Broken pipe", "gloo", "NCCL", "Timed out", "connectFullMesh")
    return isinstance(error, dist.DistError) or (
        type(error) is RuntimeError and any(word in str(error) for word in words)
    )
