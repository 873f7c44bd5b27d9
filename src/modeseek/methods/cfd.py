"""Consistent flow distillation (CFD) and flow score distillation (FSD)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Annealed, Times
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.weighting import Weight, sigma_over_alpha
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noise_maps import NoiseByParticle, NoiseMap, PerParticle, refresh_noise
from modeseek.methods.noising import add_noise
from modeseek.priors.base import Conditions, Prior
from modeseek.rng import Rng, Streams


@dataclass(frozen=True)
class ConsistentState:
    """State of CFD and FSD.

    Attributes:
        noise: current noise of each particle, or of its world, by index of the particle.
        refreshed: step of the last drift of the noise: with several batches in a step it drifts once; -1 for none.
    """

    noise: Mapping[int, Tensor] = field(default_factory=dict)
    refreshed: int = -1


@dataclass(frozen=True)
class CFD:
    """CFD (Yan et al. 2025, arXiv 2501.05445): `grad = w (eps(alpha z + sigma n; t) - n)`, n fixed while t falls.

    With n fixed, z is the clean variable of the probability flow, `z = (z_t - sigma n) / alpha`, and a step along
    `eps - n` of length `sigma_t / alpha_t - sigma_s / alpha_s` is exactly a DDIM step from t to s. n is fixed per
    particle or in its world (`noise`), and may drift by a small share of fresh noise each step. Costs 1 prior call
    per row; guidance: pass a `Guided` prior (the authors: 70 with Stable Diffusion, 50 with MVDream, 7 in two
    dimensions). The original draws one noise for a whole batch.

    Attributes:
        times: t in [0, 1] per row as a function of progress, falling along the run.
        weight: loss weight w(alpha, sigma).
        noise: source of the noise of each row: `PerParticle`, or noise in the world of a 3D shape, seen by each camera
            (`Triplanes`, the authors'; `Voxels`).
        refresh: share of fresh noise per step in [0, 1], an Ornstein-Uhlenbeck process (the authors: 1e-4 to 1e-2); 0
            keeps the initial noise.
    """

    references: ClassVar[tuple[str, ...]] = ("cfd", "fsd")
    guides: ClassVar[bool] = False
    times: Times = Annealed(0.98, 0.02)
    weight: Weight = sigma_over_alpha
    noise: NoiseMap = PerParticle()
    refresh: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 <= self.refresh <= 1:
            raise ValueError(f"CFD refresh must be in [0, 1], got {self.refresh}; try 0, which keeps the initial noise")

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> ConsistentState:
        return ConsistentState()

    def step(
        self,
        z: Float[Tensor, "b *d"],
        prior: Prior,
        state: ConsistentState,
        *,
        conditions: Conditions | None = None,
        progress: float,
        rng: Rng,
        context: RenderContext | None = None,
    ) -> tuple[Direction, ConsistentState]:
        """Returns the direction and the state with the refreshed noise."""
        z = z.detach()
        t = self.times(progress, len(z), rng).to(z, non_blocking=True)
        alpha, sigma = prior.schedule(t)
        noise_by_particle: NoiseByParticle = self.noise.draw(state.noise, z, context, rng)
        eps = self.noise(noise_by_particle, z, context, rng)
        prediction = prior.at(add_noise(z, eps, alpha, sigma), alpha, sigma, conditions)
        grad = expand_like(self.weight(alpha, sigma), z) * (prediction.eps - eps)
        index = rng.step if isinstance(rng, Streams) else -1
        share = 0.0 if index == state.refreshed >= 0 else self.refresh
        noise = {**state.noise, **refresh_noise(noise_by_particle, share, rng)}
        return Direction(grad, t=t, eps=eps, prediction=prediction, logs={"t": t}), ConsistentState(noise, index)


@dataclass(frozen=True)
class FSD:
    """FSD (Yan et al. 2024, arXiv 2405.10988): CFD with constant noise.

    In 3-D the authors look the noise up on a world map around the object: `noise=Voxels()`. Costs 1
    prior call per row; guidance: pass a `Guided` prior.

    Attributes:
        times: t in [0, 1] per row as a function of progress, falling along the run.
        weight: loss weight w(alpha, sigma).
        noise: source of the noise of each row: `PerParticle`, or in 3-D `Voxels` or `Triplanes`.
    """

    references: ClassVar[tuple[str, ...]] = ("fsd",)
    guides: ClassVar[bool] = False
    times: Times = Annealed(0.98, 0.02)
    weight: Weight = sigma_over_alpha
    noise: NoiseMap = PerParticle()

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> ConsistentState:
        return ConsistentState()

    def step(
        self,
        z: Float[Tensor, "b *d"],
        prior: Prior,
        state: ConsistentState,
        *,
        conditions: Conditions | None = None,
        progress: float,
        rng: Rng,
        context: RenderContext | None = None,
    ) -> tuple[Direction, ConsistentState]:
        """Returns the direction and the state with the noise."""
        flow = CFD(self.times, self.weight, self.noise, refresh=0.0)
        return flow.step(z, prior, state, conditions=conditions, progress=progress, rng=rng, context=context)
