"""Annealed mean shift on a measured prior, for a given number of prior calls."""

from __future__ import annotations

import torch
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.experiments.restoration.problem import Problem
from modeseek.meanshift.bandwidth import Bandwidth
from modeseek.priors.base import PerRow
from modeseek.priors.measured import Measured
from modeseek.rng import Rng, randn


@torch.no_grad()
def anneal(problem: Problem, calls: int, path: Bandwidth, rng: Rng, noisy: float) -> Tensor:
    """Returns z after EM steps of the posterior at falling bandwidths, one prior call each.

    A step is `z <- argmax -|z - D(z + j h n; h)|^2 / (2 h^2) + log p(y | z)`, j = 1 in the first `noisy` share of the
    steps (the jitter of MSD) and 0 after it. Where only the decoded image is measured the quadratic is taken in the
    image: the decoded D is moved, and z by the encoded change.

    Args:
        problem: the problem.
        calls: number of steps, >= 1.
        path: bandwidth at a progress of the run; it may not depend on the shift.
        rng: random numbers of the jitter.
        noisy: share of the steps with jitter, in [0, 1].
    """
    z = problem.start
    unknown = z.new_full((len(z),), float("inf"))  # the last relative shift
    for k in range(calls):
        progress = k / max(1, calls - 1)
        h, _ = path.next(progress, unknown, None)
        point = z + expand_like(h, z) * randn(tuple(z.shape), rng, z) if progress < noisy else z
        z = _step(problem, point, h)
    return z


def _step(problem: Problem, z: Tensor, h: PerRow) -> Tensor:
    prior, measurement, cond = problem.space.prior, problem.measurement, problem.truth.cond
    if problem.space.pixels:
        return Measured(prior, measurement.operator, measurement.y, measurement.noise).at(z, h / h, h, cond).z
    p = prior.at(z, h / h, h, cond)
    image = measurement.codec.decode(p.z)
    return measurement.apply(p.z, image, measurement.update(image, measurement.gain * h))
