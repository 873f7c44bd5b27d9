"""Log-likelihood of samples by the probability-flow ODE."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.priors.base import Prior
from modeseek.pytree import Cond
from modeseek.rng import Rng, randn
from modeseek.sampling.samplers import level_pairs

_EXACT_UP_TO = 16  # dimensions whose trace is summed exactly
_NOISIEST = 0.998  # time of the noisiest default level, short of alpha = 0


def log_likelihood(
    prior: Prior,
    z: Float[Tensor, "b *d"],
    cond: Cond = None,
    times: Float[Tensor, "n"] | None = None,
    *,
    rng: Rng | None = None,
    probes: int = 1,
    steps: int = 64,
) -> Float[Tensor, "b"]:
    """`log p(z)` by the instantaneous change of variables (Chen et al. 2018, arXiv 1806.07366; Song et al. 2021).

    In x = z_t / alpha, h = sigma / alpha the flow is `dx/dh = eps`, so `log p_0(x_0) = log p_T(x_T) + int div eps dh`,
    integrated by Runge-Kutta 4 from times[-1] (the noise level of z) up to times[0]. There p_T is the Gaussian
    whose denoiser has the prior's value and Jacobian at x_T: exact for Gaussian data, second order in 1/h otherwise.
    The divergence is an exact trace up to 16 dimensions, Hutchinson's estimate with `probes` Rademacher vectors above.

    Args:
        prior: differentiable, unguided prior; a guided one has no density of its own.
        z: points, float64 for more than about five digits.
        cond: condition of the prior, leading axis b or 1.
        times: descending times, (n + 1,), times[0] < 1 where alpha is 0 there; default `steps` steps, uniform in the
            fifth root of h, from just short of pure noise to the cleanest level.
        rng: random generator of the probes; required above 16 dimensions.
        probes: number of Hutchinson vectors, >= 1, held fixed along the flow.
        steps: number n of Runge-Kutta steps, >= 1, where `times` is not given.

    Returns:
        (b,) log density, in nats. Costs 4n prior calls and as many times `d` or `probes` Jacobian products.

    Raises:
        ValueError: more than 16 dimensions without rng, no probes, or no steps.
    """
    d = z[0].numel()
    if probes < 1 or steps < 1:
        raise ValueError(f"log_likelihood needs probes and steps >= 1: got {probes} and {steps}; raise them")
    if d > _EXACT_UP_TO and rng is None:
        raise ValueError(
            f"log_likelihood above {_EXACT_UP_TO} dimensions draws probes: got d={d} and no rng; pass rng=..."
        )
    grid = _default_times(prior, z, steps) if times is None else times
    if rng is None or d <= _EXACT_UP_TO:
        vectors = torch.eye(d, dtype=z.dtype, device=z.device).reshape(d, 1, *z.shape[1:]).expand(d, *z.shape)
    else:
        vectors = torch.stack([randn(tuple(z.shape), rng, z).sign() for _ in range(probes)])

    def field(x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Returns eps at x, and its Jacobian's products with each vector: (k, b, *d)."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            eps = prior.at(x, torch.ones_like(h), h, cond).eps
            products = [torch.autograd.grad(eps, x, v, retain_graph=True)[0] for v in vectors]
        return eps.detach(), torch.stack(products)

    def trace(products: Tensor) -> Tensor:
        total = (products * vectors).flatten(2).sum((0, 2))
        return total if d <= _EXACT_UP_TO else total / len(vectors)

    pairs = list(level_pairs(prior, z, grid))
    alpha, sigma = pairs[-1][1]
    x, log_p = z / expand_like(alpha, z), -d * alpha.log()
    h = sigma / alpha
    for (alpha, sigma), _ in reversed(pairs):
        width = sigma / alpha - h
        stage, slopes, traces = x, [], []
        for fraction in (0.0, 0.5, 0.5, 1.0):
            if slopes:
                stage = x + expand_like(fraction * width, x) * slopes[-1]
            slope, products = field(stage, h + fraction * width)
            slopes.append(slope)
            traces.append(trace(products))
        x = x + expand_like(width / 6, x) * (slopes[0] + 2 * slopes[1] + 2 * slopes[2] + slopes[3])
        log_p = log_p + width / 6 * (traces[0] + 2 * traces[1] + 2 * traces[2] + traces[3])
        h = sigma / alpha
    eps, products = field(x, h)
    jacobian = products.flatten(2).transpose(0, 1) if d <= _EXACT_UP_TO else None  # (b, d, d)
    return log_p + _terminal(eps.flatten(1), h, trace(products), jacobian)


def _terminal(eps: Tensor, h: Tensor, trace: Tensor, jacobian: Tensor | None) -> Tensor:
    """Returns the log density of the Gaussian whose posterior noise at level h has this value and Jacobian J.

    Its covariance is `h J^-1` and its mean is at distance `J^-1 eps`; without J, J is `trace / d` times the identity.
    """
    d = eps.shape[1]
    if jacobian is None:
        share = trace / d
        return -0.5 * (eps.square().sum(1) / (share * h) + d * (2 * math.pi * h / share).log())
    j = (jacobian + jacobian.mT) / 2
    distance = (eps * torch.linalg.solve(j, eps)).sum(1) / h
    return -0.5 * (distance + d * (2 * math.pi * h).log() - torch.linalg.slogdet(j)[1])


def _default_times(prior: Prior, z: Tensor, steps: int) -> Tensor:
    """Returns steps + 1 descending times, uniform in a fifth root of h, down to the schedule's cleanest level."""
    ends = torch.tensor([_NOISIEST, 0.0], dtype=z.dtype, device=z.device)
    alpha, sigma = prior.schedule(ends)
    top, bottom = (sigma / alpha) ** (1 / 5)
    h = torch.lerp(top, bottom, torch.linspace(0, 1, steps + 1, dtype=z.dtype, device=z.device)) ** 5
    times = prior.schedule.t_of(-2 * h.log())
    return torch.cat([ends[:1], times[1:-1], ends[1:]])
