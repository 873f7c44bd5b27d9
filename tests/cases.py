"""Shared test data in float64: every schedule, several mixtures, evaluation points."""

from __future__ import annotations

import math

import numpy as np
import oracles
import torch
from torch import Tensor

import modeseek as ms

F64 = torch.float64


def scaled_linear_table(n: int = 1000) -> np.ndarray:
    """alpha^2 at each training step of a latent diffusion model."""
    betas = np.linspace(math.sqrt(0.00085), math.sqrt(0.012), n) ** 2
    return np.cumprod(1 - betas)


def zero_terminal_table(n: int = 1000) -> np.ndarray:
    """The same table rescaled to zero terminal SNR (Lin et al. 2023, algorithm 1)."""
    roots = np.sqrt(scaled_linear_table(n))
    roots = (roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])
    return roots**2


SCHEDULES: dict[str, ms.schedules.Schedule] = {
    "vp": ms.VP(),
    "vp-linear": ms.VP.linear(),
    "cosine": ms.schedules.Cosine(),
    "cosine-shifted": ms.schedules.Cosine(shift=-1.4),
    "ve": ms.VE(),
    "ve-narrow": ms.VE(0.01, 20.0, rho=3.0),
    "flow": ms.Flow(),
    "flow-shifted": ms.Flow(shift=3.0),
    "discrete": ms.schedules.Discrete.from_alphas_cumprod(torch.tensor(scaled_linear_table())),
    "discrete-zero-snr": ms.schedules.Discrete.from_alphas_cumprod(torch.tensor(zero_terminal_table())),
    "scaled": ms.schedules.ScaledSchedule(ms.VP(), 2.5),
}
ZERO_SNR_SCHEDULES = ("cosine", "cosine-shifted", "flow", "flow-shifted", "discrete-zero-snr")
"""Schedules with alpha = 0 exactly at t = 1."""
ZERO_NOISE_SCHEDULES = ("vp", "vp-linear", "cosine", "cosine-shifted", "flow", "flow-shifted", "scaled")
"""Schedules with sigma = 0 exactly at t = 0."""


def rotated(values: list[float], seed: int) -> np.ndarray:
    """Covariance with these eigenvalues and random axes."""
    axes = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values),) * 2))[0]
    return axes @ np.diag(values) @ axes.T


def _mixture(weights: list[float], means: list[list[float]], covs: list[np.ndarray]) -> oracles.Mixture:
    return oracles.Mixture(np.array(weights), np.array(means), np.stack(covs))


MIXTURES: dict[str, oracles.Mixture] = {
    "line": _mixture([0.5, 0.2, 0.3], [[-1.5], [0.3], [2.0]], [np.array([[v]]) for v in (0.3, 0.05, 0.8)]),
    "plane": _mixture(
        [0.35, 0.25, 0.4],
        [[-1.0, 0.5], [1.2, 1.0], [0.3, -1.4]],
        [rotated([0.6, 0.03], 1), rotated([0.2, 0.1], 2), rotated([0.9, 0.05], 3)],
    ),
    "space": _mixture(
        [0.6, 0.4], [[0.5, -1.0, 0.2], [-1.0, 0.4, 1.5]], [rotated([0.5, 0.2, 0.02], 4), rotated([1.0, 0.3, 0.1], 5)]
    ),
    "far": _mixture([0.5, 0.5], [[-500.0, 0.0], [500.0, 300.0]], [rotated([1.0, 0.1], 6), rotated([0.5, 0.2], 7)]),
    "gauss": _mixture([1.0], [[0.7, -0.4]], [rotated([0.8, 0.15], 8)]),
}
LABELS: dict[str, list[int]] = {"line": [0, 1, 1], "plane": [0, 1, 0], "space": [1, 0], "far": [0, 1], "gauss": [0]}


def mixture(name: str, schedule: ms.schedules.Schedule | None = None, dtype: torch.dtype = F64) -> ms.GaussianMixture:
    """The library's prior of the oracle's mixture of this name, with its labels."""
    m = MIXTURES[name]
    parts = (torch.tensor(x, dtype=dtype) for x in (m.weights, m.means, m.covs))
    return ms.GaussianMixture(*parts, schedule=schedule, labels=torch.tensor(LABELS[name]))


def class_mixture(name: str, label: int) -> oracles.Mixture:
    """Mixture of the components with this label; -1 is all of them."""
    m, labels = MIXTURES[name], np.array(LABELS[name])
    keep = (labels == label) | (label == -1)
    return oracles.Mixture(m.weights[keep] / m.weights[keep].sum(), m.means[keep], m.covs[keep])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(n: int, d: int, seed: int = 0, spread: float = 1.5) -> Tensor:
    """n float64 points about the origin."""
    return spread * torch.randn(n, d, generator=generator(seed), dtype=F64)


def full(n: int, value: float) -> Tensor:
    return torch.full((n,), value, dtype=F64)


def level(schedule: ms.schedules.Schedule, t: float) -> tuple[float, float]:
    """alpha and sigma as numbers."""
    alpha, sigma = schedule(torch.tensor(t, dtype=F64))
    return float(alpha), float(sigma)


def posteriors(m: oracles.Mixture, z_t: Tensor, alpha: float, sigma: float) -> tuple[Tensor, Tensor]:
    """The oracle's z and eps of many points at one level."""
    answers = [oracles.posterior(m, x, alpha, sigma) for x in z_t.numpy()]
    z, eps = zip(*answers, strict=True)
    return torch.tensor(np.stack(z)), torch.tensor(np.stack(eps))


def error(got: Tensor, want: Tensor) -> float:
    """Largest absolute deviation, relative to the largest expected number (at least 1)."""
    assert got.shape == want.shape, (got.shape, want.shape)
    assert got.isfinite().all()
    return float((got - want).abs().max() / want.abs().max().clamp(min=1))


def one_line(error: BaseException) -> str:
    """Returns the message after asserting that it is one line."""
    text = str(error)
    assert text and "\n" not in text, text
    return text
