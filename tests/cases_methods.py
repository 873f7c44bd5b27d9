"""Class-conditional Gaussian prior, with closed forms for any sum of its branches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from cases_shift import SCHEDULES, generator, tensor
from oracles_shift import F64, level
from torch import Tensor

import modeseek as ms

MEANS = tensor([-1.0, 0.5], [1.2, -0.3], [0.2, 1.5])
VARIANCES = tensor([0.5, 0.1], [0.2, 0.9], [1.1, 0.3])
POSITIVE, NULL, NEGATIVE = 0, 1, 2
Z = tensor([0.4, -0.6], [1.0, 0.2], [-2.0, 0.7], [0.1, 3.0])
TIMES = (0.15, 0.4, 0.65, 0.9)
NAMES = ("VP", "Flow", "Cosine", "VE")


@dataclass(frozen=True)
class PerRow:
    """A separate time for each row, repeated over the batch."""

    t: tuple[float, ...] = TIMES

    def __call__(self, progress: float, n: int, rng: ms.Rng) -> Tensor:
        return torch.tensor(self.t, dtype=F64).repeat(n // len(self.t))


def class_prior(schedule: str = "VP") -> ms.GaussianMixture:
    """Three classes, one Gaussian each; a label of -1 is all of them."""
    covs = torch.diag_embed(VARIANCES)
    weights = tensor(0.2, 0.5, 0.3)
    return ms.GaussianMixture(weights, MEANS.clone(), covs, SCHEDULES[schedule], torch.tensor([0, 1, 2]))


def label_conditions(
    positive: int = POSITIVE, null: int | None = NULL, negative: int | None = NEGATIVE, source: int | None = None
) -> ms.Conditions:
    """Labels for the branches, the same for every item."""
    first, second, third, fourth = (
        None if label is None else torch.tensor([label]) for label in (positive, null, negative, source)
    )
    return ms.Conditions(first, second, third, source=fourth)


def levels(schedule: str, times: tuple[float, ...] = TIMES) -> tuple[Tensor, Tensor]:
    """alpha and sigma of the rows, (4, 1) each, from the schedules' definitions."""
    alpha, sigma = zip(*(level(schedule, t) for t in times), strict=True)
    return torch.tensor(alpha, dtype=F64)[:, None], torch.tensor(sigma, dtype=F64)[:, None]


def gain(label: int, alpha: Tensor, sigma: Tensor) -> Tensor:
    """A of `eps = A (z_t - alpha mean)`: the regression of the noise on the noised point of one Gaussian."""
    return sigma / (alpha**2 * VARIANCES[label] + sigma**2)


def eps_of(label: int, z_t: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """`E[eps | z_t]` of one class."""
    return gain(label, alpha, sigma) * (z_t - alpha * MEANS[label])


def per_signal(alpha: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """1 / (1 - s), s the noise share of the level in flow time."""
    return (alpha + sigma) / alpha


@dataclass(frozen=True)
class Velocity:
    """Flow model of one Gaussian, as velocities only: `E[n - z | z_t]` by regression."""

    label: int

    def __call__(self, z_t: torch.Tensor, s: float) -> torch.Tensor:
        variance = VARIANCES[self.label]
        total = (1 - s) ** 2 * variance + s**2
        return -MEANS[self.label] + (s - (1 - s) * variance) / total * (z_t - (1 - s) * MEANS[self.label])


def branch_sum(
    shares: Mapping[int, float], own: float, alpha: Tensor, sigma: Tensor, z: Tensor = Z
) -> tuple[Tensor, Tensor]:
    """Mean and factor of the noise in `sum_k share_k eps_k(alpha z + sigma n) + own n`."""
    mean, factor = torch.zeros_like(z), torch.full_like(z, own)
    for label, share in shares.items():
        a = gain(label, alpha, sigma)
        mean = mean + share * a * alpha * (z - MEANS[label])
        factor = factor + share * a * sigma
    return mean, factor


def step(method: ms.Method, prior: ms.Prior, z: Tensor, rng: ms.Rng | None = None, **given) -> ms.Direction:
    """One step's direction."""
    rng = generator() if rng is None else rng
    progress = given.pop("progress", 0.0)
    return method.step(z, prior, method.init(z, prior), progress=progress, rng=rng, **given)[0]


def check_moments(grads: Tensor, mean: Tensor, factor: Tensor) -> None:
    """Means and variances of n draws (n, 4, 2) within 4 standard errors, computed from what they should be."""
    n, std = len(grads), factor.abs()
    slack = 1e-9 * (1 + mean.abs())
    assert ((grads.mean(0) - mean).abs() <= 4 * std / n**0.5 + slack).all()
    assert ((grads.var(0) - std**2).abs() <= 4 * std**2 * (2 / n) ** 0.5 + slack).all()


def check_linear(method: ms.Method, prior: ms.Prior, mean: Tensor, factor: Tensor, n: int = 3000, **given) -> None:
    """`grad = mean + factor eps` row by row and draw by draw, with eps standard normal."""
    direction = step(method, prior, Z.repeat(n, 1), **given)
    eps, grads = direction.eps.reshape(n, 4, 2), direction.grad.reshape(n, 4, 2)
    assert torch.allclose(grads, mean + factor * eps, rtol=1e-9, atol=1e-9)
    check_moments(eps, torch.zeros_like(mean), torch.ones_like(mean))
    check_moments(grads, mean, factor)


def check_batch(method: ms.Method, prior: ms.Prior, conditions: ms.Conditions | None, z: Tensor = Z, **given) -> None:
    """Asserts that a batch of 4 equals 4 batches of 1, in any order, and that equal streams give equal directions."""

    def direction_of(rows: list[int]) -> ms.Direction:
        selected = conditions
        if selected is not None:
            parts = {
                name: getattr(selected, name).expand(4)[rows]
                for name in ("positive", "null", "negative", "source")
                if getattr(selected, name) is not None
            }
            selected = ms.Conditions(**parts)
        context = given["context"](rows) if "context" in given else None
        rng = ms.Streams(5, 2, tuple(rows))
        return step(method, prior, z[rows], rng, conditions=selected, context=context, progress=0.4)

    every = direction_of([0, 1, 2, 3])
    assert every.grad.shape == z.shape and every.grad.isfinite().all() and not every.grad.requires_grad
    assert torch.equal(every.grad, direction_of([0, 1, 2, 3]).grad)
    scale = float(every.grad.abs().max().clamp(min=1))
    for rows in ([0], [1], [2], [3], [2, 0, 3, 1]):
        subset = direction_of(rows)
        assert torch.allclose(subset.grad, every.grad[rows], rtol=0, atol=1e-12 * scale)
        for name in ("eps", "t"):
            part, whole = getattr(subset, name), getattr(every, name)
            assert (part is None) is (whole is None)
            assert part is None or torch.equal(part, whole[rows])


def count_calls(method: ms.Method, z: Tensor = Z, guided: float | None = None, schedule: str = "VP", **given) -> int:
    """Prior calls of one step."""
    counted = ms.Counting(class_prior(schedule))
    step(method, counted if guided is None else ms.Guided(counted, guided), z, **given)
    return counted.calls


def one_line(error: BaseException) -> str:
    """Returns the message after asserting that it is one line."""
    text = str(error)
    assert text and "\n" not in text, text
    return text
