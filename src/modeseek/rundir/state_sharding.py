"""Gathering and sharding of method states by item, so that a checkpoint fits any number of processes.

Convention for states: outside modules and optimizers, a tensor whose leading axis has the batch size holds one row per
item, and a mapping with integer keys holds entries by particle (negative keys: common to all). Everything else is the
same in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn


def gather_state(states: Sequence[Any], counts: Sequence[int]) -> Any:
    """State of all items, gathered from the processes; what is not by item is taken from the first.

    Args:
        states: state of each process, by rank.
        counts: number of items of each process.
    """

    def join(*rows: Tensor) -> Tensor:
        by_item = all(row.ndim and len(row) == count for row, count in zip(rows, counts, strict=True))
        return torch.cat([row.to(rows[0].device) for row in rows]) if by_item else rows[0]

    def unite(*parts: Mapping[int, Any]) -> dict[int, Any]:
        return {item: value for part in reversed(parts) for item, value in part.items()}

    return _walk(join, unite, *states)


def shard_state(state: Any, rows: slice, n: int, particles: Sequence[int]) -> Any:
    """State of one process's rows.

    Args:
        state: state of all items.
        rows: rows of the process.
        n: number of rows over all processes.
        particles: particle of each of those rows (`View.particle_of_item`).
    """
    own = set(particles)
    return _walk(
        lambda x: x[rows].clone() if x.ndim and len(x) == n else x,
        lambda entries: {key: value for key, value in entries.items() if key < 0 or key in own},
        state,
    )


def without_modules(state: Any) -> Any:
    """State with modules, optimizers and generators replaced by None; every process holds the same ones."""
    return _walk(lambda x: x.detach().cpu(), dict, state, shared=lambda _: None)


def _walk(
    of_rows: Callable[..., Tensor],
    of_items: Callable[..., Any],
    *states: Any,
    shared: Callable[[Any], Any] = lambda value: value,
) -> Any:
    """Maps `of_rows` over tensors, `of_items` over mappings by item, `shared` over modules; states in parallel."""
    first = states[0]

    def recurse(*parts: Any) -> Any:
        return _walk(of_rows, of_items, *parts, shared=shared)

    if isinstance(first, Tensor):
        return of_rows(*states)
    if isinstance(first, nn.Module | torch.optim.Optimizer | torch.Generator):
        return shared(first)
    if isinstance(first, Mapping):
        if first and all(isinstance(key, int) for key in first):
            return of_items(*states)
        return {key: recurse(*(state[key] for state in states)) for key in first}
    if isinstance(first, tuple | list):
        return type(first)(recurse(*parts) for parts in zip(*states, strict=True))
    if is_dataclass(first) and not isinstance(first, type):
        values = {f.name: recurse(*(getattr(state, f.name) for state in states)) for f in fields(first) if f.init}
        return replace(first, **values)
    return first
