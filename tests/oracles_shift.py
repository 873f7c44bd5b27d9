"""Ground truth for mean shift and the methods: brute force, quadrature, closed forms in float64, without modeseek."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

F64 = torch.float64


class Mixture(NamedTuple):
    """`sum_k w_k N(mu_k, Sigma_k)`."""

    weights: Tensor
    means: Tensor
    covs: Tensor


@cache
def level(schedule: str, t: float) -> tuple[float, float]:
    """`alpha, sigma` at time t of the default schedules, from their definitions."""
    if schedule == "VP":
        nodes, weights = np.polynomial.legendre.leggauss(8)  # beta is a quadratic in t: exact
        u = (nodes + 1) / 2 * t
        beta = (math.sqrt(0.85) + u * (math.sqrt(12.0) - math.sqrt(0.85))) ** 2
        integral = float((weights * beta).sum() * t / 2)
        return math.exp(-integral / 2), math.sqrt(1 - math.exp(-integral))
    if schedule == "Cosine":
        return math.cos(t * math.pi / 2), math.sin(t * math.pi / 2)
    if schedule == "Flow":
        return 1 - t, t
    if schedule == "VE":
        low, high = 0.002 ** (1 / 7), 80.0 ** (1 / 7)
        return 1.0, (low + t * (high - low)) ** 7
    raise KeyError(schedule)


def noised(mixture: Mixture, alpha: float, sigma: float) -> Mixture:
    """The law of `alpha z + sigma n`."""
    d = mixture.means.shape[1]
    eye = torch.eye(d, dtype=F64)
    return Mixture(mixture.weights, alpha * mixture.means, alpha**2 * mixture.covs + sigma**2 * eye)


def log_joint(mixture: Mixture, z: Tensor) -> Tensor:
    """`log w_k N(z; mu_k, Sigma_k)`, (n, k), one component after the other."""
    columns = []
    for w, mean, cov in zip(*mixture, strict=True):
        away = z - mean
        distance = (away @ torch.linalg.inv(cov) * away).sum(-1)
        log_det = torch.log(torch.linalg.det(2 * math.pi * cov))
        columns.append(torch.log(w) - 0.5 * distance - 0.5 * log_det)
    return torch.stack(columns, -1)


def log_density(mixture: Mixture, z: Tensor, h: float = 0.0) -> Tensor:
    """`log (p * N(0, h^2 I))(z)`."""
    return torch.logsumexp(log_joint(noised(mixture, 1.0, h), z), -1)


def posterior(mixture: Mixture, z: Tensor, h: float) -> tuple[Tensor, Tensor]:
    """Mean (n, d) and covariance (n, d, d) of `q(y) ~ p(y) N(y; z, h^2 I)`, component by component."""
    share = torch.softmax(log_joint(noised(mixture, 1.0, h), z), -1)
    eye = torch.eye(z.shape[1], dtype=F64)
    means, covs = [], []
    for mean, cov in zip(mixture.means, mixture.covs, strict=True):
        precision = torch.linalg.inv(cov) + eye / h**2
        covs.append(torch.linalg.inv(precision))
        means.append(torch.linalg.solve(precision, (torch.linalg.inv(cov) @ mean + z / h**2).T).T)
    mean = sum(share[:, k, None] * means[k] for k in range(len(means)))
    outer = [(means[k] - mean)[:, :, None] * (means[k] - mean)[:, None, :] for k in range(len(means))]
    cov = sum(share[:, k, None, None] * (covs[k] + outer[k]) for k in range(len(means)))
    return mean, cov


def posterior_by_quadrature(mixture: Mixture, z: Tensor, h: float, half: float = 10.0) -> tuple[Tensor, Tensor]:
    """The same in two dimensions by the trapezoidal rule on a grid, of the definition of q."""
    axis = torch.linspace(-half, half, 501, dtype=F64)
    y = torch.cartesian_prod(axis, axis)
    log_p = torch.logsumexp(log_joint(mixture, y), -1)
    means, covs = [], []
    for c in z:
        weight = torch.softmax(log_p - ((y - c) ** 2).sum(1) / (2 * h**2), 0)
        mean = weight @ y
        means.append(mean)
        covs.append((y - mean).T @ (weight[:, None] * (y - mean)))
    return torch.stack(means), torch.stack(covs)


def noise_average(f: Callable[[Tensor], Tensor], half: float = 8.5, n: int = 171) -> Tensor:
    """`E[f(n)]` over two-dimensional standard normal n, trapezoidal; f maps (m, 2) to (m, ...)."""
    axis = torch.linspace(-half, half, n, dtype=F64)
    points = torch.cartesian_prod(axis, axis)
    weight = torch.softmax(-0.5 * (points**2).sum(1), 0)
    return torch.tensordot(weight, f(points), 1)


def gradient(f: Callable[[Tensor], Tensor], z: Tensor, step: float = 1e-3) -> Tensor:
    """Fourth-order central differences of a scalar function of one point (d,)."""
    out = torch.zeros_like(z)
    for i in range(len(z)):
        e = torch.zeros_like(z)
        e[i] = step
        out[i] = (8 * (f(z + e) - f(z - e)) - (f(z + 2 * e) - f(z - 2 * e))) / (12 * step)
    return out


def modes(mixture: Mixture, h: float, starts: Tensor) -> Tensor:
    """Local maxima of log p_h reached from each start by Newton's method with trust regions, then polished."""
    found = []
    for start in starts:

        def value(x: np.ndarray) -> float:
            return -float(log_density(mixture, torch.from_numpy(x)[None], h))

        def slope(x: np.ndarray) -> np.ndarray:
            point = torch.from_numpy(x)[None]
            return ((point - posterior(mixture, point, h)[0]) / h**2)[0].numpy()

        def curvature(x: np.ndarray) -> np.ndarray:
            cov = posterior(mixture, torch.from_numpy(x)[None], h)[1][0]
            return ((torch.eye(len(x), dtype=F64) - cov / h**2) / h**2).numpy()

        x = minimize(value, start.numpy(), jac=slope, hess=curvature, method="trust-exact").x
        for _ in range(5):
            x = x - np.linalg.solve(curvature(x), slope(x))
        found.append(torch.from_numpy(x))
    return torch.stack(found)


def kernel_sums(samples: Tensor, z: Tensor, h: float) -> tuple[Tensor, Tensor]:
    """The classical Gaussian kernel mean of samples (n, d) at each z (b, d), and the log density estimate there."""
    n, d = samples.shape
    means, log_p = [], []
    for c in z:
        exponent = -((samples - c) ** 2).sum(1) / (2 * h**2)
        top = exponent.max()
        weight = torch.exp(exponent - top)
        means.append((weight[:, None] * samples).sum(0) / weight.sum())
        log_p.append(top + torch.log(weight.sum() / n) - d / 2 * math.log(2 * math.pi * h**2))
    return torch.stack(means), torch.stack(log_p)


def mean_shift_path(samples: Tensor, start: Tensor, h: float, tol: float, max_steps: int) -> tuple[Tensor, int, bool]:
    """Plain mean shift from one start (d,): end point, number of kernel sums, and whether it converged."""
    z, unit = start.clone(), h * math.sqrt(len(start))
    for step in range(1, max_steps + 1):
        ahead = kernel_sums(samples, z[None], h)[0][0]
        if float((ahead - z).norm()) <= tol * unit:
            return z, step, True
        if step == max_steps:
            return z, step, False
        z = ahead
    raise AssertionError


def kernel_score_walk(
    mixture: Mixture, center: Tensor, h: float, z: Tensor, noises: list[float], acting: list[bool]
) -> Tensor:
    """The published sampler for one point, from z at noises[0]: Euler on the prior's flow, then the contraction."""
    for a, b, on in zip(noises[:-1], noises[1:], acting, strict=True):
        score = (posterior(mixture, z[None], a)[0][0] - z) / a**2
        z = z - a * (b - a) * score
        if on:
            z = center + (z - center) * math.exp((b**2 - a**2) / (2 * h**2))
    return z


def inversion_moments(mean: float, std: float, z: float, levels: list[tuple[float, float]], eta: float) -> Tensor:
    """Mean and variance of z_t after DDIM inversion of z with fresh noise under N(mean, std^2), from clean up."""
    m, v = z, 0.0
    for (a, s), (a_next, s_next) in zip(levels[:-1], levels[1:], strict=True):
        total = a**2 * std**2 + s**2
        ratio = (a_next**2 / s_next**2) * (s**2 / a**2)
        fresh = eta * s * math.sqrt(1 - ratio)
        kept = math.sqrt(s_next**2 - fresh**2)
        gain = a_next * a * std**2 / total + kept * s / total
        m = a_next * mean + gain * (m - a * mean)
        v = gain**2 * v + fresh**2
    return torch.tensor([m, v], dtype=F64)


def clock_ratio(t: float) -> float:
    """sigma / alpha at a time of Stable Diffusion's schedule, from the integral of its rate."""
    a, c = math.sqrt(0.85), math.sqrt(12.0) - math.sqrt(0.85)
    return math.sqrt(math.expm1(((a + c * t) ** 3 - a**3) / (3 * c)))


def ratio_at(schedule: str, t: float) -> float:
    """sigma / alpha at a time of a schedule."""
    alpha, sigma = level(schedule, t)
    return math.inf if alpha == 0 else sigma / alpha


def clock_of(schedule: str, t: float) -> float:
    """Time of a schedule on Stable Diffusion's clock, at most 2, by bisection of levels."""
    return bisect(clock_ratio, ratio_at(schedule, t), 2.0)


@cache
def at_clock(schedule: str, clock: float) -> float:
    """The time of a schedule at a time on Stable Diffusion's clock; its nearest end if beyond."""
    return bisect(lambda t: ratio_at(schedule, t), clock_ratio(max(0.0, clock)), 1.0)


def moved(schedule: str, t: float, difference: float) -> float:
    """The time of a schedule that is later by a difference of time on Stable Diffusion's."""
    return at_clock(schedule, clock_of(schedule, t) + difference)


def bisect(rising: Callable[[float], float], value: float, end: float) -> float:
    """Where a rising function on [0, end] has a value; the nearest end if it has it nowhere."""
    low, high = 0.0, end
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < value else (low, middle)
    return (low + high) / 2
