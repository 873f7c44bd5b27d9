"""Kernel-score sampler of the MSD paper, for comparison."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.priors.base import Prior
from modeseek.priors.guidance import in_guidance_interval
from modeseek.pytree import Cond

_NOISIEST = 0.998  # first time on schedules with alpha = 0 at t = 1


def kernel_score(
    prior: Prior,
    center: Float[Tensor, "b *d"],
    bandwidth: Float[Tensor, "b"],
    noise: Float[Tensor, "b *d"],
    steps: int,
    cond: Cond = None,
    interval: tuple[float, float] = (0.0, 1.0),
    noise_scale: float = 1.0,
) -> Float[Tensor, "b *d"]:
    """DDIM with the kernel's score added at every noise level (Thamizharasan et al. 2025, arXiv 2502.15989).

    In VE coordinates, from noise a to b < a: an Euler step of the prior's flow to z', then the kernel's term
    integrated analytically, `z = c + (z' - c) exp(-(a^2 - b^2) / (2 h^2))`, inside `interval`; plain DDIM outside.
    This is not the noised product: its samples contract to one point and their mean differs from the mean-shift
    target.

    Args:
        prior: any prior.
        center: point c whose mean-shift target is estimated, (b, *d).
        bandwidth: kernel width h per row, units of z, (b,).
        noise: standard normal noise like center; the initial point is `noise_scale` times the largest noise level of
            the schedule times this.
        steps: DDIM steps, >= 1; one prior call per row each.
        cond: condition of the prior.
        interval: range of t on the prior's schedule in which the kernel term is active.
        noise_scale: factor on the initial noise; 1 is none.
    """
    times = prior.grid(steps).to(center)
    ones = torch.ones_like(bandwidth)
    if prior.schedule(torch.ones(1, dtype=ones.dtype))[0].item() == 0:
        times = times * _NOISIEST
    alpha, sigma = prior.schedule(times)
    noises = sigma / alpha
    z = noise_scale * noises[0] * noise
    for a, b in zip(noises[:-1], noises[1:], strict=True):
        z = z + (b - a) * prior.at(z, ones, a * ones, cond).eps
        acting = in_guidance_interval(interval, prior.schedule, ones, a * ones)
        contraction = torch.exp(-(a * a - b * b) / (2 * bandwidth**2))
        z = center + (z - center) * expand_like(torch.where(acting, contraction, ones), z)
    return z
