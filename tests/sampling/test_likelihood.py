"""Likelihoods along the probability flow against the densities themselves."""

from __future__ import annotations

import math

import numpy as np
import oracles
import pytest
import torch
from cases import F64, MIXTURES, SCHEDULES, class_mixture, error, generator, level, mixture, one_line, points, rotated
from torch import Tensor

import modeseek as ms


def densities(m: oracles.Mixture, z: Tensor, alpha: float = 1.0, sigma: float = 0.0) -> Tensor:
    law = oracles.noised(m, alpha, sigma)
    return torch.tensor([oracles.log_prob(law, x) for x in z.numpy()], dtype=F64)


def walk(schedule: ms.schedules.Schedule, n: int, last: float = 0.0) -> Tensor:
    """n steps, uniform in a fifth root of the noise-to-signal ratio."""
    top, bottom = ((s / a) ** 0.2 for a, s in (level(schedule, 0.998), level(schedule, last)))
    h = torch.linspace(top, bottom, n + 1, dtype=F64) ** 5
    return schedule.t_of(-2 * h.log())


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SCHEDULES))
@pytest.mark.parametrize("data", ["gauss", "plane"])
def test_default_walk(name: str, data: str) -> None:
    """64 fourth-order steps: the error was measured between 1.5e-6 (discrete) and 3.2e-4 nats (flow-shifted)."""
    schedule = SCHEDULES[name]
    z = mixture(data).sample(4, generator(2))
    want = densities(MIXTURES[data], z, *level(schedule, 0.0))
    got = ms.log_likelihood(mixture(data, schedule), z)
    assert (got - want).abs().max() <= 6e-4


def test_fewer_steps_of_the_default_walk() -> None:
    z = mixture("gauss").sample(3, generator(3))
    got = ms.log_likelihood(mixture("gauss", ms.VP()), z, steps=16)
    assert error(got, ms.log_likelihood(mixture("gauss", ms.VP()), z, times=walk(ms.VP(), 16))) <= 1e-9
    with pytest.raises(ValueError, match="steps >= 1: got 1 and 0"):
        ms.log_likelihood(mixture("gauss"), z, steps=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vp", "flow", "ve", "cosine-shifted"])
def test_error_falls_with_the_fourth_power_of_the_steps(name: str) -> None:
    schedule, z, steps = SCHEDULES[name], mixture("gauss").sample(3, generator(3)), (16, 32, 64)
    want = densities(MIXTURES["gauss"], z, *level(schedule, 0.0))
    results = [ms.log_likelihood(mixture("gauss", schedule), z, times=walk(schedule, n)) for n in steps]
    slope = -np.polyfit(np.log(steps), np.log([(x - want).abs().max().item() for x in results]), 1)[0]
    assert 3.5 <= slope <= 4.5


def test_a_gaussian_to_seven_digits() -> None:
    schedule, z = ms.VE(0.01, 50.0), mixture("gauss").sample(4, generator(4))
    got = ms.log_likelihood(mixture("gauss", schedule), z, times=torch.linspace(1, 0, 193, dtype=F64))
    assert error(got, densities(MIXTURES["gauss"], z, *level(schedule, 0.0))) <= 5e-7


@pytest.mark.parametrize("start", [0.3, 0.7, 0.95])
def test_the_terminal_density_of_a_gaussian_is_exact_at_any_level(start: float) -> None:
    """A tiny walk has no discretisation error left, so what remains is the terminal term."""
    schedule = SCHEDULES["vp"]
    times = torch.tensor([start, start - 1e-5], dtype=F64)
    z_t = points(4, 2)
    want = densities(MIXTURES["gauss"], z_t, *level(schedule, start - 1e-5))
    assert error(ms.log_likelihood(mixture("gauss"), z_t, times=times), want) <= 1e-8


def test_z_is_at_the_last_time() -> None:
    schedule = SCHEDULES["vp"]
    z_t = points(4, 2)
    want = densities(MIXTURES["plane"], z_t, *level(schedule, 0.4))
    got = ms.log_likelihood(mixture("plane"), z_t, times=walk(schedule, 64, last=0.4))
    assert (got - want).abs().max() <= 2e-3


def test_conditions_and_rows() -> None:
    z, labels = mixture("plane").sample(3, generator(2)), torch.tensor([0, 1, -1])
    whole = ms.log_likelihood(mixture("plane"), z, labels)
    for i, label in enumerate(labels.tolist()):
        row = ms.log_likelihood(mixture("plane"), z[i : i + 1], labels[i : i + 1])
        assert error(row, whole[i : i + 1]) <= 1e-10
        want = densities(class_mixture("plane", label), z[i : i + 1])
        assert (row - want).abs().max() <= 2e-3


def high(values: list[float], turned: bool) -> tuple[oracles.Mixture, ms.GaussianMixture]:
    cov = rotated(values, 9) if turned else np.diag(values)
    cov = (cov + cov.T) / 2
    m = oracles.Mixture(np.ones(1), np.linspace(-1, 1, len(values))[None], cov[None])
    return m, ms.GaussianMixture(*(torch.tensor(x) for x in (m.weights, m.means, m.covs)), schedule=ms.VE(0.02, 50.0))


def test_above_sixteen_dimensions_an_isotropic_gaussian_needs_one_probe() -> None:
    m, prior = high([0.7] * 20, turned=False)
    z = prior.sample(3, generator(1))
    got = ms.log_likelihood(prior, z, times=torch.linspace(1, 0, 65, dtype=F64), rng=generator(2))
    assert error(got, densities(m, z, 1.0, 0.02)) <= 1e-4


def test_hutchinson_is_unbiased() -> None:
    """Means of many probes, within four standard errors and the 0.02 nats that 16 steps leave with the exact trace."""
    m, prior = high(np.geomspace(0.3, 1.5, 20).tolist(), turned=True)
    z, times = prior.sample(1, generator(1)), torch.linspace(1, 0, 17, dtype=F64)
    runs = ms.log_likelihood(prior, z.expand(48, -1), times=times, rng=generator(0))  # a probe of its own each
    want = densities(m, z, 1.0, 0.02)[0]
    spread = runs.std() / math.sqrt(len(runs))
    assert runs.std() > 0.05  # each probe is an estimate
    assert (runs.mean() - want).abs() <= 4 * spread + 0.03
    many = ms.log_likelihood(prior, z.expand(8, -1), times=times, rng=generator(1), probes=8)
    assert many.std() <= 0.5 * runs.std()
    assert (many.mean() - want).abs() <= 4 * many.std() / math.sqrt(8) + 0.03


def test_probes_come_from_the_rng_alone() -> None:
    _, prior = high(np.geomspace(0.3, 1.5, 20).tolist(), turned=True)
    z, times = prior.sample(2, generator(1)), torch.linspace(1, 0, 9, dtype=F64)
    runs = [ms.log_likelihood(prior, z, times=times, rng=ms.Streams(0, 0, (4, 5)), probes=2) for _ in range(2)]
    assert torch.equal(*runs)
    with pytest.raises(ValueError, match="rng") as caught:
        ms.log_likelihood(prior, z)
    assert "d=20" in one_line(caught.value)


def test_images_and_the_gradient_mode() -> None:
    data = torch.rand(5, 1, 2, 3, generator=generator(), dtype=F64)
    prior = ms.Empirical(data, ms.VE(0.2, 30.0))
    z = data[:2] + 0.2 * points(2, 6).reshape(2, 1, 2, 3)
    with torch.no_grad():
        got = ms.log_likelihood(prior, z, times=torch.linspace(1, 0, 65, dtype=F64))
    want = [oracles.kernel_log_prob(data.numpy(), x, 1.0, 0.2) for x in z.numpy()]
    assert error(got, torch.tensor(want, dtype=F64)) <= 1e-4
