"""RFDS with noise that fits the image."""

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

    In flow time `n <- n + (1 - sigma) (v + z - n)`: one step of iRFDS, of exactly the length that makes n the noise the
    prior finds in z_t, `n <- eps(z_t)`, which is how it is computed here, at any level of any prior. A noise that
    solves `v = n - z` stays. Then `grad = w (v_scale(z_t') - (n' - z))` with the refined noise.

    One call a row for the refinement (two if its scale is not 1), two for the direction, of a bare prior; without
    conditions there is nothing to guide and each takes one.

    Attributes:
        times: which noise levels to visit, per row, in the time of the prior's schedule.
        weight: w(alpha, sigma).
        scale: guidance of the direction.
        inversion_scale: guidance of the refinement.
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
        """The direction; no state. `eps` is the noise as drawn.

        Raises:
            TypeError: the prior is guided already.
        """
        require_unguided(prior, "RFDSRev")
        z = z.detach()
        forward, backward = (with_guidance(prior, scale, conditions) for scale in (self.scale, self.inversion_scale))
        at = sample_noised(z, prior, self.times, progress, rng)
        refined = backward.at(at.z_t, at.alpha, at.sigma, conditions).eps
        prediction = forward.at(add_noise(z, refined, at.alpha, at.sigma), at.alpha, at.sigma, conditions)
        grad = expand_like(self.weight(at.alpha, at.sigma), z) * (prediction.flow - (refined - z))
        return Direction(grad, t=at.t, eps=at.eps, prediction=prediction, logs={"t": at.t}), None
