"""Exponential moving average of network weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def decay_at(step: int, decay: float) -> float:
    """Decay `min(decay, (1 + n) / (10 + n))` after n steps, smaller in early steps."""
    return min(decay, (1 + step) / (10 + step))


@torch.no_grad()
def update_average(average: Sequence[Tensor], weights: Sequence[Tensor], share: Float[Tensor, ""]) -> None:
    """`average <- (1 - share) average + share weights`; the share is `1 - decay_at(step, decay)`."""
    for mean, weight in zip(average, weights, strict=True):
        mean.lerp_(weight, share)
