"""Consistent flow distillation, and flow score distillation before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Annealed, Times
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.weighting import Weight, sigma_over_alpha
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noise_maps import NoiseByItem, NoiseMap, PerItem, refresh_noise
from modeseek.methods.noising import add_noise
from modeseek.priors.base import Conditions, Prior
from modeseek.rng import Rng


@dataclass(frozen=True)
class ConsistentState:
    """What changes along a run.

    Attributes:
        noise: what each item, or the world, holds.
    """

    noise: Mapping[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class CFD:
    """CFD (Yan et al. 2025, arXiv 2501.05445): `grad = w (eps(alpha z + sigma n; t) - n)`, n kept while t falls.

    With n fixed, z is the clean variable of the probability flow, `z = (z_t - sigma n) / alpha`, and a step along
    `eps - n` of length `sigma_t / alpha_t - sigma_s / alpha_s` is exactly a DDIM step from t to s. n belongs to the
    item or to the camera (`noise`), and may drift by a little fresh noise each step. One call of the given prior a row;
    guidance: pass a `Guided` prior (the authors: 70 with Stable Diffusion, 50 with MVDream, 7 in two dimensions). The
    original draws one noise for a whole batch.

    Attributes:
        times: which noise levels to visit, per row, falling.
        weight: w(alpha, sigma).
        noise: where an item's noise comes from: its own, or a `WorldNoise` seen by the camera.
        refresh: share of fresh noise a step in [0, 1], an Ornstein-Uhlenbeck process (the authors: 1e-4 to 1e-2); 0
            keeps the first.
    """

    times: Times = Annealed(0.98, 0.02)
    weight: Weight = sigma_over_alpha
    noise: NoiseMap = PerItem()
    refresh: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 <= self.refresh <= 1:
            raise ValueError(f"CFD refresh is a share of fresh noise in [0, 1]: got {self.refresh}; 0 keeps the first")

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
        """The direction, and the noise as it will be met next."""
        z = z.detach()
        t = self.times(progress, len(z), rng).to(z)
        alpha, sigma = prior.schedule(t)
        kept: NoiseByItem = self.noise.draw(state.noise, z, context, rng)
        eps = self.noise(kept, z, context, rng)
        prediction = prior.at(add_noise(z, eps, alpha, sigma), alpha, sigma, conditions)
        grad = expand_like(self.weight(alpha, sigma), z) * (prediction.eps - eps)
        noise = {**state.noise, **refresh_noise(kept, self.refresh, rng)}
        return Direction(grad, t=t, eps=eps, prediction=prediction, logs={"t": t}), ConsistentState(noise)


@dataclass(frozen=True)
class FSD:
    """FSD (Yan et al. 2024, arXiv 2405.10988): CFD whose noise never changes.

    In 3-D the authors look it up on a world map around the object: `noise=WorldNoise(cells, places)`. One call of the
    given prior a row; guidance: pass a `Guided` prior.

    Attributes:
        times: which noise levels to visit, per row, falling.
        weight: w(alpha, sigma).
        noise: where an item's noise comes from.
    """

    times: Times = Annealed(0.98, 0.02)
    weight: Weight = sigma_over_alpha
    noise: NoiseMap = PerItem()

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
        """The direction; the state holds the noise."""
        flow = CFD(self.times, self.weight, self.noise, refresh=0.0)
        return flow.step(z, prior, state, conditions=conditions, progress=progress, rng=rng, context=context)
