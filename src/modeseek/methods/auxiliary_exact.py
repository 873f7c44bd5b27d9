"""phi in closed form: the exact score of a law of the particles as they stand."""

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
"""From what is seen to what the exact denoiser of the particles' law says of it."""


def delta(inputs: AuxiliaryInput) -> Prediction:
    """Each particle a law of its own, a point mass: `eps_hat = (z_t - alpha z) / sigma`, the noise itself.

    VSD becomes SDS, draw by draw.
    """
    return Prediction.from_z(inputs.z_t, inputs.alpha, inputs.sigma, inputs.z)


def gaussian(inputs: AuxiliaryInput) -> Prediction:
    """The Gaussian with the rows' mean m and covariance C (sums over the rows, divided by their number).

    `eps_hat = sigma (alpha^2 C + sigma^2 I)^-1 (z_t - alpha m)`. The rows know each other: a batch of 4 goes elsewhere
    than four singles.
    """
    flat, x = inputs.z.flatten(1), inputs.z_t.flatten(1)
    mean = flat.mean(0)
    away = flat - mean
    values, axes = torch.linalg.eigh(away.T @ away / len(flat))
    values = values.clamp(min=0)  # of rounding
    a, s = inputs.alpha[:, None], inputs.sigma[:, None]
    y = (x - a * mean) @ axes / (a**2 * values + s**2)
    z, eps = mean + a * (values * y) @ axes.T, s * y @ axes.T
    shape = inputs.z_t.shape
    return Prediction.from_z_and_eps(inputs.z_t, inputs.alpha, inputs.sigma, z.reshape(shape), eps.reshape(shape))


def particles(inputs: AuxiliaryInput) -> Prediction:
    """The rows themselves, a point mass each, all of one weight: the exact score of a population."""
    return Empirical(inputs.z).at(inputs.z_t, inputs.alpha, inputs.sigma)


@dataclass(frozen=True)
class ExactAuxiliary:
    """phi that is exact at once, for tests and for populations of vectors; it neither learns nor remembers.

    Costs no prior calls. Conditions and cameras are the law's affair: `gaussian`, `delta` and `particles` ignore them.

    Attributes:
        law: whose exact denoiser phi is.
    """

    law: Law = gaussian

    @property
    def block(self) -> int | None:
        """A law of all particles must see them all."""
        return 1 if self.law is delta else None

    def init(self, z: Float[Tensor, "b *d"], prior: Prior) -> None:
        return None

    def predict(self, state: None, inputs: AuxiliaryInput) -> Prediction:
        return self.law(inputs)

    def update(
        self, state: None, inputs: AuxiliaryInput, targets: tuple[AuxiliaryTarget, ...]
    ) -> tuple[None, Float[Tensor, "b"]]:
        """Nothing to learn; the loss is that of the law itself, in eps."""
        eps = self.law(inputs).eps
        loss = sum(((eps - t.eps) ** 2).flatten(1).mean(1) * t.share for t in targets)
        return None, loss + torch.zeros_like(inputs.alpha)
