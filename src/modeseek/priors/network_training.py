"""Training loop of a small denoiser, as a generator."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.priors.mlp import MLP, MLPArchitecture

_DROPOUT = 0.1  # share of labels replaced by null, for guidance
_LEVEL_MEAN, _LEVEL_STD = -1.6, 1.5  # log noise over data scale; Karras et al. 2024 on their 2-D toy
_RANGE = (2e-3, 20.0)  # range of the training noise, over data scale
FINEST_TRAINED_NOISE = math.exp(_LEVEL_MEAN - 1.645 * _LEVEL_STD)
"""Noise over data scale below which 5 % of the training noise levels lie; finer bandwidths are hardly trained."""
_AVERAGE = 0.05  # width of the weight average, as a share of the training steps


@dataclass(frozen=True)
class TrainStep:
    """Progress of a training.

    Attributes:
        index: number of steps done.
        loss: mean denoising loss since the last report, in units where a zero output costs about 1.
    """

    index: int
    loss: float


def train_mlp(
    data: Float[Tensor, "n d"],
    labels: Int[Tensor, "n"] | None,
    architecture: MLPArchitecture,
    steps: int,
    *,
    batch: int,
    lr: float,
    every: int,
    rng: torch.Generator,
) -> Iterator[tuple[TrainStep, MLP]]:
    """Trains an MLP to predict `(z - c_skip x) / c_out` at log-normal noise; data of unit scale.

    Yields:
        Every `every` steps and at the end, the progress and a copy of the exponentially averaged network.
    """
    mlp = MLP(architecture, rng)
    average = copy.deepcopy(mlp)
    optimizer = torch.optim.Adam(mlp.parameters(), lr=lr, betas=(0.9, 0.99))
    null = torch.full((batch,), -1)
    losses: list[float] = []
    for index in range(1, steps + 1):
        rows = torch.randint(len(data), (batch,), generator=rng)
        label = null if labels is None else labels[rows].masked_fill(torch.rand(batch, generator=rng) < _DROPOUT, -1)
        noise = (_LEVEL_MEAN + _LEVEL_STD * torch.randn(batch, 1, generator=rng)).exp().clamp(*_RANGE)
        clean = data[rows]
        x = clean + noise * torch.randn(clean.shape, generator=rng)
        norm = torch.sqrt(1 + noise * noise)
        target = (clean - x / norm**2) * norm / noise
        loss = (mlp(x / norm, noise[:, 0].log(), label) - target).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, index / 100) * 0.5 * (1 + math.cos(math.pi * index / (steps + 1)))
        optimizer.step()
        decay = 1 - 1 / (1 + min(index, _AVERAGE * steps))
        with torch.no_grad():
            for mean, weight in zip(average.parameters(), mlp.parameters(), strict=True):
                mean.lerp_(weight, 1 - decay)
        losses.append(loss.item())
        if index % every == 0 or index == steps:
            yield TrainStep(index, sum(losses) / len(losses)), copy.deepcopy(average)
            losses.clear()
