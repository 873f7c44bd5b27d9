"""iRFDS: image inversion by the gradient of RFDS with respect to the noise."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times, Uniform
from modeseek.diffusion.prediction import expand_like
from modeseek.diffusion.weighting import Weight, unit_weight
from modeseek.methods.base import Direction, RenderContext
from modeseek.methods.noising import add_noise
from modeseek.priors.base import Conditions, Prior
from modeseek.rng import Rng


@dataclass(frozen=True)
class IRFDS:
    """iRFDS (Yang et al. 2024, arXiv 2406.03293): `grad = w (n - z - v(alpha z + sigma n))`, in the noise n.

    The roles are swapped: the optimised variable, passed to `step` as its first argument, is the noise n (`Points`
    initialised from noise, or from the image as the authors do); `data` is the fixed image z to invert. The direction
    has the shape of n; sampling from the optimised n reconstructs the image, or edits it under another prompt. The
    prediction is a constant of the loss, as in RFDS.

    `n - z - v = (n - eps) (alpha + sigma) / alpha` at any noise level of any prior: n is optimised towards the noise
    predicted in z_t. Costs 1 prior call per row; the authors' guidance scale is 1. They also penalise deviations of
    n's mean and variance from 0 and 1, which is a regularizer of `distill` here.

    Attributes:
        data: z to invert, (b, *d), or (1, *d) for the whole batch.
        times: distribution of t in [0, 1] on the prior's schedule, one draw per row.
        weight: loss weight w(alpha, sigma).
    """

    data: Float[Tensor, "b *d"]
    times: Times = Uniform(0.02, 0.98)
    weight: Weight = unit_weight

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        self._data(z)

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
        """Returns the direction of the noise, which is passed as z; the state is None.

        Raises:
            ValueError: noise and data differ in shape.
        """
        n, data = z.detach(), self._data(z)
        t = self.times(progress, len(n), rng).to(n)
        alpha, sigma = prior.schedule(t)
        prediction = prior.at(add_noise(data, n, alpha, sigma), alpha, sigma, conditions)
        grad = expand_like(self.weight(alpha, sigma), n) * (n - data - prediction.flow)
        return Direction(grad, t=t, eps=n, prediction=prediction, logs={"t": t}), None

    def _data(self, noise: Tensor) -> Tensor:
        data = self.data.detach().to(noise)
        if data.shape[1:] != noise.shape[1:] or len(data) not in (1, len(noise)):
            raise ValueError(
                f"IRFDS data must have the noise's shape {tuple(noise.shape)}, or one item of it, got "
                f"{tuple(data.shape)}"
            )
        return data.expand_as(noise)
