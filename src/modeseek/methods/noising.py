"""Forward diffusion of a batch: draw a noise level per row, draw noise, add it."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.noise_levels import Times
from modeseek.diffusion.prediction import expand_like
from modeseek.priors.base import Prior
from modeseek.rng import Rng, randn


@dataclass(frozen=True)
class NoisedBatch:
    """Noised batch: `z_t = alpha z + sigma eps`.

    Attributes:
        t: time in [0, 1] per row, (b,).
        alpha: signal scale per row, (b,).
        sigma: noise scale per row, (b,).
        eps: drawn noise, standard normal, (b, *d).
        z_t: noised points, (b, *d).
    """

    t: Float[Tensor, "b"]
    alpha: Float[Tensor, "b"]
    sigma: Float[Tensor, "b"]
    eps: Float[Tensor, "b *d"]
    z_t: Float[Tensor, "b *d"]


def sample_noised(z: Float[Tensor, "b *d"], prior: Prior, times: Times, progress: float, rng: Rng) -> NoisedBatch:
    """Draws a time and noise for every row, and noises z on the prior's own schedule."""
    t = times(progress, len(z), rng).to(z)
    alpha, sigma = prior.schedule(t)
    eps = randn(tuple(z.shape), rng, z)
    return NoisedBatch(t, alpha, sigma, eps, add_noise(z, eps, alpha, sigma))


def add_noise(
    z: Float[Tensor, "b *d"], eps: Float[Tensor, "b *d"], alpha: Float[Tensor, "b"], sigma: Float[Tensor, "b"]
) -> Float[Tensor, "b *d"]:
    """Returns `alpha z + sigma eps`, row by row; a DDIM step if z and eps come from a prediction."""
    return expand_like(alpha, z) * z + expand_like(sigma, z) * eps
