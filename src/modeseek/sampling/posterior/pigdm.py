"""PiGDM: guidance by the score of the measurement, with a Gaussian about the posterior mean."""

from __future__ import annotations

import torch

from modeseek.diffusion.prediction import Prediction, expand_like
from modeseek.priors.base import Prior, Rows
from modeseek.pytree import Cond
from modeseek.rng import Rng
from modeseek.sampling.posterior.measurement import Measurement
from modeseek.sampling.samplers import Level, Times, ancestral_step, level_pairs


def pigdm(
    prior: Prior,
    measurement: Measurement,
    z_t: Rows,
    times: Times,
    cond: Cond = None,
    *,
    rng: Rng,
    spread: float = 1.0,
    step: float = 1.0,
    eta: float = 1.0,
) -> Rows:
    """PiGDM (Song et al. 2023, ICLR, pseudoinverse-guided diffusion): the score of y given z_t added to the prior's.

    The image given z_t is taken as `N(x, r^2 I)`, x the decoded posterior mean, so that y is `N(A x, r^2 A A' + s^2 I)`
    and `grad log p(y | z_t) = (dx / dz_t)' A' (r^2 A A' + s^2 I)^-1 (y - A x)`. With `r^2 = sigma^2 c^2 / (sigma^2 +
    alpha^2 c^2)` it is exact for a prior `N(m, c^2 I)`, and so are the samples in the limit of many steps. The paper's
    algorithm adds `alpha r^2` times that gradient at every step, whatever its length; here the sampler's own steps
    weigh it, and `step` scales it.

    Args:
        prior: differentiable prior.
        measurement: measurement.
        z_t: noised points at times[0].
        times: descending times, (n + 1,) or (n + 1, b).
        cond: condition of the prior.
        rng: random numbers.
        spread: c, standard deviation of z under the prior, > 0; the paper's, for data of unit variance, is 1.
        step: factor of the measurement's score; 0 samples the prior.
        eta: share of the noise that is drawn anew, in [0, 1]; 0 is deterministic given z_t.

    Returns:
        z at times[-1]. n prior calls, n solves, and n vector-Jacobian products of prior and decoder.
    """
    for start, end in level_pairs(prior, z_t, times):
        p, score = measurement_score(prior, measurement, z_t, start, cond, spread)
        with torch.no_grad():
            z_t = ancestral_step(p.tilt(step * score), end, rng, eta)
    return z_t.detach()


def measurement_score(
    prior: Prior, measurement: Measurement, z_t: Rows, level: Level, cond: Cond, spread: float
) -> tuple[Prediction, Rows]:
    """Returns the prediction and `grad log p(y | z_t)`; 0 at alpha = 0, where z_t says nothing of the image."""
    with torch.enable_grad():
        point = z_t.detach().requires_grad_()
        p = prior.at(point, *level, cond)
        image = measurement.codec.decode(p.z)
        width = measurement.width(*level, spread)
        pull = measurement.update(image.detach(), width) / expand_like(width**2, image)
        score = torch.autograd.grad(image, point, pull)[0]
    return p, torch.where(expand_like(level[0], score) > 0, score, torch.zeros_like(score))
