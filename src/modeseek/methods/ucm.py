"""FlowDreamer's UCM: RFDS with noise from the flow's inversion of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.weighting import Weight, unit_weight
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noising import add_noise
from modeseek.priors.base import Conditions, Prior
from modeseek.priors.guidance import require_unguided, with_guidance
from modeseek.rng import Rng, randn


@dataclass(frozen=True)
class UCM:
    """FlowDreamer's unique couple matching (2024, arXiv 2408.05008): `grad = w (v_scale(z_t) - (n - z))`, n inverted.

    From progress `since` on, n is not drawn: the flow `dz_s = v(z_s, s) ds` is integrated from z at s = 0 to its noise
    at s = 1, in `inversion_steps` equal steps, at `alpha = 1 - s, sigma = s` for any schedule of the prior; the noise
    level of the direction is on the prior's schedule. Before `since` the noise is drawn and this is RFDS. The switch
    depends on progress, not on a count of calls that a checkpoint would lose.

    Costs `inversion_steps` prior calls per row for the inversion (twice that by the midpoint rule; twice again if its
    scale is not 1) and 2 for the direction, of an unguided prior; without conditions each evaluation is 1 call.

    Attributes:
        times: distribution of t in [0, 1] on the prior's schedule, one draw per row.
        weight: loss weight w(alpha, sigma).
        scale: classifier-free guidance scale of the direction (the authors' configurations: 60); 1 is no guidance.
        inversion_scale: classifier-free guidance scale of the inversion; 1 is no guidance.
        inversion_steps: solver steps from image to noise, >= 1.
        solver: ODE solver of the inversion: euler (first order) or midpoint (second order).
        since: progress in [0, 1] from which the noise is inverted rather than drawn.
    """

    times: Times = Uniform(0.02, 0.98)
    weight: Weight = unit_weight
    scale: float = 60.0
    inversion_scale: float = 1.0
    inversion_steps: int = 3
    solver: Literal["euler", "midpoint"] = "euler"
    since: float = 0.0

    def __post_init__(self) -> None:
        if self.inversion_steps < 1 or not 0 <= self.since <= 1:
            raise ValueError(
                f"UCM needs inversion_steps >= 1 and since in [0, 1], got {self.inversion_steps} and {self.since}"
            )
        if self.solver not in ("euler", "midpoint"):
            raise ValueError(f"UCM solver must be 'euler' or 'midpoint', got {self.solver!r}")

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        require_unguided(prior, "UCM")

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
        """Returns the direction at z; the state is None. `eps` is the noise used, inverted or drawn.

        Raises:
            TypeError: the prior is already guided.
        """
        require_unguided(prior, "UCM")
        z = z.detach()
        forward, backward = (with_guidance(prior, scale, conditions) for scale in (self.scale, self.inversion_scale))
        t = self.times(progress, len(z), rng).to(z)
        alpha, sigma = prior.schedule(t)
        inverting = progress >= self.since
        eps = self._invert(z, backward, conditions) if inverting else randn(tuple(z.shape), rng, z)
        prediction = forward.at(add_noise(z, eps, alpha, sigma), alpha, sigma, conditions)
        grad = expand_like(self.weight(alpha, sigma), z) * (prediction.flow - (eps - z))
        return Direction(grad, t=t, eps=eps, prediction=prediction, logs={"t": t}), None

    def _invert(self, z: Tensor, prior: Prior, conditions: Conditions | None) -> Tensor:
        def velocity(z_s: Tensor, s: float) -> Tensor:
            level = z_s.new_full((len(z_s),), s)
            return prior.at(z_s, 1 - level, level, conditions).flow

        width = 1 / self.inversion_steps
        for k in range(self.inversion_steps):
            v = velocity(z, k * width)
            if self.solver == "midpoint":
                v = velocity(z + width / 2 * v, (k + 0.5) * width)
            z = z + width * v
        return z
