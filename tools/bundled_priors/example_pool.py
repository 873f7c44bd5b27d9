"""Pool of rendered training examples, each drawn several times before it is replaced."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

Examples = dict[str, Tensor]


class ExamplePool:
    """Pool of the newest rendered examples on the training device, from which training draws at random.

    Drawing is cheaper than rendering: an example is drawn `batch every / chunk` times on average, with other noise.

    Args:
        size: maximum number of examples.
        device: device that holds them.

    Attributes:
        n_added: number of examples ever added.
    """

    def __init__(self, size: int, device: torch.device | str = "cpu") -> None:
        self._size, self._device = size, torch.device(device)
        self._examples: Examples = {}
        self.n_added = 0

    def __len__(self) -> int:
        return min(self.n_added, self._size)

    def add(self, examples: Examples) -> None:
        """Adds examples, named tensors with leading axis n; beyond the pool's size they replace the oldest."""
        n = len(next(iter(examples.values())))
        index = torch.arange(self.n_added, self.n_added + n, device=self._device) % self._size
        for name, rows in examples.items():
            if name not in self._examples:
                self._examples[name] = torch.zeros(self._size, *rows.shape[1:], dtype=rows.dtype, device=self._device)
            self._examples[name][index] = rows.to(self._device)
        self.n_added += n

    def draw(self, n: int, rng: torch.Generator) -> Examples:
        """Draws n examples uniformly with replacement; the generator is on the device of the examples."""
        rows = torch.randint(len(self), (n,), generator=rng, device=self._device)
        return {name: values[rows] for name, values in self._examples.items()}

    def state(self, most: int) -> dict[str, Any]:
        """State for a checkpoint, with the newest `most` examples."""
        n = min(len(self), most)
        index = torch.arange(self.n_added - n, self.n_added, device=self._device) % self._size
        return {"added": self.n_added, "examples": {name: rows[index] for name, rows in self._examples.items()}}

    def restore(self, state: dict[str, Any]) -> None:
        """Restores the pool from its `state`; examples that the state left out are missing."""
        n = len(next(iter(state["examples"].values())))
        whole = n == min(state["added"], self._size)
        self.n_added = state["added"] - n if whole else 0
        self.add(state["examples"])
