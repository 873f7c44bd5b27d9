"""Several processes that optimise one generator: each renders a share of the items, and all make the same move."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Distributed:
    """The processes that work together; by default one alone, which costs nothing.

    Every process holds the whole generator, the whole optimizer and the prior. What it renders, and what the prior is
    asked about, is its share of the items; random streams are keyed by global item, so the shares draw what one
    process would have drawn.

    Attributes:
        rank: which of them this is, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size:
            raise ValueError(f"a team of {self.size} has ranks from 0: got rank {self.rank}")

    @classmethod
    def current(cls) -> Distributed:
        """The processes of `torch.distributed`'s default group where that is initialised, else this one alone."""
        if dist.is_available() and dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size())
        return cls()

    @property
    def is_main_process(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def shard(self, n: int, block: int | None = 1) -> slice:
        """This process's rows of n, in whole blocks; shares differ by one block at most.

        Args:
            n: rows of all processes.
            block: rows that stay together; None: all of them.

        Raises:
            ValueError: fewer blocks than processes, or blocks that are not whole.
        """
        if self.size == 1:
            return slice(0, n)
        block = n if block is None else block
        if n % block:
            raise ValueError(f"items stay together by {block}: got {n}; render a multiple")
        blocks = n // block
        if blocks < self.size:
            kept = f", {block} of which stay together" if block > 1 else ""
            raise ValueError(
                f"{self.size} processes share the items of a step: got {n}{kept}; raise the batch or start fewer "
                "(a point cloud is one item)"
            )
        low, high = (block * (rank * blocks // self.size) for rank in (self.rank, self.rank + 1))
        return slice(low, high)

    def all_reduce(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Each tensor's sum over the processes, all in one message a dtype; the tensors' shapes must agree."""
        if self.size == 1:
            return list(tensors)
        out = [torch.empty(0)] * len(tensors)
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            places = [i for i, tensor in enumerate(tensors) if tensor.dtype == dtype]
            flat = torch.cat([tensors[i].detach().reshape(-1) for i in places])
            if len(flat):
                dist.all_reduce(flat)
            parts = flat.split([tensors[i].numel() for i in places])
            for i, part in zip(places, parts, strict=True):
                out[i] = part.view(tensors[i].shape)
        return out

    def scatter_rows(self, rows: Float[Tensor, "r *d"], own_rows: slice, n: int) -> Float[Tensor, "n *d"]:
        """This process's rows where they belong among all n, zeros elsewhere: summed, they are all rows."""
        if self.size == 1:
            return rows
        whole = rows.new_zeros(n, *rows.shape[1:])
        whole[own_rows] = rows.detach()
        return whole

    def sum_gradients(self, parameters: Sequence[Tensor], extra: Sequence[Tensor] = ()) -> list[Tensor]:
        """Sums the gradients of all processes as one flat vector; returns the sums of `beside`, which travel along.

        A parameter without a gradient anywhere keeps none, so that optimizers pass over it as they would in one
        process.
        """
        if self.size == 1:
            return list(extra)
        had = torch.tensor([p.grad is not None for p in parameters], dtype=torch.float32, device=parameters[0].device)
        (holders,) = self.all_reduce([had])
        held = [p for p, any_ in zip(parameters, holders.tolist(), strict=True) if any_]
        own = [torch.zeros_like(p) if p.grad is None else p.grad for p in held]
        summed = self.all_reduce([*own, *extra])
        for p, gradient in zip(held, summed, strict=False):
            p.grad = gradient
        return summed[len(held) :]

    def broadcast_parameters(self, parameters: Sequence[Tensor]) -> None:
        """Gives all processes the numbers that the first one has."""
        if self.size > 1:
            for p in parameters:
                dist.broadcast(p.detach(), 0)

    @contextmanager
    def sync_auxiliary(self, state: Any, fraction: float) -> Generator[None]:
        """What learns inside a method's state (VSD's phi) learns from the items of all processes meanwhile.

        Each optimizer in the state steps along the sum of every process's gradient times its share, which is the
        gradient of the mean over all items.

        Args:
            state: of a method; `optimizers` finds what learns in it.
            share: of the items, that this process holds.
        """
        with ExitStack() as hooks:
            for optimizer in find_optimizers(state) if self.size > 1 else ():
                self.broadcast_parameters(parameters_of(optimizer))

                def mean(moved: torch.optim.Optimizer, *_: Any) -> None:
                    for p in parameters_of(moved):
                        if p.grad is not None:
                            p.grad = p.grad * fraction
                    self.sum_gradients(parameters_of(moved))

                hooks.callback(optimizer.register_step_pre_hook(mean).remove)
            yield


def parameters_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """All that it moves, in order."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def find_optimizers(state: Any) -> list[torch.optim.Optimizer]:
    """The optimizers that a method's state holds, in order: in dataclasses, mappings, tuples and lists."""
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
