"""Weight of a data term beside mean-shift distillation."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from modeseek.diffusion.schedule import Schedule, level_of
from modeseek.meanshift.bandwidth import Adaptive, ScheduledBandwidth, as_bandwidth
from modeseek.methods.msd import MSD
from modeseek.rng import Streams


def data_weight(method: MSD, schedule: Schedule, noise: float) -> Callable[[float], float]:
    """Returns the weight of a Gaussian data term beside MSD's directions, as a function of progress.

    MSD's direction is `-w h^2 grad log p_h`. With the weight `w / (1 / h^2 + 1 / s^2)` on `-log p(y | image)` of noise
    s the sum descends the posterior of the likelihood `N(y; A image, (s^2 + h^2) I)`, blurred by the kernel as the
    prior is, for `A A' = I`; once h is below s it is the measured one. Its gradient is at most w times the residual.

    Args:
        method: MSD whose bandwidth does not depend on the shift.
        schedule: noise schedule of the prior.
        noise: standard deviation s of the data, in units of y, > 0.

    Raises:
        ValueError: an adaptive bandwidth, or a noise that is not positive and finite.
    """
    bandwidth = as_bandwidth(method.bandwidth)
    if isinstance(bandwidth, Adaptive):
        raise ValueError("data_weight needs a bandwidth that is known beforehand, got Adaptive; try ms.Geometric")
    if not 0 < noise < math.inf:
        raise ValueError(f"noise must be positive and finite, got {noise}; try 0.05")

    def weight(progress: float) -> float:
        like = torch.full((1,), math.inf, dtype=torch.float64)
        scheduled = (
            bandwidth.on(schedule, Streams(0, use="data")) if isinstance(bandwidth, ScheduledBandwidth) else bandwidth
        )
        h, _ = scheduled.next(progress, like, scheduled.init(1))
        w = method.weight(*level_of(schedule, h))
        return (w / (1 / h**2 + 1 / noise**2)).item()

    return weight
