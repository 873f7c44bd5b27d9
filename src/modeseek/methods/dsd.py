"""Diverse score distillation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Annealed, Times
from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.diffusion.weighting import Weight, sigma_squared
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noise_maps import PerItem
from modeseek.methods.noising import add_noise
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.guidance import require_unguided, with_guidance
from modeseek.rng import Rng, rand
from modeseek.sampling.samplers import ddim


@dataclass(frozen=True)
class DSDState:
    """What changes along a run.

    Attributes:
        noise: the seed of each item, from which its trajectory starts.
    """

    noise: Mapping[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class DSD:
    """DSD (Xu et al. 2024, arXiv 2412.06780): `grad = w (eps_s(z_t, t) - eps_r(z_t', t'))`, t' a little noisier than t.

    Each item holds one noise n0 for the whole run, the seed of one trajectory of the probability flow. DDIM walks it
    from `sigma_1 n0` at t = 1 to t'; what the prior says there, e, stands for the trajectory's noise: `z_t = alpha z +
    sigma e` and `z_t' = alpha' z + sigma' e`. Other seeds, other trajectories, other shapes. At t' = t, r = s (or
    without conditions) nothing pulls.

    t' is `t + u gap (t - least)`, u uniform, at most 1. Costs `ode_steps + 3` calls of the bare prior a row without
    conditions; `2 ode_steps + 5` with guidance. The original fixes its noise at 1 x 4 x 64 x 64, and its plain branch
    reads r = 1 as 2.

    Attributes:
        times: t, per row (the authors: 0.98 to 0.32, by the square root of progress).
        scale: s, guidance along the trajectory and of the prediction.
        reference_scale: r, guidance of what is subtracted; 1 is the condition alone.
        weight: w(alpha, sigma) at t.
        ode_steps: of DDIM from 1 to t'; each row walks its own times.
        gap: largest t' - t, as a share of `t - least`.
        least: the cleanest time of the run.
    """

    times: Times = Annealed(0.98, 0.32, 0.5)
    scale: float = 7.5
    reference_scale: float = 1.0
    weight: Weight = sigma_squared
    ode_steps: int = 10
    gap: float = 0.1
    least: float = 0.02

    def __post_init__(self) -> None:
        if self.ode_steps < 1 or not (0 <= self.gap <= 1 and 0 <= self.least <= 1):
            raise ValueError(
                f"DSD needs ode_steps >= 1 and gap, least in [0, 1]: got {self.ode_steps}, {self.gap}, {self.least}"
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
        """The direction; the state holds every item's seed.

        Raises:
            TypeError: the prior is guided already.
        """
        require_unguided(prior, "DSD")
        z = z.detach()
        t = self.times(progress, len(z), rng).to(z)
        later = (t + rand((len(z),), rng, z) * self.gap * (t - self.least).clamp(min=0)).clamp(max=1)
        kept = PerItem().draw(state.noise, z, context, rng)
        seed = PerItem()(kept, z, context, rng)
        towards, reference = (with_guidance(prior, scale, conditions) for scale in (self.scale, self.reference_scale))
        last = prior.schedule(torch.ones_like(t))[1]
        walk = torch.linspace(0, 1, self.ode_steps + 1, dtype=z.dtype, device=z.device)[:, None]
        times = 1 + walk * (later - 1)
        along = ddim(towards, expand_like(last, z) * seed, times, conditions)
        eps = towards.at(along, *prior.schedule(later), conditions).eps
        prediction = _predict_noised(towards, z, eps, t, conditions)
        base = _predict_noised(reference, z, eps, later, conditions)
        grad = expand_like(self.weight(*prior.schedule(t)), z) * (prediction.eps - base.eps)
        logs = {"t": t, "gap": later - t}
        return Direction(grad, t=t, prediction=prediction, logs=logs), DSDState({**state.noise, **kept})


def _predict_noised(prior: Prior, z: Tensor, eps: Tensor, t: Tensor, conditions: Conditions | None) -> Prediction:
    level = prior.schedule(t)
    return prior.at(add_noise(z, eps, *level), *level, conditions)
