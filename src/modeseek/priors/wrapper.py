"""Wrappers of priors: their base class, and a counter of prior calls."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import Prediction
from modeseek.diffusion.schedule import Schedule
from modeseek.priors.base import BasePrior, Prior
from modeseek.pytree import Cond
from modeseek.rng import Rng


class PriorWrapper(BasePrior):
    """Base class of a prior around a prior: forwards schedule, shape, dtype, device, `grid` and `start`."""

    prior: Prior

    @property
    def schedule(self) -> Schedule:
        return self.prior.schedule

    @property
    def shape(self) -> tuple[int, ...]:
        return self.prior.shape

    @property
    def dtype(self) -> torch.dtype:
        return self.prior.dtype

    @property
    def device(self) -> torch.device:
        return self.prior.device

    def grid(self, n: int) -> Tensor:
        return self.prior.grid(n)

    def start(self, n: int, rng: Rng) -> Tensor:
        return self.prior.start(n, rng)


@dataclass
class Counting(PriorWrapper):
    """Prior that counts its calls; put it innermost: `Guided(Counting(prior))` counts two per row.

    Attributes:
        prior: wrapped prior.
        calls: number of rows evaluated so far (one row at one noise level is one prior call).
    """

    prior: Prior
    calls: int = 0

    def at(
        self,
        z_t: Float[Tensor, "b *d"],
        alpha: Float[Tensor, "b"],
        sigma: Float[Tensor, "b"],
        cond: Cond = None,
    ) -> Prediction:
        self.calls += z_t.shape[0]
        return self.prior.at(z_t, alpha, sigma, cond)
