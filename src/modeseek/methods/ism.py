"""Interval score matching."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.reference_clock import moved_time, time_at
from modeseek.diffusion.weighting import Weight, sigma_over_alpha
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noising import add_noise
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.batched import require_conditions
from modeseek.priors.guidance import require_unguided, with_guidance
from modeseek.pytree import Cond, expand, select
from modeseek.ramp import Varying, value_at
from modeseek.rng import Rng


@dataclass(frozen=True)
class ISM:
    """LucidDreamer's ISM (Liang et al. 2023, arXiv 2311.11284): `grad = w (eps_scale(z_t, t) - eps_null(z_s, s))`.

    z_s is the DDIM inversion of z up to `s = t - gap` (0 if t is less than the gap) under the null condition, in
    steps of `stride` and a last shorter one; z_t is one more such step. Gap and stride are differences of time on
    Stable Diffusion's schedule, converted to the prior's by log-SNR. Only t is random. Both branches are evaluated
    exactly at the noise levels of their points, and every row is inverted to its own s; the original draws one t per
    batch and starts from a slightly noised point.

    Costs per row `ceil(s / stride)` prior calls to reach z_s, 1 at s and 2 at t (1 with scale 1 or without
    conditions), of an unguided prior.

    Attributes:
        times: distribution of t in [0, 1], one draw per row.
        weight: loss weight w(alpha, sigma) at t.
        scale: classifier-free guidance scale of the branch at t; 1 is no guidance.
        gap: t - s in [0, 1], a number or a function of progress (the authors: 0.1 falling to 0.05).
        stride: largest inversion step, in (0, 1] (the authors: 0.2).
    """

    references: ClassVar[tuple[str, ...]] = ("ism", "ddim")
    guides: ClassVar[bool] = True
    has_target: ClassVar[bool] = True
    times: Times = Uniform(0.02, 0.5)
    weight: Weight = sigma_over_alpha
    scale: float = 7.5
    gap: Varying = 0.05
    stride: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.stride <= 1 or not (callable(self.gap) or 0 <= self.gap <= 1):
            raise ValueError(f"ISM needs stride in (0, 1] and gap in [0, 1], got {self.stride} and {self.gap}")

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        require_unguided(prior, "ISM")

    def step(
        self,
        z: Float[Tensor, "b *d"],
        prior: Prior,
        state: None,
        *,
        conditions: Conditions | None = None,
        progress: float,
        rng: Rng,
        context: RenderContext | None = None,
    ) -> tuple[Direction, None]:
        """Returns the direction at z; the state is None.

        Raises:
            TypeError: the prior is already guided.
            ValueError: no null condition beside a positive one, or a gap outside [0, 1].
        """
        require_unguided(prior, "ISM")
        null = None if conditions is None else require_conditions(conditions, "ISM", "positive", "null").null
        gap = value_at(self.gap, progress)
        if not 0 <= gap <= 1:
            raise ValueError(f"ISM gap must be in [0, 1], got {gap:g} at progress {progress:g}")
        z = z.detach()
        t = self.times(progress, len(z), rng).to(z, non_blocking=True)
        s = moved_time(prior.schedule, t, -gap)
        back = self._invert(z, prior, s, expand(null, len(z)))
        level = prior.schedule(t)
        prediction = with_guidance(prior, self.scale, conditions).at(
            add_noise(back.z, back.eps, *level), *level, conditions
        )
        weight, (alpha, sigma) = self.weight(*level), level
        grad = expand_like(weight, z) * (prediction.eps - back.eps)
        logs = {"t": t, "s": s}
        return Direction(grad, t=t, prediction=prediction, weight=weight * alpha / sigma, logs=logs), None

    def _invert(self, z: Tensor, prior: Prior, s: Tensor, null: Cond) -> Prediction:
        """Returns the prediction at z_s; rows that have reached their s take no further inversion steps."""
        z_s = z
        for k in count():
            t_from, t_to = (time_at(prior.schedule, s.new_full((), (k + i) * self.stride)) for i in (0, 1))
            rows = (s > t_from).nonzero()[:, 0]
            if len(rows) == 0:
                break
            t_from, t_to = t_from.expand(len(rows)), torch.minimum(s[rows], t_to)
            p = prior.at(z_s[rows], *prior.schedule(t_from), select(null, rows))
            z_s = z_s.index_copy(0, rows, add_noise(p.z, p.eps, *prior.schedule(t_to)))
        return prior.at(z_s, *prior.schedule(s), null)
