"""Closed-form auxiliary denoiser: the exact score of a distribution of the current particles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import Prediction
from modeseek.methods.auxiliary import AuxiliaryInput, AuxiliaryTarget
from modeseek.priors.base import Prior
from modeseek.priors.empirical import Empirical

Law = Callable[[AuxiliaryInput], Prediction]
"""Exact denoiser of a distribution (law) of the particles: maps the auxiliary input to its prediction."""


def delta(inputs: AuxiliaryInput) -> Prediction:
    """Point mass at each particle: `eps_hat = (z_t - alpha z) / sigma`, the drawn noise.

    With this law VSD equals SDS, draw by draw.
    """
    return Prediction.from_z(inputs.z_t, inputs.alpha, inputs.sigma, inputs.z)


def gaussian(inputs: AuxiliaryInput) -> Prediction:
    """Gaussian with the mean m and the covariance C of the batch (sums over rows, divided by their number).

    `eps_hat = sigma (alpha^2 C + sigma^2 I)^-1 (z_t - alpha m)`. Rows interact: a batch of 4 gives other directions
    than four batches of 1.
    """
    flat, x = inputs.z.flatten(1), inputs.z_t.flatten(1)
    mean = flat.mean(0)
    centred = flat - mean
    values, axes = torch.linalg.eigh(centred.T @ centred / len(flat))
    values = values.clamp(min=0)  # rounding can make them negative
    a, s = inputs.alpha[:, None], inputs.sigma[:, None]
    y = (x - a * mean) @ axes / (a**2 * values + s**2)
    z, eps = mean + a * (values * y) @ axes.T, s * y @ axes.T
    shape = inputs.z_t.shape
    return Prediction.from_z_and_eps(inputs.z_t, inputs.alpha, inputs.sigma, z.reshape(shape), eps.reshape(shape))


def particles(inputs: AuxiliaryInput) -> Prediction:
    """Empirical distribution of the rows (equal point masses): the exact score of the population."""
    return Empirical(inputs.z).at(inputs.z_t, inputs.alpha, inputs.sigma)


@dataclass(frozen=True)
class ExactAuxiliary:
    """Exact auxiliary without training or state, for tests and for populations of vectors.

    Costs no prior calls. Conditions and cameras reach the law; `gaussian`, `delta` and `particles` ignore them.

    Attributes:
        law: exact denoiser of the particles' distribution.
    """

    law: Law = gaussian

    @property
    def block(self) -> int | None:
        """Whole batch, except for `delta`, whose rows are independent."""
        return 1 if self.law is delta else None

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        return None

    def predict(self, state: None, inputs: AuxiliaryInput) -> Prediction:
        return self.law(inputs)

    def update(
        self, state: None, inputs: AuxiliaryInput, targets: tuple[AuxiliaryTarget, ...]
    ) -> tuple[None, Float[Tensor, "b"]]:
        """Returns the loss of the law in eps; there are no parameters to train."""
        eps = self.law(inputs).eps
        loss = sum(((eps - t.eps) ** 2).flatten(1).mean(1) * t.share for t in targets)
        return None, loss + torch.zeros_like(inputs.alpha)
