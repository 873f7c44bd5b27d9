"""Score distillation sampling."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.weighting import Weight, sigma_squared
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noising import sample_noised
from modeseek.priors.base import Conditions, Prior
from modeseek.rng import Rng


@dataclass(frozen=True)
class SDS:
    """DreamFusion (Poole et al. 2022, arXiv 2209.14988): `grad = w (eps(alpha z + sigma n; t) - n)`.

    Its mean is `-w (sigma / alpha) grad_z E_n log p_t(alpha z + sigma n)`: descending it maximises the noise-averaged
    log density. Costs 1 prior call per row; guidance: pass a `Guided` prior (DreamFusion's 100 is scale 101).

    Attributes:
        times: distribution of t in [0, 1], one draw per row.
        weight: loss weight w(alpha, sigma).
    """

    times: Times = Uniform(0.02, 0.98)
    weight: Weight = sigma_squared

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
        """Returns the direction at z; the state is None."""
        z = z.detach()
        noised = sample_noised(z, prior, self.times, progress, rng)
        prediction = prior.at(noised.z_t, noised.alpha, noised.sigma, conditions)
        grad = expand_like(self.weight(noised.alpha, noised.sigma), z) * (prediction.eps - noised.eps)
        return Direction(grad, t=noised.t, eps=noised.eps, prediction=prediction, logs={"t": noised.t}), None
