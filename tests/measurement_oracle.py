"""Posterior of a Gaussian mixture under a linear measurement, in NumPy: a mixture, by the update of each component."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def objective(mixture: tuple[Array, Array, Array], z: Array, h: Array, matrix: Array, y: Array, s: Array) -> Array:
    """`log p_h(z) + log N(y; A z, s^2 I)` of many rows, each with its own h, y and s."""
    weights, means, covs = mixture
    gap = z[:, None] - means  # (b, k, d)
    wide = covs + (h * h)[:, None, None, None] * np.eye(z.shape[1])
    quadratic = np.einsum("bki,bkij,bkj->bk", gap, np.linalg.inv(wide), gap)
    joint = np.log(weights) - 0.5 * (quadratic + np.linalg.slogdet(2 * np.pi * wide)[1])
    top = joint.max(1, keepdims=True)
    misfit = ((z @ matrix.T - y) ** 2).sum(1)
    log_noise = 0.5 * y.shape[1] * np.log(2 * np.pi * s * s)
    return top[:, 0] + np.log(np.exp(joint - top).sum(1)) - misfit / (2 * s * s) - log_noise


@dataclass(frozen=True)
class MixturePosterior:
    """Mixture that is the posterior of a mixture smoothed by a kernel: unnormalised weights, means and precisions."""

    log_weights: Array
    means: Array
    precisions: Array

    @classmethod
    def of(
        cls, weights: Array, means: Array, covs: Array, h: float, matrix: Array, y: Array, s: float
    ) -> MixturePosterior:
        """The posterior `sum_k w_k N(z; mu_k, C_k + h^2 I) N(y; A z, s^2 I)`."""
        d, e = means.shape[1], len(y)
        log_w, new_means, precisions = [], [], []
        for w, mean, cov in zip(weights, means, covs, strict=True):
            wide = np.linalg.inv(cov + h * h * np.eye(d))
            precision = wide + matrix.T @ matrix / s**2
            evidence = matrix @ (cov + h * h * np.eye(d)) @ matrix.T + s * s * np.eye(e)
            gap = y - matrix @ mean
            log_det = np.linalg.slogdet(2 * np.pi * evidence)[1]
            log_w.append(np.log(w) - 0.5 * (gap @ np.linalg.solve(evidence, gap) + log_det))
            new_means.append(np.linalg.solve(precision, wide @ mean + matrix.T @ y / s**2))
            precisions.append(precision)
        return cls(np.array(log_w), np.array(new_means), np.array(precisions))

    def log_joint(self, z: Array) -> Array:
        """`log (w_k N(z; m_k, P_k^-1))` of each component."""
        gap = z - self.means
        quadratic = np.einsum("ki,kij,kj->k", gap, self.precisions, gap)
        return self.log_weights + 0.5 * (np.linalg.slogdet(self.precisions / (2 * np.pi))[1] - quadratic)

    def log_prob(self, z: Array) -> float:
        """`log p_h(z) + log p(y | z)`."""
        joint = self.log_joint(z)
        top = joint.max()
        return float(top + np.log(np.exp(joint - top).sum()))

    def derivatives(self, z: Array) -> tuple[Array, Array]:
        """Gradient and Hessian of `log_prob`."""
        joint = self.log_joint(z)
        share = np.exp(joint - joint.max())
        share /= share.sum()
        slopes = -np.einsum("kij,kj->ki", self.precisions, z - self.means)
        slope = share @ slopes
        second = np.einsum("k,kij->ij", share, slopes[:, :, None] * slopes[:, None] - self.precisions)
        return slope, second - np.outer(slope, slope)

    def mode_near(self, z: Array, steps: int = 50) -> Array:
        """The stationary point that Newton's method reaches from z."""
        for _ in range(steps):
            slope, second = self.derivatives(z)
            z = z - np.linalg.solve(second, slope)
        return z
