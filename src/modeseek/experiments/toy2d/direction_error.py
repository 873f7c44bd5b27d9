"""How good the direction of one step is, at one bandwidth, against the truth."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Uniform
from modeseek.diffusion.schedule import log_snr
from modeseek.diffusion.weighting import sigma_over_alpha
from modeseek.meanshift.bandwidth import Fixed
from modeseek.meanshift.mean_shift import shift
from modeseek.methods.base import Method
from modeseek.methods.msd import MSD
from modeseek.methods.sds import SDS
from modeseek.metrics.samples import DirectionError, direction_error
from modeseek.priors.base import Conditions, Prior
from modeseek.pytree import Cond
from modeseek.rng import Rng


def at_bandwidth(method: Method, bandwidth: float, prior: Prior) -> Method | None:
    """The method with every step at one bandwidth, or None where it has no such step.

    SDS at the noise level of equal log-SNR, weighted by sigma / alpha, estimates the same quantity as MSD. SDI does
    not: its noise is not independent of z. Nor has a method that changes its jitter along the run one direction.
    """
    if isinstance(method, MSD):
        return None if callable(method.jitter) else replace(method, bandwidth=Fixed(bandwidth))
    if isinstance(method, SDS):
        one = torch.ones((), dtype=torch.float64)
        t = prior.schedule.t_of(log_snr(one, bandwidth * one)).item()
        return SDS(Uniform(t, t), sigma_over_alpha)
    return None


def measure_direction(
    method: Method,
    prior: Prior,
    truth: Prior,
    z: Float[Tensor, "b *d"],
    bandwidth: float,
    repeats: int,
    *,
    cond: Cond = None,
    rng: Rng,
) -> DirectionError | None:
    """Bias, variance and NMSE of one step of the method under `prior` against the exact mean shift under `truth`."""
    single = at_bandwidth(method, bandwidth, prior)
    if single is None:
        return None
    exact = shift(truth, z, bandwidth, cond)
    told = None if cond is None else Conditions(cond)
    estimates = []
    for _ in range(repeats):
        direction, _ = single.step(z, prior, single.init(z, prior), conditions=told, progress=0.0, rng=rng)
        estimates.append(-direction.grad)
    return direction_error(torch.stack(estimates), exact)
