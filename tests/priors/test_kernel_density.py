"""Kernel density prior: denoiser, density and samples against the mixture that it is, without modeseek."""

from __future__ import annotations

import numpy as np
import oracles
import pytest
import torch
from cases import F64, generator, one_line, points

import modeseek as ms
from modeseek.priors import KernelDensity

DATA, BANDWIDTH = points(5, 2, seed=3), 0.4
MIXTURE = oracles.Mixture(np.full(5, 0.2), DATA.numpy(), np.stack([BANDWIDTH**2 * np.eye(2)] * 5))


@pytest.mark.parametrize(("alpha", "sigma"), [(1.0, 0.3), (0.6, 0.8), (0.05, 1.0)])
def test_predictions_and_density_are_those_of_the_mixture(alpha: float, sigma: float) -> None:
    z_t = points(4, 2, seed=7)
    a, s = torch.full((4,), alpha, dtype=F64), torch.full((4,), sigma, dtype=F64)
    p, log_p = KernelDensity(DATA, BANDWIDTH).evaluate(z_t, a, s)
    law = oracles.noised(MIXTURE, alpha, sigma)
    for row, x in enumerate(z_t.numpy()):
        z, eps = oracles.posterior(MIXTURE, x, alpha, sigma)
        np.testing.assert_allclose(p.z[row], z, atol=1e-11)
        np.testing.assert_allclose(p.eps[row], eps, atol=1e-11)
        np.testing.assert_allclose(log_p[row], oracles.log_prob(law, x), atol=1e-10)


def test_samples_have_the_mean_and_covariance_of_the_mixture() -> None:
    z = KernelDensity(DATA, BANDWIDTH).sample(20000, generator()).numpy()
    np.testing.assert_allclose(z.mean(0), MIXTURE.mean, atol=0.03)
    np.testing.assert_allclose(np.cov(z.T), MIXTURE.cov, atol=0.05)


def test_classes_are_those_of_the_data() -> None:
    prior = KernelDensity(DATA, BANDWIDTH, labels=torch.tensor([0, 0, 1, 1, 1]))
    assert prior.n_classes == 2
    one = torch.ones(1, dtype=F64)
    part = KernelDensity(DATA[2:], BANDWIDTH)
    z_t = points(1, 2, seed=8)
    assert torch.allclose(prior.at(z_t, one, 0.5 * one, torch.tensor([1])).z, part.at(z_t, one, 0.5 * one).z)


def test_mean_shift_finds_its_modes() -> None:
    found = ms.find_modes(KernelDensity(DATA, BANDWIDTH), 0.05, 200, rng=generator())
    step = 1e-5
    law = oracles.noised(MIXTURE, 1.0, 0.05)
    for x in found.z.numpy():
        slope = [
            (oracles.log_prob(law, x + step * e) - oracles.log_prob(law, x - step * e)) / (2 * step) for e in np.eye(2)
        ]
        np.testing.assert_allclose(slope, 0, atol=1e-4)


def test_a_bandwidth_must_be_positive() -> None:
    with pytest.raises(ValueError, match="bandwidth must be positive") as raised:
        KernelDensity(DATA, 0.0)
    assert one_line(raised.value)
