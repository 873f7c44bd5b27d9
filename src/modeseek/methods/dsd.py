"""Diverse score distillation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Annealed, Times
from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.reference_clock import moved_time, reference_time
from modeseek.diffusion.weighting import Weight, sigma_squared
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noise_maps import PerParticle
from modeseek.methods.noising import add_noise
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.guidance import require_unguided, with_guidance
from modeseek.rng import Rng, rand
from modeseek.sampling.samplers import ddim


@dataclass(frozen=True)
class DSDState:
    """State of DSD.

    Attributes:
        noise: initial noise of each particle's trajectory, by index of the particle.
    """

    noise: Mapping[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class DSD:
    """DSD (Xu et al. 2024, arXiv 2412.06780): `grad = w (eps_s(z_t, t) - eps_r(z_t', t'))`, t' a little noisier than t.

    Each particle has one noise n0 for the whole run, shared by all of its views: the start of one trajectory of the
    probability flow. DDIM integrates from `sigma_1 n0` at t = 1 to t'; the predicted noise e at its end is used for
    both points, `z_t = alpha z + sigma e` and `z_t' = alpha' z + sigma' e`. Different n0 give different trajectories
    and different results. The gradient is zero at t' = t with r = s (or without conditions).

    t' is `t + u gap (t - least)`, u uniform, at most the prior's last; these times are those of Stable Diffusion's
    schedule, converted to the prior's by log-SNR. Costs `ode_steps + 3` calls of the unguided prior per row
    without conditions; `2 ode_steps + 5` with guidance. The original fixes its noise at 1 x 4 x 64 x 64, and its
    unguided branch interprets r = 1 as 2.

    Attributes:
        times: t in [0, 1] per row as a function of progress (the authors: 0.98 to 0.32, by its square root).
        scale: guidance scale s along the trajectory and of the prediction; 1 is no guidance.
        reference_scale: guidance scale r of the subtracted prediction; 1 is no guidance.
        weight: loss weight w(alpha, sigma) at t.
        ode_steps: DDIM steps from 1 to t', >= 1; each row has its own times.
        gap: largest t' - t as a share of `t - least`, in [0, 1].
        least: smallest time of the run, in [0, 1], on Stable Diffusion's schedule (the authors: 0.32).
    """

    references: ClassVar[tuple[str, ...]] = ("dsd", "ddim")
    guides: ClassVar[bool] = True
    times: Times = Annealed(0.98, 0.32, 0.5)
    scale: float = 7.5
    reference_scale: float = 1.0
    weight: Weight = sigma_squared
    ode_steps: int = 10
    gap: float = 0.1
    least: float = 0.32

    def __post_init__(self) -> None:
        if self.ode_steps < 1 or not (0 <= self.gap <= 1 and 0 <= self.least <= 1):
            raise ValueError(
                f"DSD needs ode_steps >= 1 and gap, least in [0, 1], got {self.ode_steps}, {self.gap}, {self.least}"
            )

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> DSDState:
        require_unguided(prior, "DSD")
        return DSDState()

    def step(
        self,
        z: Float[Tensor, "b *d"],
        prior: Prior,
        state: DSDState,
        *,
        conditions: Conditions | None = None,
        progress: float,
        rng: Rng,
        context: RenderContext | None = None,
    ) -> tuple[Direction, DSDState]:
        """Returns the direction and the state with the initial noise of every particle.

        Raises:
            TypeError: the prior is already guided.
        """
        require_unguided(prior, "DSD")
        z = z.detach()
        t = self.times(progress, len(z), rng).to(z, non_blocking=True)
        reach = self.gap * (reference_time(prior.schedule, t) - self.least).clamp(min=0)
        later = moved_time(prior.schedule, t, rand((len(z),), rng, z) * reach)
        noise_by_particle = PerParticle().draw(state.noise, z, context, rng)
        initial_noise = PerParticle()(noise_by_particle, z, context, rng)
        guided, reference = (with_guidance(prior, scale, conditions) for scale in (self.scale, self.reference_scale))
        sigma_1 = prior.schedule(torch.ones_like(t))[1]
        shares = torch.linspace(0, 1, self.ode_steps + 1, dtype=z.dtype, device=z.device)[:, None]
        times = 1 + shares * (later - 1)
        z_later = ddim(guided, expand_like(sigma_1, z) * initial_noise, times, conditions)
        eps = guided.at(z_later, *prior.schedule(later), conditions).eps
        prediction = _predict_noised(guided, z, eps, t, conditions)
        base = _predict_noised(reference, z, eps, later, conditions)
        grad = expand_like(self.weight(*prior.schedule(t)), z) * (prediction.eps - base.eps)
        logs = {"t": t, "gap": later - t}
        return Direction(grad, t=t, prediction=prediction, logs=logs), DSDState({**state.noise, **noise_by_particle})


def _predict_noised(prior: Prior, z: Tensor, eps: Tensor, t: Tensor, conditions: Conditions | None) -> Prediction:
    level = prior.schedule(t)
    return prior.at(add_noise(z, eps, *level), *level, conditions)
