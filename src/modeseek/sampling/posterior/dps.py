"""DPS: diffusion posterior sampling by the gradient of the residual."""

from __future__ import annotations

import torch

from modeseek.priors.base import Prior, Rows
from modeseek.pytree import Cond
from modeseek.rng import Rng
from modeseek.sampling.posterior.measurement import Measurement
from modeseek.sampling.samplers import Times, ancestral_step, level_pairs


def dps(
    prior: Prior,
    measurement: Measurement,
    z_t: Rows,
    times: Times,
    cond: Cond = None,
    *,
    rng: Rng,
    step: float = 1.0,
) -> Rows:
    """DPS (Chung et al. 2023, arXiv 2209.14687): ancestral steps, each with one of gradient descent on the residual.

    `z_s <- ddpm(z_t) - step grad_{z_t} |y - A decode(D(z_t))|`, with D the posterior mean. The gradient of the norm
    makes steps independent of the size of the residual, as in the paper, whose step size is half of `step`. The noise
    of y is not used, so that neither mean nor variance is the posterior's, for Gaussians either.

    Args:
        prior: differentiable prior.
        measurement: measurement.
        z_t: noised points at times[0].
        times: descending times, (n + 1,) or (n + 1, b).
        cond: condition of the prior.
        rng: random numbers.
        step: step size, in units of z_t per unit of the residual's gradient, >= 0; 0 samples the prior.

    Returns:
        z at times[-1]. n prior calls and n vector-Jacobian products of prior and decoder.
    """
    for start, end in level_pairs(prior, z_t, times):
        with torch.enable_grad():
            point = z_t.detach().requires_grad_()
            p = prior.at(point, *start, cond)
            residual = measurement.residual(measurement.codec.decode(p.z)).flatten(1)
            grad = torch.autograd.grad(torch.linalg.vector_norm(residual, dim=1).sum(), point)[0]
        with torch.no_grad():
            z_t = ancestral_step(p, end, rng) - step * grad
    return z_t.detach()
