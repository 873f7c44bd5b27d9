"""Posterior distillation sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.device import on_host
from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.reference_clock import moved_time, reference_time
from modeseek.diffusion.schedule import Schedule, log_snr, variance_preserving
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.editing import EditState, Source, init_edit, predict_pair, resolve_source
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.guidance import require_unguided
from modeseek.rng import Rng, randn


@dataclass(frozen=True)
class PDS:
    """PDS (Koo et al. 2023, arXiv 2311.13831): `grad = psi (z - source) + chi (eps_s - eps_s source)`.

    It matches the stochastic latents `(z_s - mu(z_t)) / spread` of z and its source, where s = t - step_size, z_s and
    z_t use the same noise on both sides, and mu, spread are those of the DDPM posterior. With `a = alpha_t / alpha_s`,
    `beta = sigma_t^2 - a^2 sigma_s^2`, `gamma = alpha_s beta / sigma_t^2`, `delta = a sigma_s^2 / sigma_t^2` and
    `spread = sqrt(beta) sigma_s / sigma_t`,

        psi = (alpha_s - gamma - delta alpha_t) / spread,    chi = gamma sigma_t / (alpha_t spread).

    With these consistent coefficients (`exact`) psi is identically 0 and `chi = sqrt(snr_s / snr_t - 1)`: PDS is then
    DDS with this weight. The authors' code takes a and beta of half the step (one training step, while s is two steps
    back), which leaves a term towards the source, psi > 0, that their results depend on: `official` does the same, on
    any schedule. Their code takes one item at a time; this one any batch, each row at its own noise level.

    Costs 4 prior calls per row, as one batched call of an unguided prior; 2 at scale 1. The source prompt is
    `Conditions.source`.

    Attributes:
        source: z of the edited source; None is the initial z of the run (every step must then render the same items).
        times: distribution of t in [0, 1], one draw per row.
        scale: classifier-free guidance scale of both branches; 1 is no guidance.
        coefficients: exact or the authors' (official) coefficients, see above.
        step_size: time difference t - s on Stable Diffusion's clock, in (0, 1) (the authors: 500 steps); at most half
            of t.
    """

    references: ClassVar[tuple[str, ...]] = ("pds",)
    guides: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("source",)
    source: Source | None = None
    times: Times = Uniform(0.02, 0.98)
    scale: float = 100.0
    coefficients: Literal["exact", "official"] = "official"
    step_size: float = 0.002

    def __post_init__(self) -> None:
        if self.coefficients not in ("exact", "official"):
            raise ValueError(f"PDS coefficients must be 'exact' or 'official', got {self.coefficients!r}")
        if not 0 < self.step_size < 1:
            raise ValueError(f"PDS needs a step_size in (0, 1), got {self.step_size}; try 0.002")

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
        """Returns the direction at z and the unchanged state.

        Raises:
            TypeError: the prior is already guided.
            ValueError: no source condition, no guidance baseline, or a source that does not broadcast to
                z.
        """
        require_unguided(prior, "PDS")
        z = z.detach()
        source = resolve_source(self.source, state, z, context)
        t = self.times(progress, len(z), rng).to(z, non_blocking=True)
        psi, chi = self.weights(prior.schedule, t)
        eps = randn(tuple(z.shape), rng, z)
        target, origin = predict_pair(prior, z, source, t, eps, conditions, self.scale, "PDS")
        grad = expand_like(psi, z) * (z - source) + expand_like(chi, z) * (target.eps - origin.eps)
        return Direction(grad, t=t, eps=eps, prediction=target, logs={"t": t, "psi": psi, "chi": chi}), state

    def weights(self, schedule: Schedule, t: Float[Tensor, "b"]) -> tuple[Float[Tensor, "b"], Float[Tensor, "b"]]:
        """Returns psi and chi at times t, (b,) each.

        Raises:
            ValueError: sigma = 0 at t - step_size, or alpha = 0 at t.
        """
        step = (reference_time(schedule, t) / 2).clamp(max=self.step_size)
        (alpha, sigma), (alpha_s, sigma_s) = (
            variance_preserving(log_snr(*schedule(moved_time(schedule, t, -back)))) for back in (0 * step, step)
        )
        if on_host(alpha) and ((sigma_s <= 0) | (alpha <= 0)).any():
            raise ValueError(
                "PDS needs sigma > 0 at t - step_size and alpha > 0 at t, got a level with 0; try times within (0, 1)"
            )
        if self.coefficients == "exact":
            chi = ((alpha_s * sigma / (alpha * sigma_s)) ** 2 - 1).sqrt()
            return torch.zeros_like(chi), chi
        half, sigma_half = variance_preserving(log_snr(*schedule(moved_time(schedule, t, -step / 2))))
        ratio = alpha / half
        beta = sigma**2 - (ratio * sigma_half) ** 2
        gamma, delta = alpha_s * beta / sigma**2, ratio * (sigma_s / sigma) ** 2
        spread = beta.sqrt() * sigma_s / sigma
        return (alpha_s - gamma - delta * alpha) / spread, gamma * sigma / (alpha * spread)
