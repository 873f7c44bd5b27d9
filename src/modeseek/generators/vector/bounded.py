"""Bounded parameters whose gradient never vanishes towards the allowed range."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def bounded(values: Float[Tensor, "*n"], low: float, high: float) -> Float[Tensor, "*n"]:
    """Clamps values to [low, high]; descent that leads further out is blocked, that which leads back passes.

    A sigmoid has no gradient left where it saturates, and a clamp none beyond its bounds: colours that were pushed to
    white would stay white.
    """
    return _Bounded.apply(values, low, high)


class _Bounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(values)
        ctx.bounds = low, high
        return values.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None, None]:
        (grad,) = grads
        (values,) = ctx.saved_tensors
        low, high = ctx.bounds
        outwards = ((values >= high) & (grad < 0)) | ((values <= low) & (grad > 0))
        return grad.masked_fill(outwards, 0), None, None
