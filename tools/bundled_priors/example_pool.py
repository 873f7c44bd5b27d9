"""Pool of rendered training examples, each drawn several times before it is replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Examples = dict[str, Tensor]


class ExamplePool:
    """Pool of the newest rendered examples, from which training draws at random.

    Drawing is cheaper than rendering: an example is drawn `batch every / chunk` times on average, with other noise.

    Args:
        make: function that renders n examples, named tensors with leading axis n.
        size: maximum number of examples.
    """

    def __init__(self, make: Callable[[int], Examples], size: int) -> None:
        self._make, self._size = make, size
        self._examples: Examples = {}
        self._n_made = 0

    def __len__(self) -> int:
        return min(self._n_made, self._size)

    def grow(self, n: int) -> None:
        """Renders n more examples; beyond the pool's size they replace the oldest."""
        examples = self._make(n)
        index = torch.arange(self._n_made, self._n_made + n) % self._size
        for name, rows in examples.items():
            if name not in self._examples:
                self._examples[name] = rows.new_zeros(self._size, *rows.shape[1:])
            self._examples[name][index] = rows
        self._n_made += n

    def draw(self, n: int, rng: torch.Generator) -> Examples:
        """Draws n examples uniformly with replacement."""
        rows = torch.randint(len(self), (n,), generator=rng)
        return {name: values[rows] for name, values in self._examples.items()}

    def state(self) -> dict[str, Any]:
        """State for a checkpoint."""
        return {"made": self._n_made, "held": {name: rows[: len(self)] for name, rows in self._examples.items()}}

    def restore(self, state: dict[str, Any]) -> None:
        """Restores the pool from its `state`."""
        self._n_made = state["made"]
        for name, rows in state["held"].items():
            self._examples[name] = rows.new_zeros(self._size, *rows.shape[1:])
            self._examples[name][: len(rows)] = rows
