"""Reverse probability flow from noised points to data, each row from its own time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import Prediction
from modeseek.priors.base import Prior
from modeseek.pytree import Cond
from modeseek.sampling.samplers import ddim


def even_times(t: Float[Tensor, "b"], steps: int) -> Float[Tensor, "n b"]:
    """Returns `steps + 1` evenly spaced times of each row, from t down to 0."""
    return torch.linspace(1, 0, steps + 1, dtype=t.dtype, device=t.device)[:, None] * t


def flow_to_data(
    prior: Prior,
    z_t: Float[Tensor, "b *d"],
    t: Float[Tensor, "b"],
    steps: int,
    cond: Cond = None,
    sampler: Callable[..., Tensor] = ddim,
) -> Prediction:
    """Returns the last prediction of a sampler's walk from t down to 0, whose z is where it ends.

    The last of the `steps` >= 1 steps is the posterior mean; one step is Tweedie's formula at t. Costs `steps` prior
    calls per row with `ddim` and `dpmpp_2m`.
    """
    times = even_times(t, steps)[:-1]
    z_s = z_t if steps == 1 else sampler(prior, z_t, times, cond)
    return prior.at(z_s, *prior.schedule(times[-1]), cond)
