"""Conditions as pytrees: tensors, or tuples, lists and dicts of tensors, with a leading batch axis b."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

Cond = Any
"""Condition of a prior: any pytree of tensors with leading axis b (or 1, which broadcasts); None for no condition."""


def map_tensors(function: Callable[..., Tensor], *trees: Cond) -> Cond:
    """Applies the function to corresponding tensors of all trees, which share one structure."""
    first = trees[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return function(*trees)
    if isinstance(first, dict):
        return {key: map_tensors(function, *(tree[key] for tree in trees)) for key in first}
    if isinstance(first, (tuple, list)):
        parts = [map_tensors(function, *part) for part in zip(*trees, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    raise TypeError(
        f"a condition must be made of tensors, tuples, lists and dicts, got {type(first).__name__}; try prior.encode"
    )


def flatten(tree: Cond) -> list[Tensor]:
    """Returns all tensors of a tree, in order."""
    leaves: list[Tensor] = []
    map_tensors(lambda x: leaves.append(x) or x, tree)
    return leaves


def unflatten(tree: Cond, leaves: Iterable[Tensor]) -> Cond:
    """Returns a tree of the same structure with other tensors, in the order of `flatten`."""
    remaining = iter(leaves)
    return map_tensors(lambda _: next(remaining), tree)


def expand(tree: Cond, n: int) -> Cond:
    """Broadcasts leading axes of 1 to n; raises ValueError where a leading axis is neither 1 nor n."""

    def broadcast(x: Tensor) -> Tensor:
        if x.ndim == 0 or x.shape[0] not in (1, n):
            raise ValueError(
                f"a condition needs a leading axis of 1 or the batch size {n}: got shape {tuple(x.shape)}; "
                "repeat or slice it"
            )
        return x.expand(n, *x.shape[1:])

    return map_tensors(broadcast, tree)


def select(tree: Cond, rows: Tensor) -> Cond:
    """Returns the given rows of every tensor; tensors with a leading axis of 1 are unchanged."""
    return map_tensors(lambda x: x if x.shape[0] == 1 else x[rows], tree)


def concatenate(trees: list[Cond]) -> Cond:
    """Concatenates conditions along the leading axis, for one batched call.

    Raises:
        ValueError: tensors of different shapes, such as embeddings of prompts of different lengths.
    """

    def join(*parts: Tensor) -> Tensor:
        shapes = list(dict.fromkeys(tuple(part.shape[1:]) for part in parts))
        if len(shapes) > 1:
            raise ValueError(
                f"conditions of one batch must have one shape, got {shapes[0]} and {shapes[1]}; encode their texts in "
                "one call of prior.conditions"
            )
        return torch.cat(parts)

    return map_tensors(join, *trees)
