"""Exponential moving average of network weights."""

from __future__ import annotations

import torch
from torch import nn


def decay_at(step: int, decay: float) -> float:
    """Decay `min(decay, (1 + n) / (10 + n))` after n steps, smaller in early steps."""
    return min(decay, (1 + step) / (10 + step))


@torch.no_grad()
def update_average(average: nn.Module, module: nn.Module, step: int, decay: float) -> None:
    """`average <- d average + (1 - d) module` with `d = decay_at(step, decay)`; step counts from 0."""
    weight = 1 - decay_at(step, decay)
    for mean, parameter in zip(average.parameters(), module.parameters(), strict=True):
        mean.lerp_(parameter, weight)
