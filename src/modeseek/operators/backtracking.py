"""Backtracking of a batch of independent ascents: no row of the objective ever falls."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import expand_like

Objective = Callable[[Tensor], Tensor]


def better(
    objective: Objective, first: Float[Tensor, "b *d"], second: Float[Tensor, "b *d"]
) -> tuple[Float[Tensor, "b *d"], Float[Tensor, "b"]]:
    """Returns the better of two points of each row, the first where they are equal, and its value."""
    one, two = objective(first), objective(second)
    improved = two > one
    return torch.where(expand_like(improved, first), second, first), torch.where(improved, two, one)


def backtrack(
    objective: Objective,
    z: Float[Tensor, "b *d"],
    value: Float[Tensor, "b"],
    step: Float[Tensor, "b *d"],
    halvings: int = 20,
) -> tuple[Float[Tensor, "b *d"], Float[Tensor, "b"]]:
    """Returns `z + step`, the step of each row halved until the objective does not fall, and its value.

    A row whose objective falls for every length stays where it is.

    Args:
        objective: function of points, one number per row.
        z: points.
        value: objective at z.
        step: step of each row.
        halvings: largest number of halvings, >= 0.
    """
    pending = torch.ones_like(value, dtype=torch.bool)
    length = torch.ones_like(value)
    best = z
    for _ in range(halvings + 1):
        trial = z + expand_like(length, z) * step
        new = objective(trial)
        accepted = pending & (new >= value)
        best = torch.where(expand_like(accepted, z), trial, best)
        value = torch.where(accepted, new, value)
        pending = pending & ~accepted
        if not pending.any():
            break
        length = torch.where(pending, length / 2, length)
    return best, value
