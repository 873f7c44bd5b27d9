"""Error of a single step direction against the exact mean shift at one bandwidth."""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch

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


@singledispatch
def at_bandwidth(method: Method, bandwidth: float, prior: Prior) -> Method | None:
    """Variant of the method that takes every step at one bandwidth, or None where there is none.

    SDS at the noise level of equal log-SNR, weighted by sigma / alpha, estimates the same quantity as MSD. SDI does
    not: its noise depends on z. MSD with a scheduled jitter has no single direction.
    """
    return None


@at_bandwidth.register
def _(method: MSD, bandwidth: float, prior: Prior) -> Method | None:
    return None if callable(method.jitter) else replace(method, bandwidth=Fixed(bandwidth))


@at_bandwidth.register
def _(method: SDS, bandwidth: float, prior: Prior) -> Method | None:
    ones = torch.ones((), dtype=torch.float64)
    t = prior.schedule.t_of(log_snr(ones, bandwidth * ones)).item()
    return SDS(Uniform(t, t), sigma_over_alpha)


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
    conditions = None if cond is None else Conditions(cond)
    estimates = []
    for _ in range(repeats):
        direction, _ = single.step(z, prior, single.init(z, prior), conditions=conditions, progress=0.0, rng=rng)
        estimates.append(-direction.grad)
    return direction_error(torch.stack(estimates), exact)
