"""Directions towards a target that is held over several optimizer steps, and checks of directions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
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


def check_step(
    direction: Direction,
    parameters: Sequence[Tensor],
    losses: Mapping[str, float],
    index: int,
    names: Mapping[int, str],
) -> None:
    """Raises FloatingPointError as `check_finite` and `check_gradients` do, after one wait if all is well.

    A direction may be finite and its gradient behind an encoder in half precision not. The sums may overflow where all
    numbers are finite; the exact checks follow then.
    """
    gradients = [p.grad for p in parameters if p.grad is not None and p.numel()]
    sums = [direction.grad.sum(), torch.nn.utils.get_total_norm(gradients)]
    if direction.grad_image is not None:
        sums.append(direction.grad_image.sum())
    device = direction.grad.device
    finite = torch.stack([total.to(device, torch.float32) for total in sums]).isfinite().all()
    if finite and all(map(math.isfinite, losses.values())):
        return
    check_finite(direction, index)
    check_gradients(parameters, losses, index, names)


def check_finite(direction: Direction, index: int) -> None:
    """Raises FloatingPointError, naming step, noise level and row, if a gradient of the direction is not finite."""
    _check_rows("direction", direction.grad, direction, index)
    if direction.grad_image is not None:
        _check_rows("gradient of the image", direction.grad_image, direction, index)


def check_gradients(
    parameters: Sequence[Tensor], losses: Mapping[str, float], index: int, names: Mapping[int, str]
) -> None:
    """Raises FloatingPointError, naming the penalty or the parameter, if one of them would make a parameter non-finite.

    Args:
        parameters: parameters whose gradients the optimizer is about to apply.
        losses: value of each penalty.
        index: index of the step.
        names: name of each parameter by its id.
    """
    for name, value in losses.items():
        if not math.isfinite(value):
            raise FloatingPointError(f"penalty {name} is {value} at step {index}; try a lower weight or learning rate")
    gradients = {id(p): p.grad for p in parameters if p.grad is not None and p.numel()}
    if torch.nn.utils.get_total_norm(gradients.values(), math.inf).isfinite():
        return
    bad = [key for key, grad in gradients.items() if not grad.isfinite().all()]
    if bad:
        name = names.get(bad[0], f"of shape {tuple(gradients[bad[0]].shape)}")
        raise FloatingPointError(
            f"the gradient of parameter {name} is not finite at step {index}, though the direction is "
            f"({len(bad)} of {len(gradients)} parameters); try a lower learning rate or dtype float32 for the prior"
        )


def _check_rows(what: str, grad: Tensor, direction: Direction, index: int) -> None:
    if grad.sum().isfinite():
        return
    bad = ~grad.flatten(1).isfinite().all(1)
    if bad.any():
        row = int(bad.nonzero()[0, 0])
        level = "" if direction.t is None else f", t = {direction.t[row].item():.4g}"
        raise FloatingPointError(
            f"the {what} is not finite at step {index}, row {row}{level} ({int(bad.sum())} of {len(bad)} rows); "
            "lower the learning rate or check the prior's precision"
        )
