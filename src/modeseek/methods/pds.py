"""Posterior distillation sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.schedule import Schedule
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.editing import EditState, Source, init_edit, predict_pair, resolve_source
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.guidance import require_unguided
from modeseek.rng import Rng, randn


@dataclass(frozen=True)
class PDS:
    """PDS (Koo et al. 2023, arXiv 2311.13831): `grad = psi (z - source) + chi (eps_s - eps_s source)`.

    It matches the stochastic latents `(z_s - mu(z_t)) / spread` of z and its source, where s = t - step_size, z_s and
    z_t are noised alike on both sides, and mu, spread are those of the DDPM posterior. With `a = alpha_t / alpha_s`,
    `beta = sigma_t^2 - a^2 sigma_s^2`, `gamma = alpha_s beta / sigma_t^2`, `delta = a sigma_s^2 / sigma_t^2` and
    `spread = sqrt(beta) sigma_s / sigma_t`,

        psi = (alpha_s - gamma - delta alpha_t) / spread,    chi = gamma sigma_t / (alpha_t spread).

    These are consistent coefficients (`exact`): psi is 0, identically, and `chi = sqrt(snr_s / snr_t - 1)`: PDS is then
    DDS with this weight. The authors' code takes a and beta of half the step (one training step, where s lies two
    back), which leaves a pull towards the source, psi > 0, that their results rest on: `official` does so too, on any
    schedule. Their code takes one item at a time; this one any batch, each row at its level.

    Four calls of a bare prior a row, as one batched call; two at scale 1. The source's words are
    `Conditions.source`.

    Attributes:
        source: z of what is edited; None is the z that the run starts from (then every step shows the same items).
        times: which noise levels to visit, per row.
        scale: guidance of both branches.
        coefficients: see above.
        step_size: from t to s, in the schedule's time (the authors: 500 steps).
    """

    source: Source | None = None
    times: Times = Uniform(0.02, 0.98)
    scale: float = 100.0
    coefficients: Literal["exact", "official"] = "exact"
    step_size: float = 0.002

    def __post_init__(self) -> None:
        if self.coefficients not in ("exact", "official"):
            raise ValueError(f"PDS coefficients are 'exact' or 'official': got {self.coefficients!r}; choose one")
        if not 0 < self.step_size < 1:
            raise ValueError(f"PDS needs a step_size in (0, 1): got {self.step_size}; the authors' is 0.002")

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> EditState:
        require_unguided(prior, "PDS")
        return init_edit(self.source, z)

    def step(
        self,
        z: Float[Tensor, "b *d"],
        prior: Prior,
        state: EditState,
        *,
        conditions: Conditions | None = None,
        progress: float,
        rng: Rng,
        context: RenderContext | None = None,
    ) -> tuple[Direction, EditState]:
        """The direction; the state stays.

        Raises:
            TypeError: the prior is guided already.
            ValueError: no source condition, no baseline, a source that does not fit, or a time without a step before.
        """
        require_unguided(prior, "PDS")
        z = z.detach()
        source = resolve_source(self.source, state, z, context)
        t = self.times(progress, len(z), rng).to(z)
        psi, chi = self.weights(prior.schedule, t)
        eps = randn(tuple(z.shape), rng, z)
        target, origin = predict_pair(prior, z, source, t, eps, conditions, self.scale, "PDS")
        grad = expand_like(psi, z) * (z - source) + expand_like(chi, z) * (target.eps - origin.eps)
        return Direction(grad, t=t, eps=eps, prediction=target, logs={"t": t, "psi": psi, "chi": chi}), state

    def weights(self, schedule: Schedule, t: Float[Tensor, "b"]) -> tuple[Float[Tensor, "b"], Float[Tensor, "b"]]:
        """Psi and chi at times t.

        Raises:
            ValueError: no noise a step before t, or no signal at t.
        """
        if (t < self.step_size).any():
            raise ValueError(
                f"PDS steps back by {self.step_size} from t: got t = {float(t.min()):.4g}; raise the lowest time"
            )
        (alpha, sigma), (alpha_s, sigma_s) = schedule(t), schedule(t - self.step_size)
        if (sigma_s <= 0).any() or (alpha <= 0).any():
            raise ValueError("PDS needs noise a step before t and signal at t: got a level without; keep t within")
        if self.coefficients == "exact":
            chi = ((alpha_s * sigma / (alpha * sigma_s)) ** 2 - 1).sqrt()
            return torch.zeros_like(chi), chi
        half, sigma_half = schedule(t - self.step_size / 2)
        ratio = alpha / half
        beta = sigma**2 - (ratio * sigma_half) ** 2
        gamma, delta = alpha_s * beta / sigma**2, ratio * (sigma_s / sigma) ** 2
        spread = beta.sqrt() * sigma_s / sigma
        return (alpha_s - gamma - delta * alpha) / spread, gamma * sigma / (alpha * spread)
