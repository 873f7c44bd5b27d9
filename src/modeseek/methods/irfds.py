"""Inversion of a picture by the gradient of RFDS in its noise."""

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

    The roles are swapped: what is optimised, and given to `step` as its first argument, is the noise n (a generator of
    free points that starts from noise, or from the picture as the authors do); `data` is the picture z to invert, held
    fixed. The answer has the shape of n and says where n should go; sampling from the optimised n returns to the
    picture, or edits it under another prompt. The prediction is a constant of the loss, as in RFDS.

    `n - z - v = (n - eps) (alpha + sigma) / alpha` at any level of any prior: n is drawn to the noise that the prior
    finds in z_t. One call of the given prior a row; the authors' scale is 1. They also keep n's mean and variance at 0
    and 1 by a penalty, which is a regularizer of the loop here.

    Attributes:
        data: z, (b, *d), or (1, *d) for the whole batch.
        times: which noise levels to visit, per row, in the time of the prior's schedule.
        weight: w(alpha, sigma).
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
        """The direction of the noise, here called z like whatever is optimised; no state.

        Raises:
            ValueError: the noise has not the shape of the data.
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
                f"IRFDS needs data of the noise's shape {tuple(noise.shape)}, or one item of it: got "
                f"{tuple(data.shape)}; pass data=..."
            )
        return data.expand_as(noise)
