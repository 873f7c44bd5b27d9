"""RED-diff: variational inference by a point, regularised by the denoiser."""

from __future__ import annotations

import torch

from modeseek.diffusion.prediction import expand_like
from modeseek.priors.base import Prior, Rows
from modeseek.pytree import Cond
from modeseek.rng import Rng, randn
from modeseek.sampling.posterior.measurement import Measurement
from modeseek.sampling.samplers import Times, level_pairs

_BETAS = (0.9, 0.99)  # of Adam, as in the paper


def red_diff(
    prior: Prior,
    measurement: Measurement,
    z: Rows,
    times: Times,
    cond: Cond = None,
    *,
    rng: Rng,
    weight: float = 0.25,
    rate: float = 0.1,
) -> Rows:
    """RED-diff (Mardani et al. 2024, arXiv 2305.04391): Adam on the data term and a score-matching regulariser.

    `|y - A decode(z)|^2 / 2 + weight (sigma / alpha) <eps(z_t) - eps, z>`, with `z_t = alpha z + sigma eps` and the
    predicted noise held fixed. It is a point estimate: no posterior variance. At a fixed level its mean for a Gaussian
    prior `N(m, c^2 I)` is that of the weight `weight h^2 / (c^2 + h^2)`, `h = sigma / alpha`, where the posterior's is
    `s^2 / c^2`: as the level falls the regulariser fades, and the result depends on rate and steps.

    Args:
        prior: prior.
        measurement: measurement; its noise is not used, the weight balances the terms.
        z: first estimate.
        times: descending times, (n + 1,) or (n + 1, b); the last is not evaluated.
        cond: condition of the prior.
        rng: random numbers.
        weight: weight of the regulariser, >= 0.
        rate: learning rate of Adam, in units of z, > 0.

    Returns:
        z. n prior calls and n vector-Jacobian products of the decoder; none of the prior.
    """
    estimate = z.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([estimate], lr=rate, betas=_BETAS)
    for (alpha, sigma), _ in level_pairs(prior, z, times):
        with torch.enable_grad():
            residual = measurement.residual(measurement.codec.decode(estimate))
            grad = torch.autograd.grad(residual.square().sum() / 2, estimate)[0]
        with torch.no_grad():
            eps = randn(tuple(z.shape), rng, z)
            z_t = expand_like(alpha, z) * estimate + expand_like(sigma, z) * eps
            p = prior.at(z_t, alpha, sigma, cond)
            h = sigma / alpha.clamp(min=torch.finfo(alpha.dtype).eps)
            estimate.grad = grad + weight * expand_like(h, z) * (p.eps - eps)
        optimizer.step()
    return estimate.detach()
