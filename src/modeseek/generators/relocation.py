"""Relocation of dead elements (paths, splats) at fixed capacity: protocol, record, and moments of the optimizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from modeseek.rng import Rng


@dataclass(frozen=True)
class Relocation:
    """Record of the elements that were relocated after a step.

    Attributes:
        items: item of each relocated element.
        elements: its slot within the item.
    """

    items: tuple[int, ...]
    elements: tuple[int, ...]

    def __str__(self) -> str:
        named = [f"{element} of item {item}" for item, element in zip(self.items, self.elements, strict=True)]
        return ", ".join(named[:8]) + (f" and {len(named) - 8} more" if named[8:] else "")


@runtime_checkable
class RelocatingGenerator(Protocol):
    """A generator of a fixed number of elements that moves those that contribute nothing to where they may."""

    def relocate(self, optimizer: torch.optim.Optimizer, step: int, rng: Rng) -> Relocation | None:
        """Relocates dead elements in place and resets their optimizer moments; the loop calls it after every step.

        Shapes of parameters never change. With several processes each makes the same draws and the same changes.
        """
        ...


def relocate(generator: object, optimizer: torch.optim.Optimizer, step: int, rng: Rng) -> Relocation | None:
    """Lets a generator relocate its dead elements after a step; None for one without such elements."""
    return generator.relocate(optimizer, step, rng) if isinstance(generator, RelocatingGenerator) else None


def reset_moments(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, rows: tuple[Tensor, ...]) -> None:
    """Sets an optimizer's moments of some elements of a parameter to 0, as at the start.

    Args:
        optimizer: optimizer; all tensors of its state with the shape of the parameter are moments.
        parameter: parameter whose elements were relocated.
        rows: index tensors of the leading axes, as in `parameter[rows]`.
    """
    for value in optimizer.state.get(parameter, {}).values():
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            value[rows] = 0
