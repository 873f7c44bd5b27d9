"""Ground truth for priors and samplers: closed forms, quadrature and brute force in float64, without modeseek."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import integrate, linalg, special

Array = np.ndarray
Level = tuple[float, float]
"""alpha and sigma."""


@dataclass(frozen=True)
class Mixture:
    """A Gaussian mixture: weights (k,), means (k, d), covs (k, d, d)."""

    weights: Array
    means: Array
    covs: Array

    @property
    def mean(self) -> Array:
        return self.weights @ self.means

    @property
    def cov(self) -> Array:
        spread = self.means - self.mean
        return np.einsum("k,kij->ij", self.weights, self.covs + spread[:, :, None] * spread[:, None])


def gaussian_log_prob(x: Array, mean: Array, cov: Array) -> float:
    """log N(x; mean, cov) by Cholesky."""
    factor = linalg.cholesky(cov, lower=True)
    y = linalg.solve_triangular(factor, x - mean, lower=True)
    return float(-0.5 * y @ y - np.log(np.diag(factor)).sum() - 0.5 * len(x) * math.log(2 * math.pi))


def noised(m: Mixture, alpha: float, sigma: float) -> Mixture:
    """The law of alpha z + sigma eps."""
    return Mixture(m.weights, alpha * m.means, alpha**2 * m.covs + sigma**2 * np.eye(m.means.shape[1]))


def log_prob(m: Mixture, x: Array) -> float:
    """The log density of one point (d,)."""
    terms = [gaussian_log_prob(x, mu, cov) for mu, cov in zip(m.means, m.covs, strict=True)]
    with np.errstate(divide="ignore"):
        return float(special.logsumexp(np.array(terms) + np.log(m.weights)))


def posterior(m: Mixture, z_t: Array, alpha: float, sigma: float) -> tuple[Array, Array]:
    """E[z | z_t] and E[eps | z_t] of one point (d,): regression in each component, joined by Bayes' rule."""
    law = noised(m, alpha, sigma)
    with np.errstate(divide="ignore"):
        joint = np.log(m.weights) + [gaussian_log_prob(z_t, a, c) for a, c in zip(law.means, law.covs, strict=True)]
    share = special.softmax(joint)
    z, eps = np.zeros_like(z_t), np.zeros_like(z_t)
    for w, mu, cov, centre, total in zip(share, m.means, m.covs, law.means, law.covs, strict=True):
        y = np.linalg.solve(total, z_t - centre)
        z = z + w * (mu + alpha * cov @ y)
        eps = eps + w * sigma * y
    return z, eps


def times_kernel(m: Mixture, center: Array, bandwidth: float) -> Mixture:
    """p(y) N(y; center, h^2 I), normalised: each component by adding precisions."""
    eye = np.eye(len(center))
    precisions = [np.linalg.inv(cov) + eye / bandwidth**2 for cov in m.covs]
    covs = np.stack([np.linalg.inv(p) for p in precisions])
    means = np.stack(
        [
            c @ (np.linalg.solve(cov, mu) + center / bandwidth**2)
            for c, cov, mu in zip(covs, m.covs, m.means, strict=True)
        ]
    )
    logs = np.log(m.weights) + [
        gaussian_log_prob(center, mu, cov + bandwidth**2 * eye) for mu, cov in zip(m.means, m.covs, strict=True)
    ]
    return Mixture(special.softmax(logs), means, covs)


def gradient(f: Callable[[Array], float], x: Array, step: float) -> Array:
    """The gradient by fourth-order central differences."""
    out = np.zeros_like(x)
    for i in range(len(x)):
        e = np.zeros_like(x)
        e[i] = step
        out[i] = (8 * (f(x + e) - f(x - e)) - (f(x + 2 * e) - f(x - 2 * e))) / (12 * step)
    return out


@dataclass(frozen=True)
class Grid:
    """Trapezoidal quadrature on a box: exponentially accurate for smooth densities that vanish at its faces."""

    points: Array
    weight: float

    @classmethod
    def around(cls, low: list[float], high: list[float], n: int) -> Grid:
        axes = [np.linspace(a, b, n) for a, b in zip(low, high, strict=True)]
        points = np.stack([x.ravel() for x in np.meshgrid(*axes, indexing="ij")], 1)
        return cls(points, math.prod(float(x[1] - x[0]) for x in axes))

    def log_density(self, m: Mixture) -> Array:
        """The mixture's log density at every node, vectorised."""
        terms = []
        for w, mu, cov in zip(m.weights, m.means, m.covs, strict=True):
            y = (self.points - mu) @ np.linalg.inv(cov)
            quadratic = (y * (self.points - mu)).sum(1)
            terms.append(math.log(w) - 0.5 * (quadratic + np.linalg.slogdet(2 * math.pi * cov)[1]))
        return special.logsumexp(np.stack(terms), axis=0)

    def log_noised_density(self, log_p: Array, z_t: Array, alpha: float, sigma: float) -> float:
        """log of the integral of p(z) N(z_t; alpha z, sigma^2 I) dz."""
        return float(special.logsumexp(log_p + self._kernel(z_t, alpha, sigma)) + math.log(self.weight))

    def posterior_mean(self, log_p: Array, z_t: Array, alpha: float, sigma: float) -> Array:
        """E[z | z_t]."""
        return special.softmax(log_p + self._kernel(z_t, alpha, sigma)) @ self.points

    def _kernel(self, z_t: Array, alpha: float, sigma: float) -> Array:
        distance = ((z_t - alpha * self.points) ** 2).sum(1)
        return -0.5 * distance / sigma**2 - len(z_t) * math.log(sigma * math.sqrt(2 * math.pi))


def kernel_logits(data: Array, z_t: Array, alpha: float, sigma: float) -> Array:
    """-|z_t - alpha z_i|^2 / (2 sigma^2) of one point, by subtraction."""
    difference = (z_t - alpha * data.astype(np.float64)).reshape(len(data), -1)
    return -0.5 * (difference**2).sum(1) / sigma**2


def kernel_mean(data: Array, z_t: Array, alpha: float, sigma: float) -> Array:
    """The classical mean-shift target: the Gaussian kernel mean of a data set (n, *d) about one point (*d)."""
    weights = special.softmax(kernel_logits(data, z_t, alpha, sigma))
    return np.einsum("n,n...->...", weights, data.astype(np.float64))


def kernel_log_prob(data: Array, z_t: Array, alpha: float, sigma: float) -> float:
    """The log density of the noised data set at one point."""
    logits = kernel_logits(data, z_t, alpha, sigma)
    return float(special.logsumexp(logits) - math.log(len(data)) - z_t.size * math.log(sigma * math.sqrt(2 * math.pi)))


def gaussian_flow(z_t: Array, mean: Array, cov: Array, start: Level, end: Level) -> Array:
    """The probability flow of N(mean, cov) from one level to another, of points (b, d), in closed form.

    `(alpha^2 cov + sigma^2 I)^(-1/2) (z_t - alpha mean)` is constant along it.
    """
    values, axes = linalg.eigh(cov)
    before = np.sqrt(start[0] ** 2 * values + start[1] ** 2)
    after = np.sqrt(end[0] ** 2 * values + end[1] ** 2)
    return end[0] * mean + ((z_t - start[0] * mean) @ axes * (after / before)) @ axes.T


def flow(m: Mixture, z_t: Array, start: Level, end: Level) -> Array:
    """The probability flow of a mixture, of one point (d,), by an adaptive eighth-order integrator."""

    def field(h: float, x: Array) -> Array:
        return posterior(m, x, 1.0, h)[1]

    span = (start[1] / start[0], end[1] / end[0])
    solution = integrate.solve_ivp(field, span, z_t / start[0], method="DOP853", rtol=1e-11, atol=1e-12)
    return end[0] * solution.y[:, -1]


def ddpm_moments(mean: Array, cov: Array, levels: list[Level]) -> tuple[Array, Array]:
    """Mean and covariance of ancestral sampling's end points when the data are N(mean, cov): every step is affine."""
    eye = np.eye(len(mean))
    centre, spread = levels[0][0] * mean, levels[0][0] ** 2 * cov + levels[0][1] ** 2 * eye
    for (a, s), (b, r) in zip(levels[:-1], levels[1:], strict=True):
        total = np.linalg.inv(a**2 * cov + s**2 * eye)
        fresh = r**2 * (1 - (a * r / (b * s)) ** 2)
        step = b * a * cov @ total + math.sqrt(r**2 - fresh) * s * total
        centre = step @ (centre - a * mean) + b * mean
        spread = step @ spread @ step.T + fresh * eye
    return centre, spread


def blurred_log_density(m: Mixture, z: Array, bandwidth: float, n: int = 60) -> float:
    """E_n[log p_h(z + h n)], the density that SDS maximises, by Gauss-Hermite quadrature (d = 1 or 2)."""
    nodes, weights = special.roots_hermitenorm(n)
    weights = weights / weights.sum()
    law, total = noised(m, 1.0, bandwidth), 0.0
    for index in np.ndindex(*(n,) * len(z)):
        w = math.prod(weights[i] for i in index)
        if w > 1e-18:
            total += w * log_prob(law, z + bandwidth * nodes[list(index)])
    return total


def vp_level(beta: Callable[[float], float], t: float) -> Level:
    """alpha and sigma of the variance-preserving diffusion with rate beta, by quadrature."""
    integral = integrate.quad(beta, 0.0, t, epsabs=1e-13, epsrel=1e-13)[0]
    return math.exp(-integral / 2), math.sqrt(-math.expm1(-integral))
