"""A stream of rendered examples, each used a few times before it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Examples = dict[str, Tensor]


class ExamplePool:
    """The newest examples of a stream; training draws from them at random.

    Drawing is cheaper than rendering: an example is drawn `batch every / chunk` times on average, with other noise.

    Args:
        make: renders n examples: named tensors with leading axis n.
        size: examples kept at most.
    """

    def __init__(self, make: Callable[[int], Examples], size: int) -> None:
        self._make, self._size = make, size
        self._held: Examples = {}
        self._made = 0

    def __len__(self) -> int:
        return min(self._made, self._size)

    def grow(self, n: int) -> None:
        """Renders n more; beyond the pool's size they take the place of the oldest."""
        fresh = self._make(n)
        place = torch.arange(self._made, self._made + n) % self._size
        for name, rows in fresh.items():
            if name not in self._held:
                self._held[name] = rows.new_zeros(self._size, *rows.shape[1:])
            self._held[name][place] = rows
        self._made += n

    def draw(self, n: int, rng: torch.Generator) -> Examples:
        """n examples, each any of those held."""
        rows = torch.randint(len(self), (n,), generator=rng)
        return {name: held[rows] for name, held in self._held.items()}

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"made": self._made, "held": {name: rows[: len(self)] for name, rows in self._held.items()}}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from what `state` told."""
        self._made = state["made"]
        for name, rows in state["held"].items():
            self._held[name] = rows.new_zeros(self._size, *rows.shape[1:])
            self._held[name][: len(rows)] = rows
