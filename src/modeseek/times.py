"""Which noise levels a method visits: `times(progress, n, rng) -> t (n,)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.rng import Rng, rand


@runtime_checkable
class Times(Protocol):
    """Any callable that picks a time per item."""

    def __call__(self, progress: float, n: int, rng: Rng) -> Float[Tensor, "n"]:
        """Times in [0, 1] for n items at this point of the run."""
        ...


@dataclass(frozen=True)
class Uniform:
    """`t ~ U[low, high]` per item (DreamFusion: 0.02 to 0.98)."""

    low: float = 0.02
    high: float = 0.98

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise ValueError(f"Uniform needs 0 <= low <= high <= 1: got {self.low}, {self.high}; swap or fix")

    def __call__(self, progress: float, n: int, rng: Rng) -> Float[Tensor, "n"]:
        return self.low + (self.high - self.low) * rand((n,), rng, torch.empty(0))


@dataclass(frozen=True)
class Annealed:
    """`t = start + (end - start) progress^power`, the same for every item.

    power 1 is linear (SDI), 0.5 HiFA's square root.
    """

    start: float = 0.98
    end: float = 0.02
    power: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.start <= 1 and 0 <= self.end <= 1 and self.power > 0):
            raise ValueError(f"Annealed needs times in [0, 1] and power > 0: got {self}; fix them")

    def __call__(self, progress: float, n: int, rng: Rng) -> Float[Tensor, "n"]:
        return torch.full((n,), self.start + (self.end - self.start) * progress**self.power)
