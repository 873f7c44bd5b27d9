"""Score distillation in the velocity of a rectified flow."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.weighting import Weight, unit_weight
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noising import sample_noised
from modeseek.priors.base import Conditions, Prior
from modeseek.rng import Rng


@dataclass(frozen=True)
class RFDS:
    """RFDS (Yang et al. 2024, arXiv 2406.03293; FlowDreamer's VFDS, 2408.05008): `grad = w (v(z_t) - (n - z))`.

    v is the velocity `E[n - z | z_t]`, which every prediction here holds, so any prior on any schedule will do. It is
    SDS with weight `w / (1 - s)`, `s = sigma / (alpha + sigma)` the noise share of the same level in flow time:
    `v - (n - z) = (eps - n) (alpha + sigma) / alpha`. It stays finite where alpha is 0.

    One call of the given prior a row; guidance: pass a `Guided` prior (the authors: scale 100 on SD3, 50 in 2-D). The
    original indexes its noise levels from the wrong end, so that a range of 0.3 to 0.98 drops the noisiest ones.

    Attributes:
        times: which noise levels to visit, per row, in the time of the prior's schedule.
        weight: w(alpha, sigma).
    """

    times: Times = Uniform(0.02, 0.98)
    weight: Weight = unit_weight

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        return None

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
        """The direction; no state."""
        z = z.detach()
        at = sample_noised(z, prior, self.times, progress, rng)
        prediction = prior.at(at.z_t, at.alpha, at.sigma, conditions)
        grad = expand_like(self.weight(at.alpha, at.sigma), z) * (prediction.flow - (at.eps - z))
        return Direction(grad, t=at.t, eps=at.eps, prediction=prediction, logs={"t": at.t}), None
