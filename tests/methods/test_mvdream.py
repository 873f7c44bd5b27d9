"""MVDream: reconstruction of groups of views against the closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from cases import one_line
from cases_shift import SCHEDULES, components, gaussian, generator, prior_of, tensor, three_gaussians
from oracles_shift import F64, level, posterior
from torch import Tensor

import modeseek as ms
from modeseek.methods.mvdream import MVDream, Opening

MEAN, VARIANCE = 1.5, 0.49
LABELS = [0, 0, 1]
NULL = torch.tensor([-1])


@dataclass(frozen=True)
class PerRow:
    """A separate time for each row."""

    t: tuple[float, ...]

    def __call__(self, progress: float, n: int, rng: ms.Rng) -> Tensor:
        return torch.tensor(self.t, dtype=F64)


def denoised(z_t: Tensor, alpha: float, sigma: float, label: int) -> np.ndarray:
    """E[z | z_t] of the three components or of those with a label, (n, d)."""
    part = (
        three_gaussians()
        if label < 0
        else components(three_gaussians(), [i for i, x in enumerate(LABELS) if x == label])
    )
    return posterior(part, z_t / alpha, sigma / alpha)[0].numpy()


@pytest.mark.parametrize("schedule", ["VP", "Flow", "Cosine"])
def test_the_mean_and_the_variance_of_the_closed_form(schedule: str) -> None:
    """z - z_hat of N(m, v): affine in the noise, at two levels in one batch."""
    n, times, points = 20_000, (0.2, 0.7), (0.4, 3.0)
    z = tensor(*points).repeat_interleave(n)[:, None]
    prior = prior_of(gaussian([MEAN], [[VARIANCE]]), SCHEDULES[schedule])
    method = MVDream(views=1, times=PerRow(tuple(t for t in times for _ in range(n))))
    d, _ = method.step(z, prior, None, progress=0.5, rng=generator())
    for t, point, got in zip(times, points, d.grad[:, 0].split(n), strict=True):
        alpha, sigma = level(schedule, t)
        gain = alpha * VARIANCE / (alpha**2 * VARIANCE + sigma**2)
        mean, variance = (1 - gain * alpha) * (point - MEAN), (gain * sigma) ** 2
        assert abs(float(got.mean()) - mean) <= 4 * math.sqrt(variance / n)
        assert abs(float(got.var()) - variance) <= 4 * variance * math.sqrt(2 / n)


@pytest.mark.parametrize("schedule", ["VP", "Flow"])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_groups_share_their_level_and_their_spread(schedule: str, share: float) -> None:
    z, labels = 1.5 * torch.randn(6, 2, generator=generator(1), dtype=F64), [0, 1, 1, 1, 0, 0]
    times, s = (0.3, 0.9, 0.1, 0.6, 0.2, 0.5), 6.0
    conditions = ms.Conditions(torch.tensor(labels), null=NULL)
    method = MVDream(views=3, scale=s, rescale=share, times=PerRow(times), weight=ms.sigma_squared)
    d, _ = method.step(
        z,
        prior_of(three_gaussians(), SCHEDULES[schedule], LABELS),
        None,
        conditions=conditions,
        progress=0.0,
        rng=generator(),
    )
    assert d.t.tolist() == [0.3] * 3 + [0.6] * 3
    for rows, t in ((range(3), 0.3), (range(3, 6), 0.6)):
        alpha, sigma = level(schedule, t)
        z_t = [alpha * z[i : i + 1] + sigma * d.eps[i : i + 1] for i in rows]
        plain = np.concatenate([denoised(x, alpha, sigma, labels[i]) for i, x in zip(rows, z_t, strict=True)])
        base = np.concatenate([denoised(x, alpha, sigma, -1) for x in z_t])
        mixed = base + s * (plain - base)
        mixed = share * mixed * plain.std(ddof=1) / mixed.std(ddof=1) + (1 - share) * mixed
        np.testing.assert_allclose(d.grad[list(rows)].numpy(), sigma**2 * (z[list(rows)].numpy() - mixed), atol=1e-9)


def test_without_rescale_it_is_sds_of_a_guided_prior_with_weight_sigma_over_alpha() -> None:
    z, prior = torch.randn(4, 2, generator=generator(1), dtype=F64), prior_of(three_gaussians(), labels=LABELS)
    conditions = ms.Conditions(torch.tensor([0, 1, 1, 0]), null=NULL)
    times = PerRow((0.2, 0.4, 0.6, 0.8))
    ours, _ = MVDream(1, 5.0, 0.0, times).step(z, prior, None, conditions=conditions, progress=0.0, rng=generator())
    sds = ms.SDS(times, ms.weights.sigma_over_alpha)
    sds_direction, _ = sds.step(z, ms.Guided(prior, 5.0), None, conditions=conditions, progress=0.0, rng=generator())
    assert torch.allclose(ours.grad, sds_direction.grad, rtol=1e-10, atol=1e-10)


def test_views_may_be_permuted_within_a_group_and_groups_among_each_other() -> None:
    z, labels = torch.randn(8, 2, generator=generator(1), dtype=F64), torch.tensor([0, 1, 1, 0, 1, 1, 0, 0])
    prior, method = prior_of(three_gaussians(), labels=LABELS), MVDream(4, 9.0, 0.7, ms.noise_levels.Annealed(0.8, 0.2))

    def step(rows: list[int]) -> ms.Direction:
        conditions = ms.Conditions(labels[rows], null=NULL)
        rng = ms.Streams(3, 1, tuple(rows))
        return method.step(z[rows], prior, None, conditions=conditions, progress=0.4, rng=rng)[0]

    whole = step(list(range(8)))
    for order in ([2, 0, 3, 1, 4, 5, 6, 7], [4, 5, 6, 7, 0, 1, 2, 3], [0, 1, 2, 3], [7, 6, 5, 4]):
        moved = step(order)
        assert torch.equal(moved.eps, whole.eps[order])
        assert torch.allclose(moved.grad, whole.grad[order], rtol=1e-12, atol=1e-12)
    # one group alone draws the level that it draws in company
    random = MVDream(4, 9.0)
    answers = [
        random.step(
            z[rows],
            prior,
            None,
            conditions=ms.Conditions(labels[rows], null=NULL),
            progress=0.4,
            rng=ms.Streams(3, 1, tuple(rows)),
        )[0]
        for rows in ([0, 1, 2, 3, 4, 5, 6, 7], [4, 5, 6, 7])
    ]
    assert torch.equal(answers[1].t, answers[0].t[4:]) and len(set(answers[0].t.tolist())) == 2
    assert torch.allclose(answers[1].grad, answers[0].grad[4:], rtol=1e-12, atol=1e-12)


def test_calls() -> None:
    counted, z = ms.Counting(prior_of(three_gaussians(), labels=LABELS)), torch.zeros(8, 2, dtype=F64)
    given = ms.Conditions(torch.tensor([1]), null=NULL)
    for method, conditions, price in (
        (MVDream(), given, 2),
        (MVDream(scale=1.0), given, 1),
        (MVDream(), None, 1),
    ):
        counted.calls = 0
        d, _ = method.step(z, counted, None, conditions=conditions, progress=0.0, rng=generator())
        assert counted.calls == 8 * price and d.grad.isfinite().all() and not d.grad.requires_grad


def test_times_open_from_noise_to_their_range() -> None:
    times, n = Opening(0.98, 0.02, 0.5, 0.8), 4000
    for progress, low, high in ((0.0, 0.98, 0.98), (0.4, 0.5, 0.74), (0.8, 0.02, 0.5), (1.0, 0.02, 0.5)):
        t = times(progress, n, generator())
        assert low - 1e-6 <= float(t.min()) and float(t.max()) <= high + 1e-6
        assert abs(float(t.mean()) - (low + high) / 2) <= 4 * (high - low) / math.sqrt(12 * n) + 1e-6
        assert abs(float(t.std()) - (high - low) / math.sqrt(12)) <= 0.03 * (high - low) + 1e-6


def test_mistakes() -> None:
    prior = prior_of(three_gaussians(), labels=LABELS)
    for wrong in ({"views": 0}, {"rescale": 1.1}, {"rescale": -0.1}):
        with pytest.raises(ValueError, match="MVDream needs views >= 1, rescale in") as error:
            MVDream(**wrong)
        one_line(error.value)
    with pytest.raises(ValueError, match="needs a multiple of 4 views, got 6 rows") as error:
        MVDream().step(torch.zeros(6, 2, dtype=F64), prior, None, progress=0.0, rng=generator())
    one_line(error.value)
    with pytest.raises(TypeError, match="MVDream guides by itself"):
        MVDream().init(torch.zeros(4, 2, dtype=F64), ms.Guided(prior))
    with pytest.raises(ValueError, match="guidance needs a baseline"):
        conditions = ms.Conditions(torch.tensor([1]))
        MVDream().step(torch.zeros(4, 2, dtype=F64), prior, None, conditions=conditions, progress=0.0, rng=generator())
    with pytest.raises(ValueError, match="Opening needs"):
        Opening(low=0.6, high=0.5)
