"""RFDS-Rev: RFDS with refined noise."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.weighting import Weight, unit_weight
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noising import add_noise, sample_noised
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.guidance import require_unguided, with_guidance
from modeseek.rng import Rng


@dataclass(frozen=True)
class RFDSRev:
    """RFDS-Rev (Yang et al. 2024, arXiv 2406.03293): refine the noise once, then take RFDS's direction with it.

    In flow time `n <- n + (1 - sigma) (v + z - n)`: one step of iRFDS with the length that makes n the predicted noise
    of z_t, `n <- eps(z_t)`, which is how it is computed here, at any noise level of any prior. A noise that solves
    `v = n - z` is a fixed point. Then `grad = w (v_scale(z_t') - (n' - z))` with the refined noise.

    Costs 1 prior call per row for the refinement (2 if its scale is not 1) and 2 for the direction, of an unguided
    prior; without conditions 1 each.

    Attributes:
        times: distribution of t in [0, 1] on the prior's schedule, one draw per row.
        weight: loss weight w(alpha, sigma).
        scale: classifier-free guidance scale of the direction; 1 is no guidance.
        inversion_scale: classifier-free guidance scale of the refinement; 1 is no guidance.
    """

    times: Times = Uniform(0.02, 0.98)
    weight: Weight = unit_weight
    scale: float = 50.0
    inversion_scale: float = 1.0

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        require_unguided(prior, "RFDSRev")

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
        """Returns the direction at z; the state is None. `eps` is the noise before refinement.

        Raises:
            TypeError: the prior is already guided.
        """
        require_unguided(prior, "RFDSRev")
        z = z.detach()
        forward, backward = (with_guidance(prior, scale, conditions) for scale in (self.scale, self.inversion_scale))
        noised = sample_noised(z, prior, self.times, progress, rng)
        refined = backward.at(noised.z_t, noised.alpha, noised.sigma, conditions).eps
        prediction = forward.at(
            add_noise(z, refined, noised.alpha, noised.sigma), noised.alpha, noised.sigma, conditions
        )
        grad = expand_like(self.weight(noised.alpha, noised.sigma), z) * (prediction.flow - (refined - z))
        return Direction(grad, t=noised.t, eps=noised.eps, prediction=prediction, logs={"t": noised.t}), None
