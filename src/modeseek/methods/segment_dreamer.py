"""SegmentDreamer: segmented consistency trajectory distillation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.reference_clock import time_at
from modeseek.diffusion.weighting import Weight, sigma_over_alpha
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noise_maps import PerParticle
from modeseek.methods.noising import add_noise
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.batched import require_conditions
from modeseek.priors.guidance import require_unguided, with_guidance
from modeseek.pytree import expand
from modeseek.ramp import Until, Varying, value_at
from modeseek.rng import Rng, rand


@dataclass(frozen=True)
class SegmentState:
    """State of SegmentDreamer.

    Attributes:
        noise: noise of each particle, kept along the run, by its index.
    """

    noise: Mapping[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class SegmentDreamer:
    """SegmentDreamer (Zhu et al. 2025, arXiv 2507.05256): `grad = w ((x_e' - x_e) + (scale + 1) (x_e - x_e cond))`.

    Segmented consistency trajectory distillation: the noise levels are cut into segments; t is random, e the clean end
    of its segment and s random between the two. With one noise n per particle, kept along the run, and DDIM steps,

        x_e = alpha_e z + sigma_e n,  then e -> s -> t under the null condition gives x_t;
        t -> s and t -> e under guidance give x_s and x_e cond;  s -> e under the null condition gives x_e'.

    The first term is self-consistency within a segment, the second pulls towards the condition. Times are those of
    Stable Diffusion, converted to the prior's schedule by log-SNR. The authors' pixel-space constraint is not included.

    Costs 5 prior calls per row of an unguided prior (4 with scale 1 or without conditions).

    Attributes:
        low: cleanest time, on Stable Diffusion's clock, in [0, 1).
        high: noisiest time, a number in (low, 1] or a function of progress (the authors: 0.98, after a warm-up 0.5).
        segments: number of segments of [low, high], of equal length, >= 1.
        scale: classifier-free guidance scale at t; 1 is no guidance.
        weight: loss weight w(alpha, sigma) at t.
    """

    references: ClassVar[tuple[str, ...]] = ("segmentdreamer", "ism", "ddim")
    guides: ClassVar[bool] = True
    low: float = 0.02
    high: Varying = Until(0.3, 0.98, 0.5)
    segments: int = 5
    scale: float = 7.5
    weight: Weight = sigma_over_alpha

    def __post_init__(self) -> None:
        for progress in (0.0, 1.0):
            self._ends(progress)
        if self.segments < 1:
            raise ValueError(f"SegmentDreamer segments must be >= 1, got {self.segments}; try 5")

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> SegmentState:
        require_unguided(prior, "SegmentDreamer")
        return SegmentState()

    def step(
        self,
        z: Float[Tensor, "b *d"],
        prior: Prior,
        state: SegmentState,
        *,
        conditions: Conditions | None = None,
        progress: float,
        rng: Rng,
        context: RenderContext | None = None,
    ) -> tuple[Direction, SegmentState]:
        """Returns the direction and the state with the noise of every particle; logs the times t, s and e of the prior.

        Raises:
            TypeError: the prior is already guided.
            ValueError: no null condition beside a positive one, or low >= high at this progress.
        """
        require_unguided(prior, "SegmentDreamer")
        z, null = z.detach(), None
        if conditions is not None:
            null = expand(require_conditions(conditions, "SegmentDreamer", "positive", "null").null, len(z))
        noise_by_particle = PerParticle().draw(state.noise, z, context, rng)
        n = PerParticle()(noise_by_particle, z, context, rng)
        e, s, t = (time_at(prior.schedule, x) for x in self._draw_times(progress, len(z), rng, z))
        level_e, level_s, level_t = (prior.schedule(x) for x in (e, s, t))

        def move(x: Tensor, start: tuple[Tensor, Tensor], *ends: tuple[Tensor, Tensor]) -> Tensor:
            for end in ends:
                p = prior.at(x, *start, null)
                x, start = add_noise(p.z, p.eps, *end), end
            return x

        x_e = add_noise(z, n, *level_e)
        x_t = move(x_e, level_e, level_s, level_t)
        p = with_guidance(prior, self.scale, conditions).at(x_t, *level_t, conditions)
        x_s, x_e_cond = (add_noise(p.z, p.eps, *level) for level in (level_s, level_e))
        residual = (move(x_s, level_s, level_e) - x_e) + (self.scale + 1) * (x_e - x_e_cond)
        grad = expand_like(self.weight(*level_t), z) * residual
        logs = {"t": t, "s": s, "e": e}
        return Direction(grad, t=t, prediction=p, logs=logs), SegmentState({**state.noise, **noise_by_particle})

    def _draw_times(self, progress: float, n: int, rng: Rng, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns e <= s <= t on Stable Diffusion's clock, (n,) each."""
        low, high = self._ends(progress)
        place = self.segments * rand((n,), rng, like)
        width, e = (high - low) / self.segments, place.floor()
        s = e + (place - e) * rand((n,), rng, like)
        return low + width * e, low + width * s, low + width * place

    def _ends(self, progress: float) -> tuple[float, float]:
        high = value_at(self.high, progress)
        if not 0 <= self.low < high <= 1:
            raise ValueError(
                f"SegmentDreamer needs 0 <= low < high <= 1, got {self.low:g} and {high:g} at progress {progress:g}"
            )
        return self.low, high
