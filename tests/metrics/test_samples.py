"""Metrics against closed forms and brute force in numpy."""

from __future__ import annotations

import math

import cases
import numpy as np
import oracles
import pytest
import torch
from scipy import stats

import modeseek as ms
from modeseek.meanshift.modes import Modes
from modeseek.metrics import samples as metrics


def manifold_share(inside: np.ndarray, of: np.ndarray, k: int) -> float:
    """Share of `inside` within a ball around some point of `of` that reaches its k-th neighbour: one by one."""
    radii = [np.sort(np.linalg.norm(of - x, axis=1))[k] for x in of]
    hits = [any(np.linalg.norm(y - x) <= r for x, r in zip(of, radii, strict=True)) for y in inside]
    return float(np.mean(hits))


def mmd_of(a: np.ndarray, b: np.ndarray) -> float:
    """Root of the V-statistic, kernel by kernel and pair by pair."""
    pairs = sorted(np.sum((a[i] - a[j]) ** 2) for i in range(len(a)) for j in range(i))
    median = pairs[(len(pairs) - 1) // 2]
    total = 0.0
    for s in (0.25, 0.5, 1.0, 2.0, 4.0):

        def kernel(x, y, s=s):
            return np.mean([[math.exp(-np.sum((p - q) ** 2) / (2 * median * s * s)) for q in y] for p in x])

        total += (kernel(a, a) + kernel(b, b) - 2 * kernel(a, b)) / 5
    return math.sqrt(max(0.0, total))


@pytest.mark.parametrize("bandwidth", [0.0, 0.4])
@pytest.mark.parametrize("label", [None, 1])
def test_nll_is_that_of_the_blurred_mixture(bandwidth: float, label: int | None) -> None:
    z = cases.points(7, 2)
    m = cases.MIXTURES["plane"] if label is None else cases.class_mixture("plane", label)
    blurred = oracles.Mixture(m.weights, m.means, m.covs + bandwidth**2 * np.eye(2))

    def density(x):
        return sum(
            w * stats.multivariate_normal(a, c).pdf(x)
            for w, a, c in zip(blurred.weights, blurred.means, blurred.covs, strict=True)
        )

    want = torch.tensor([-math.log(density(x)) for x in z.numpy()], dtype=cases.F64)
    cond = None if label is None else torch.full((7,), label)
    assert cases.error(metrics.nll(cases.mixture("plane"), z, bandwidth, cond), want) <= 1e-12


def test_precision_and_recall_are_those_of_brute_force() -> None:
    real, found = cases.points(60, 2, seed=1), cases.points(45, 2, seed=2, spread=1.1) + 2.5
    got = metrics.RealSamples(real, k=3).precision_recall(found)
    want = manifold_share(found.numpy(), real.numpy(), 3), manifold_share(real.numpy(), found.numpy(), 3)
    assert got == pytest.approx(want, abs=1e-12)
    assert 0.1 < want[1] < 1 and 0.1 < want[0] < 1 and want[0] != want[1]  # the case tells the two apart


def test_points_that_fell_together_have_no_recall() -> None:
    real = cases.points(40, 2)
    precision, recall = metrics.RealSamples(real).precision_recall(real[:1].expand(20, 2))
    assert (precision, recall) == (1.0, 1 / 40)  # the one real point they sit on


def test_precision_and_recall_need_more_points_than_neighbours() -> None:
    with pytest.raises(ValueError, match="more than k=5") as caught:
        metrics.RealSamples(cases.points(5, 2)).precision_recall(cases.points(30, 2))
    cases.one_line(caught.value)


def test_mmd_is_that_of_brute_force() -> None:
    a, b = cases.points(25, 3, seed=3), 0.7 * cases.points(20, 3, seed=4) + 0.5
    assert metrics.RealSamples(a).mmd(b) == pytest.approx(mmd_of(a.numpy(), b.numpy()), rel=1e-10)
    assert metrics.RealSamples(a).mmd(a) == pytest.approx(0, abs=1e-7)


def test_mode_distance_resolves_what_a_matrix_product_would_lose() -> None:
    modes = cases.points(40, 2) + 5
    z = modes[:30] + 1e-11
    got = metrics.mode_distance(z, modes)
    assert cases.error(got / 1e-11, torch.full((30,), math.sqrt(2), dtype=cases.F64)) <= 1e-3


def test_mode_coverage_adds_the_weights_of_modes_found() -> None:
    z = torch.tensor([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0]], dtype=cases.F64)
    weight = torch.tensor([0.5, 0.3, 0.2], dtype=cases.F64)
    modes = Modes(z, weight, torch.zeros(3, dtype=torch.long), None)
    found = torch.tensor([[0.05, 0.0], [0.04, 0.0], [5.0, 5.2]], dtype=cases.F64)
    assert metrics.mode_coverage(found, modes, 0.1) == pytest.approx(0.5)
    assert metrics.mode_coverage(found, modes, 0.2 + 1e-9) == pytest.approx(0.7)
    assert metrics.mode_coverage(found, modes, 10.0) == pytest.approx(1.0)


def test_direction_error_splits_bias_and_variance() -> None:
    """Estimates with a known bias and variance: 4,000 repeats of 3 points, so 2 % is 3 standard errors or more."""
    exact = cases.points(3, 2, seed=5)
    power = exact.square().sum(1).mean().item()
    noise = 0.3 * torch.randn(4000, 3, 2, generator=cases.generator(6), dtype=cases.F64)
    error = metrics.direction_error(exact + 0.2 + noise, exact)
    bias, variance = 2 * 0.2**2 / power, 2 * 0.3**2 / power
    assert error.bias == pytest.approx(bias, rel=0.1)
    assert error.variance == pytest.approx(variance, rel=0.02)
    assert error.nmse == pytest.approx(bias + variance, rel=0.05)


def test_an_exact_direction_has_no_error() -> None:
    exact = cases.points(5, 2)
    error = metrics.direction_error(exact[None], exact)
    assert (error.nmse, error.bias, error.variance) == (0, 0, 0)


def test_end_points_of_mean_shift_are_on_modes() -> None:
    """The metrics agree with the library's own search on a ring whose modes are known by symmetry."""
    angle = 2 * math.pi * torch.arange(5, dtype=cases.F64) / 5
    means = 2 * torch.stack([angle.cos(), angle.sin()], 1)
    prior = ms.GaussianMixture(torch.full((5,), 0.2), means, 0.01 * torch.eye(2, dtype=cases.F64).expand(5, 2, 2))
    modes = ms.find_modes(prior, 0.05, 50, rng=cases.generator(), tol=1e-10)
    assert metrics.mode_distance(modes.z, means).max() <= 1e-8
    assert metrics.mode_coverage(means, modes, 1e-6) == pytest.approx(1)
