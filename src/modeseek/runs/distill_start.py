"""Optimisation of another generator, such as a volume, from which that of a run starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from modeseek.codec import Codec
from modeseek.distill import distill
from modeseek.generators.base import BaseGenerator, View
from modeseek.io.progress import Progress
from modeseek.methods.base import Method
from modeseek.priors.base import Conditions, Prior
from modeseek.rng import Streams

_OFFSET = 2**61  # of the seed, so that the draws are not those of the run


def distill_start(
    prior: Prior,
    method: Method,
    conditions: Conditions | Callable[[View], Conditions] | None,
    seed: int,
    inner_steps: int,
    generator: BaseGenerator,
    codec: Codec,
    batch: int,
    optimizer: torch.optim.Optimizer,
    rate: Callable[[float], float],
    steps: int,
) -> Iterator[Progress]:
    """Optimises a generator by a run's method, with a state of its own, and yields progress.

    Args:
        prior: prior of the run, guided where the method does not guide.
        method: method of the run.
        conditions: conditions of the run.
        seed: random seed of the run.
        inner_steps: number of optimizer steps per direction.
        generator: generator that is optimised.
        codec: map between its images and z.
        batch: number of items per step.
        optimizer: optimizer over its parameters.
        rate: learning rate at a progress in [0, 1].
        steps: number of steps.
    """
    rng = Streams((seed + _OFFSET) % 2**63)
    _set_rate(optimizer, rate(0.0))
    for step in distill(
        generator,
        prior,
        method,
        optimizer,
        steps=steps,
        batch=batch,
        inner_steps=inner_steps,
        conditions=conditions,
        codec=codec,
        rng=rng,
    ):
        _set_rate(optimizer, rate((step.index + 1) / max(1, steps - 1)))
        yield Progress("volume", step.index + 1, steps)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate of every group, by its `relative` one."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("relative", 1.0)
