"""A method's state by items: put together from several processes for a checkpoint, and taken apart again.

The rule that states keep: outside modules and optimizers, a tensor whose leading axis is the batch has a row an item,
and a mapping with whole numbers for keys holds what belongs to those items (negative ones: to all). Everything else is
the same in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn


def gather_state(states: Sequence[Any], counts: Sequence[int]) -> Any:
    """The state of all items; what all processes share is the first one's.

    Args:
        states: one a process, in order.
        counts: items of each.
    """

    def join(*rows: Tensor) -> Tensor:
        ours = all(row.ndim and len(row) == count for row, count in zip(rows, counts, strict=True))
        return torch.cat([row.to(rows[0].device) for row in rows]) if ours else rows[0]

    def unite(*held: Mapping[int, Any]) -> dict[int, Any]:
        return {item: value for part in reversed(held) for item, value in part.items()}

    return _walk(join, unite, *states)


def shard_state(state: Any, rows: slice, n: int, items: Sequence[int]) -> Any:
    """What belongs to some rows of n.

    Args:
        state: of all items.
        rows: of a process.
        n: of all of them.
        items: the numbers of those rows.
    """
    own = set(items)
    return _walk(
        lambda x: x[rows].clone() if x.ndim and len(x) == n else x,
        lambda held: {item: value for item, value in held.items() if item < 0 or item in own},
        state,
    )


def without_modules(state: Any) -> Any:
    """The state without modules and optimizers, which every process holds alike."""
    return _walk(lambda x: x.detach().cpu(), dict, state, kept=lambda _: None)


def _walk(
    of_rows: Callable[..., Tensor],
    of_items: Callable[..., Any],
    *states: Any,
    kept: Callable[[Any], Any] = lambda shared: shared,
) -> Any:
    """`of_rows` on tensors and `of_items` on mappings by item, at the same places of every state."""
    first = states[0]

    def down(*parts: Any) -> Any:
        return _walk(of_rows, of_items, *parts, kept=kept)

    if isinstance(first, Tensor):
        return of_rows(*states)
    if isinstance(first, nn.Module | torch.optim.Optimizer | torch.Generator):
        return kept(first)
    if isinstance(first, Mapping):
        if first and all(isinstance(key, int) for key in first):
            return of_items(*states)
        return {key: down(*(state[key] for state in states)) for key in first}
    if isinstance(first, tuple | list):
        return type(first)(down(*parts) for parts in zip(*states, strict=True))
    if is_dataclass(first) and not isinstance(first, type):
        told = {f.name: down(*(getattr(state, f.name) for state in states)) for f in fields(first) if f.init}
        return replace(first, **told)
    return first
