"""RFDS with noise from the flow's own inversion of the image."""

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

    From `since` of the run on, n is not drawn: the flow `dz_s = v(z_s, s) ds` carries z from s = 0 to the noise it came
    from at s = 1, in `inversion_steps` equal steps. The flow is walked at `alpha = 1 - s, sigma = s`, where any prior
    answers, whatever its own schedule; the level that is then visited is one of the prior's schedule. Before `since`
    the noise is drawn and this is RFDS. Progress decides, not a count of calls that a checkpoint forgets.

    `inversion_steps` calls a row for the inversion (twice that by the midpoint rule; twice again if its scale is not
    1), and two for the direction, of a bare prior; without conditions there is nothing to guide.

    Attributes:
        times: which noise levels to visit, per row, in the time of the prior's schedule.
        weight: w(alpha, sigma).
        scale: guidance of the direction (the authors' configurations: 60).
        inversion_scale: guidance of the inversion.
        inversion_steps: of the walk from image to noise.
        solver: euler, first order, or midpoint, second order.
        since: progress from which the noise is inverted rather than drawn.
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
                f"UCM needs inversion_steps >= 1 and since in [0, 1]: got {self.inversion_steps} and {self.since}; "
                "fix them"
            )
        if self.solver not in ("euler", "midpoint"):
            raise ValueError(f"UCM's solver is 'euler' or 'midpoint': got {self.solver!r}; choose one")

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
        """The direction; no state. `eps` is the noise used, inverted or drawn.

        Raises:
            TypeError: the prior is guided already.
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
