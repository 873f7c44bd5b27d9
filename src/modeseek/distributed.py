"""Data parallelism over items: each process renders a shard of the batch, and all apply the same update."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from modeseek.pytree import flatten, unflatten


def launched_processes(variable: str = "WORLD_SIZE") -> int:
    """Number of processes that `torchrun` or `accelerate launch` started for this command; 1 without a launcher.

    Args:
        variable: the launcher's variable: WORLD_SIZE, or LOCAL_WORLD_SIZE for those on this machine.
    """
    number = os.environ.get(variable, "1")
    return int(number) if number.isdigit() and "RANK" in os.environ else 1


@dataclass(frozen=True)
class Distributed:
    """Rank and world size of data-parallel processes; the default, a single process, communicates nothing.

    Every process holds the whole generator, the whole optimizer and the prior. It renders, and evaluates the prior on,
    its shard of the items. Random streams are keyed by global item, so all shards together draw what a single process
    would draw.

    Attributes:
        rank: rank of this process, 0 <= rank < size.
        size: number of processes, >= 1.
    """

    rank: int = 0
    size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size:
            raise ValueError(f"rank must be in [0, size), got rank {self.rank} of size {self.size}")

    @classmethod
    def current(cls) -> Distributed:
        """Rank and size of `torch.distributed`'s default group if it is initialised, else a single process."""
        if dist.is_available() and dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size())
        return cls()

    @property
    def is_main_process(self) -> bool:
        """Whether this is rank 0, the process that writes files."""
        return self.rank == 0

    def shard(self, n: int, block: int | None = 1) -> slice:
        """This process's rows of n, in whole blocks; shards differ by one block at most.

        Args:
            n: number of rows over all processes.
            block: number of consecutive rows that must stay in one process; None: all rows.

        Raises:
            ValueError: n is not a multiple of block, or there are fewer blocks than processes.
        """
        if self.size == 1:
            return slice(0, n)
        block = n if block is None else block
        if n % block:
            raise ValueError(f"the number of items must be a multiple of {block} (items that stay together), got {n}")
        blocks = n // block
        if blocks < self.size:
            grouped = f" in groups of {block}" if block > 1 else ""
            raise ValueError(
                f"{self.size} processes share the items of a step: got {n}{grouped}; raise the batch or start fewer "
                "processes (a point cloud is one item)"
            )
        low, high = (block * (rank * blocks // self.size) for rank in (self.rank, self.rank + 1))
        return slice(low, high)

    def all_reduce(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Sum of each tensor over the processes, one message per dtype; shapes must agree between processes."""
        if self.size == 1:
            return list(tensors)
        out = [torch.empty(0)] * len(tensors)
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            indices = [i for i, tensor in enumerate(tensors) if tensor.dtype == dtype]
            flat = torch.cat([tensors[i].detach().reshape(-1) for i in indices])
            if len(flat):
                dist.all_reduce(flat)
            parts = flat.split([tensors[i].numel() for i in indices])
            for i, part in zip(indices, parts, strict=True):
                out[i] = part.view(tensors[i].shape)
        return out

    def scatter_rows(self, rows: Float[Tensor, "r *d"], own_rows: slice, n: int) -> Float[Tensor, "n *d"]:
        """This process's rows at their place among all n, zeros elsewhere; summed over processes: all rows."""
        if self.size == 1:
            return rows
        scattered = rows.new_zeros(n, *rows.shape[1:])
        scattered[own_rows] = rows.detach()
        return scattered

    def sum_gradients(self, parameters: Sequence[Tensor], extra: Any = ()) -> Any:
        """Sums the gradients over all processes in place and returns the sums of a tree of tensors, in one message.

        A parameter whose gradient is None in every process keeps None, so that optimizers skip it as they would in a
        single process.
        """
        if self.size == 1:
            return extra
        has_grad = [p.grad is not None for p in parameters]
        (counts,) = self.all_reduce([torch.tensor(has_grad, dtype=torch.float32, device=parameters[0].device)])
        used = [p for p, count in zip(parameters, counts.tolist(), strict=True) if count]
        own = [torch.zeros_like(p) if p.grad is None else p.grad for p in used]
        summed = self.all_reduce([*own, *flatten(extra)])
        for p, gradient in zip(used, summed, strict=False):
            p.grad = gradient
        return unflatten(extra, summed[len(used) :])

    def broadcast_parameters(self, parameters: Sequence[Tensor]) -> None:
        """Copies the parameters of rank 0 to all processes."""
        if self.size > 1:
            for p in parameters:
                dist.broadcast(p.detach(), 0)

    @contextmanager
    def sync_auxiliary(self, state: Any, fraction: float) -> Generator[None]:
        """Trains the auxiliary networks in a method's state (VSD's phi) on the items of all processes while open.

        Before each optimizer step the gradients are scaled by `fraction` and summed over the processes: the gradient of
        the mean over all items.

        Args:
            state: method state; its optimizers are found by `find_optimizers`.
            fraction: fraction of all items that this process holds.
        """
        with ExitStack() as hooks:
            for optimizer in find_optimizers(state) if self.size > 1 else ():
                self.broadcast_parameters(parameters_of(optimizer))

                def average_gradients(stepping: torch.optim.Optimizer, *_: Any) -> None:
                    for p in parameters_of(stepping):
                        if p.grad is not None:
                            p.grad = p.grad * fraction
                    self.sum_gradients(parameters_of(stepping))

                hooks.callback(optimizer.register_step_pre_hook(average_gradients).remove)
            yield


def parameters_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Parameters of an optimizer, in order of its groups."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def find_optimizers(state: Any) -> list[torch.optim.Optimizer]:
    """Optimizers held in a method's state, in order: in dataclasses, mappings, tuples and lists."""
    if isinstance(state, torch.optim.Optimizer):
        return [state]
    if is_dataclass(state) and not isinstance(state, type):
        parts = [getattr(state, field.name) for field in fields(state)]
    elif isinstance(state, Mapping):
        parts = list(state.values())
    elif isinstance(state, tuple | list):
        parts = list(state)
    else:
        return []
    return [found for part in parts for found in find_optimizers(part)]
