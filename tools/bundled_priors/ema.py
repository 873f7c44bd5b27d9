"""The moving average of weights that samples are drawn from."""

from __future__ import annotations

import torch
from torch import nn


def decay_at(step: int, decay: float) -> float:
    """`min(decay, (1 + n) / (10 + n))` after n steps: short while there is little to remember."""
    return min(decay, (1 + step) / (10 + step))


@torch.no_grad()
def update_average(average: nn.Module, module: nn.Module, step: int, decay: float) -> None:
    """`average <- d average + (1 - d) now` with `d = decay_at(step, decay)`; step counts from 0."""
    share = 1 - decay_at(step, decay)
    for mean, parameter in zip(average.parameters(), module.parameters(), strict=True):
        mean.lerp_(parameter, share)
