"""The first lines of most methods: pick a level per row, draw noise, add it."""

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
    """A batch seen through noise: `z_t = alpha z + sigma eps`.

    Attributes:
        t: time per row, (b,).
        alpha: signal scale per row, (b,).
        sigma: noise scale per row, (b,).
        eps: the noise drawn, (b, *d).
        z_t: the noised points, (b, *d).
    """

    t: Float[Tensor, "b"]
    alpha: Float[Tensor, "b"]
    sigma: Float[Tensor, "b"]
    eps: Float[Tensor, "b *d"]
    z_t: Float[Tensor, "b *d"]


def sample_noised(z: Float[Tensor, "b *d"], prior: Prior, times: Times, progress: float, rng: Rng) -> NoisedBatch:
    """Draws a time, then noise, for every row, on the prior's own schedule."""
    t = times(progress, len(z), rng).to(z)
    alpha, sigma = prior.schedule(t)
    eps = randn(tuple(z.shape), rng, z)
    return NoisedBatch(t, alpha, sigma, eps, add_noise(z, eps, alpha, sigma))


def add_noise(
    z: Float[Tensor, "b *d"], eps: Float[Tensor, "b *d"], alpha: Float[Tensor, "b"], sigma: Float[Tensor, "b"]
) -> Float[Tensor, "b *d"]:
    """`alpha z + sigma eps`, row by row; a DDIM step where z and eps are a prediction's."""
    return expand_like(alpha, z) * z + expand_like(sigma, z) * eps
