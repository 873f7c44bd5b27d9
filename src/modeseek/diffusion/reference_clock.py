"""Stable Diffusion's clock: time differences of published methods, converted to any schedule by log-SNR.

Papers give differences of time ("50 of 1,000 steps") on the schedule of Stable Diffusion, and mean a change of the
noise level. On another schedule the same difference of t is another change: 0.05 is 0.1 in sigma / alpha around the
middle of Stable Diffusion's schedule and 0.005 on one of Karras et al. 2022.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.schedule import VP, Schedule, log_snr

STABLE_DIFFUSION = VP()
"""Continuous form of the schedule of Stable Diffusion 1 and 2."""
_NOISIEST = -28.0  # log-SNR of the last time of the clock, about 2


def reference_time(schedule: Schedule, t: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """Returns the time of equal log-SNR on Stable Diffusion's clock, from 0 to about 2.

    The clock goes on beyond t = 1, as noisier schedules do: its rate of noise keeps growing in the same way.
    """
    return STABLE_DIFFUSION.time_beyond(log_snr(*schedule(t)).clamp(min=_NOISIEST))


def time_at(schedule: Schedule, reference: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """Returns a schedule's time in [0, 1] at a time on Stable Diffusion's clock; its nearest end if beyond."""
    level = log_snr(*STABLE_DIFFUSION(reference.clamp(min=0)))
    cleanest, noisiest = (log_snr(*schedule(reference.new_full((), t))) for t in (0.0, 1.0))
    return schedule.t_of(level.clamp(noisiest, cleanest))


def moved_time(
    schedule: Schedule, t: Float[Tensor, "*b"], difference: float | Float[Tensor, "*b"]
) -> Float[Tensor, "*b"]:
    """Returns the time that is `difference` later (earlier, if negative) than t on Stable Diffusion's clock.

    Args:
        schedule: schedule of t.
        t: times in [0, 1] on this schedule.
        difference: difference of time on Stable Diffusion's clock; 0.05 is 50 of its 1,000 steps.
    """
    difference = torch.as_tensor(difference, dtype=t.dtype, device=t.device)
    moved = time_at(schedule, reference_time(schedule, t) + difference)
    return torch.where(difference > 0, t.maximum(moved), torch.where(difference < 0, t.minimum(moved), t))


def level_at(reference: float) -> float:
    """Returns the log-SNR at a time on Stable Diffusion's clock."""
    return float(log_snr(*STABLE_DIFFUSION(torch.tensor(reference, dtype=torch.float64))))
