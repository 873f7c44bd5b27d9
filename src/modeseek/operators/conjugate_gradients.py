"""Conjugate gradients on a batch of independent symmetric positive definite systems."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import expand_like

MAX_ITERATIONS = 10_000


def conjugate_gradients(
    product: Callable[[Tensor], Tensor],
    rhs: Float[Tensor, "b *d"],
    tolerance: float | None = None,
    max_iterations: int = MAX_ITERATIONS,
    truncate: bool = False,
) -> Float[Tensor, "b *d"]:
    """Returns the x with `product(x) = rhs`, from x = 0 (Hestenes and Stiefel, 1952).

    Rows converge on their own: a row that is done no longer changes, so that a batch gives what its rows give.

    Args:
        product: symmetric positive definite linear map of points, row by row.
        rhs: right-hand sides, (b, *d).
        tolerance: largest `|product(x) - rhs| / |rhs|` of each row; None: 1e-12 in float64, 1e-6 below.
        max_iterations: largest number of products, >= 1.
        truncate: whether to return the last iterate of a row that did not converge.

    Raises:
        ValueError: a row that did not converge, unless `truncate`; a right-hand side that is not finite.
    """
    if tolerance is None:
        tolerance = 1e-12 if rhs.dtype == torch.float64 else 1e-6
    x, residual = torch.zeros_like(rhs), rhs
    direction, energy = residual, _dot(residual, residual)
    if not energy.isfinite().all():
        raise ValueError("the right-hand side of a linear solve must be finite, got one that is not; try a lower rate")
    goal = tolerance**2 * energy
    running = energy > goal
    for _ in range(max_iterations):
        if not running.any():
            return x
        image = product(direction)
        curvature = _dot(direction, image)
        step = torch.where(running, energy / curvature.where(running, torch.ones_like(curvature)), 0.0)
        x = x + expand_like(step, x) * direction
        residual = residual - expand_like(step, x) * image
        new_energy = torch.where(running, _dot(residual, residual), energy)
        growth = torch.where(running, new_energy / energy.where(running, torch.ones_like(energy)), 0.0)
        direction = residual + expand_like(growth, x) * direction
        energy = new_energy
        running = running & (energy > goal)
    if truncate or not running.any():
        return x
    worst = (energy[running] / goal[running]).max().sqrt().item() * tolerance
    raise ValueError(
        f"conjugate gradients must converge in {max_iterations} products, got a relative residual of {worst:.1e}; "
        "try more noise, or check that adjoint is the operator's"
    )


def _dot(x: Tensor, y: Tensor) -> Float[Tensor, "b"]:
    return (x * y).flatten(1).sum(1)
