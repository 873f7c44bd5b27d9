"""Loss weights against their formulas in alpha-bar."""

from __future__ import annotations

import pytest
import torch
from oracles_shift import F64, level

import modeseek as ms

FORMULAS = {
    ms.sigma_squared: lambda abar: 1 - abar,
    ms.weights.unit_weight: lambda abar: 1.0,
    ms.weights.alpha_sigma_squared: lambda abar: abar**0.5 * (1 - abar),
    ms.weights.sigma_over_alpha: lambda abar: ((1 - abar) / abar) ** 0.5,
    ms.weights.alpha_sigma: lambda abar: (abar * (1 - abar)) ** 0.5,
}


@pytest.mark.parametrize("weight", FORMULAS, ids=lambda w: w.__name__)
@pytest.mark.parametrize("schedule", ["VP", "Cosine"])
def test_weights_are_what_the_papers_write_in_alpha_bar(weight, schedule):
    levels = [level(schedule, t) for t in (0.02, 0.3, 0.7, 0.98)]
    alpha, sigma = (torch.tensor(column, dtype=F64) for column in zip(*levels, strict=True))
    expected = torch.tensor([FORMULAS[weight](a**2) for a, _ in levels], dtype=F64)
    assert torch.allclose(weight(alpha, sigma), expected, rtol=1e-10)


@pytest.mark.parametrize("schedule", ["VP", "Cosine", "Flow", "VE"])
def test_alpha_sigma_is_a_function_of_the_bandwidth_alone(schedule):
    levels = [level(schedule, t) for t in (0.02, 0.3, 0.7, 0.98)]
    alpha, sigma = (torch.tensor(column, dtype=F64) for column in zip(*levels, strict=True))
    expected = [h / (1 + h**2) for h in (s / a for a, s in levels)]
    assert ms.weights.alpha_sigma(alpha, sigma).tolist() == pytest.approx(expected, rel=1e-12)
    assert ms.weights.alpha_sigma(2 * alpha, 2 * sigma).tolist() == pytest.approx(expected, rel=1e-12)
    ones = torch.ones(1, dtype=F64)
    assert ms.weights.alpha_sigma(ones, ones).item() == 0.5 > max(expected)


@pytest.mark.parametrize(
    "weight",
    [ms.sigma_squared, ms.weights.unit_weight, ms.weights.alpha_sigma_squared, ms.weights.alpha_sigma],
    ids=lambda w: w.__name__,
)
def test_pure_noise_divides_by_nothing(weight):
    silent = weight(torch.zeros(2), torch.ones(2))
    assert silent.isfinite().all() and silent.shape == (2,)
