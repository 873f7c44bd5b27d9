"""Directions towards a target that is held over several optimizer steps, and checks of directions."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.methods.base import Direction, Method


def hold_target(direction: Direction, z_before: Float[Tensor, "b *d"], z: Float[Tensor, "b *d"]) -> Direction:
    """Returns the direction at z with the target that it had at `z_before`: `w (z - target)`.

    Raises:
        ValueError: the direction has no weight, so no target.
    """
    if direction.weight is None:
        raise ValueError("direction must have a weight for a target in z, got None; try that of MSD or SDS")
    moved = expand_like(direction.weight, z) * (z - z_before)
    return Direction(direction.grad + moved, t=direction.t, weight=direction.weight)


def check_target(direction: Direction, method: Method) -> None:
    """Raises ValueError if a method that says that it has targets returned a direction without one."""
    if direction.weight is None or direction.grad_image is not None:
        raise ValueError(
            f"{type(method).__name__} has has_target = True, so its directions must have a weight and no grad_image, "
            f"got weight={'None' if direction.weight is None else 'a tensor'}, "
            f"grad_image={'None' if direction.grad_image is None else 'a tensor'}; try inner_steps=1"
        )


def check_finite(direction: Direction, index: int) -> None:
    """Raises FloatingPointError, naming step, noise level and row, if the direction is not finite."""
    if direction.grad.sum().isfinite():
        return
    bad = ~direction.grad.flatten(1).isfinite().all(1)
    if bad.any():
        row = int(bad.nonzero()[0, 0])
        level = "" if direction.t is None else f", t = {direction.t[row].item():.4g}"
        raise FloatingPointError(
            f"the direction is not finite at step {index}, row {row}{level} ({int(bad.sum())} of {len(bad)} rows); "
            "lower the learning rate or check the prior's precision"
        )
