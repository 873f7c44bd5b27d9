"""What a step of a method costs in prior calls: counted on a prior of two points, so that no formula can be wrong."""

from __future__ import annotations

import torch

from modeseek.methods.base import Method
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.gaussian_mixture import GaussianMixture
from modeseek.priors.guidance import Guided
from modeseek.priors.wrapper import Counting
from modeseek.rng import Streams

_STEPS = 9  # of a run on which the cost is counted
_TOLD = Conditions(torch.tensor([0]), null=torch.tensor([-1]))


def count_prior_calls(
    method: Method, scale: float, guided: bool, conditions: Conditions | None = _TOLD
) -> tuple[int, int]:
    """Prior calls a row: before the first step, and each step, the mean of a run rounded up where steps differ.

    Args:
        method: whose calls are counted.
        scale: of guidance.
        guided: whether the method is given a guided prior; else it guides by itself.
        conditions: one row of what it is told: labels 0 and 1, and -1 for none; None where there is nothing to tell.
    """
    one = torch.ones(2, dtype=torch.float64)
    means = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    covs = torch.eye(2, dtype=torch.float64).expand(2, 2, 2) / 4
    counting = Counting(GaussianMixture(one / 2, means, covs, labels=torch.tensor([0, 1])))
    prior: Prior = Guided(counting, scale) if guided and conditions is not None and scale != 1 else counting
    z, rng, calls = torch.zeros(1, 2, dtype=torch.float64), Streams(0), [0]
    state = method.init(z, prior)
    for index in range(_STEPS):
        progress = index / (_STEPS - 1)
        _, state = method.step(z, prior, state, conditions=conditions, progress=progress, rng=rng.at(index))
        calls.append(counting.calls)
    each = -(-(calls[-1] - calls[1]) // (_STEPS - 1))
    return max(0, calls[1] - each), each
