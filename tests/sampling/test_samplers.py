"""Samplers: order of accuracy, closed forms for Gaussians, both ends of the schedule."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial

import numpy as np
import oracles
import pytest
import torch
from cases import (
    F64,
    MIXTURES,
    SCHEDULES,
    ZERO_NOISE_SCHEDULES,
    ZERO_SNR_SCHEDULES,
    error,
    generator,
    level,
    mixture,
    one_line,
    points,
)
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import modeseek as ms

Sampler = Callable[..., Tensor]
ODE = {"ddim": ms.ddim, "heun": ms.heun, "dpmpp_2m": ms.dpmpp_2m}
EVERY: dict[str, Sampler] = {
    **ODE,
    "ddpm": partial(ms.ddpm, rng=generator()),
    "invert": ms.invert,
}
WALKS = pytest.mark.parametrize("walk", list(SCHEDULES))
GAUSS = MIXTURES["gauss"]


@cache
def flowed(walk: str) -> tuple[Tensor, Tensor]:
    """Five points of a mixture at t = 0.8 and where its probability flow takes them at t = 0.15."""
    start, end = level(SCHEDULES[walk], 0.8), level(SCHEDULES[walk], 0.15)
    z_t = points(5, 2, seed=3) * (start[0] + start[1])
    return z_t, torch.tensor(np.stack([oracles.flow(MIXTURES["plane"], x, start, end) for x in z_t.numpy()]))


def order(run: Callable[[Tensor], Tensor], want: Tensor, high: float, low: float) -> float:
    """Minus the slope of log error against log steps."""
    steps = (16, 32, 64)
    errors = [(run(torch.linspace(high, low, n + 1, dtype=F64)) - want).abs().max().item() for n in steps]
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("walk", "name", "wanted"),
    [
        *((w, "heun", 2) for w in SCHEDULES),
        *((w, "dpmpp_2m", 2) for w in ("vp", "cosine-shifted", "ve-narrow", "discrete-zero-snr")),
        *((w, "ddim", 1) for w in ("vp", "ve", "flow")),
    ],
)
def test_order_between_interior_times(walk: str, name: str, wanted: int) -> None:
    z_t, want = flowed(walk)
    prior = mixture("plane", SCHEDULES[walk])
    measured = order(lambda times: ODE[name](prior, z_t, times), want, 0.8, 0.15)
    assert abs(measured - wanted) <= 0.15 * wanted


@pytest.mark.parametrize("walk", ["vp", "ve", "flow"])
def test_inversion_is_of_first_order(walk: str) -> None:
    z_t, z = flowed(walk)
    prior = mixture("plane", SCHEDULES[walk])
    assert abs(order(lambda times: ms.invert(prior, z, times), z_t, 0.8, 0.15) - 1) <= 0.15


@pytest.mark.slow
@WALKS
def test_fine_steps_reach_the_flow_along_every_schedule(walk: str) -> None:
    z_t, want = flowed(walk)
    got = ms.heun(mixture("plane", SCHEDULES[walk]), z_t, torch.linspace(0.8, 0.15, 257, dtype=F64))
    assert error(got, want) <= 5e-5


def test_the_schedule_does_not_matter_in_the_limit() -> None:
    z, ends = points(4, 2), []
    for name in ("vp", "cosine", "ve", "flow", "discrete"):
        schedule = SCHEDULES[name]
        high, low = schedule.t_of(torch.tensor([-3.0, 4.0], dtype=F64)).tolist()
        start, end = level(schedule, high), level(schedule, low)
        times = torch.linspace(high, low, 301, dtype=F64)
        ends.append(ms.heun(mixture("plane", schedule), start[0] * z, times) / end[0])
    assert all(error(x, ends[0]) <= 1e-4 for x in ends[1:])


@pytest.mark.slow
@WALKS
@given(seed=st.integers(0, 100), n=st.integers(1, 12))
def test_ddim_on_a_gaussian_is_a_product_of_factors(walk: str, seed: int, n: int) -> None:
    prior, z_t = mixture("gauss", SCHEDULES[walk]), points(3, 2, seed)
    times = torch.linspace(1, 0, n + 1, dtype=F64)
    values, axes = np.linalg.eigh(GAUSS.covs[0])
    x, path = z_t.numpy() @ axes, [level(SCHEDULES[walk], float(t)) for t in times]
    centre = GAUSS.means[0] @ axes
    for (a, s), (b, r) in zip(path[:-1], path[1:], strict=True):
        x = b * centre + (x - a * centre) * (b * a * values + r * s) / (a * a * values + s * s)
    assert error(ms.ddim(prior, z_t, times), torch.tensor(x @ axes.T)) <= 1e-9


@pytest.mark.slow
@WALKS
@pytest.mark.parametrize(("name", "tolerance"), [("ddim", 3e-2), ("heun", 1e-3), ("dpmpp_2m", 1e-3)])
def test_the_whole_walk_of_a_gaussian_matches_its_closed_form(walk: str, name: str, tolerance: float) -> None:
    schedule = SCHEDULES[walk]
    start, end = level(schedule, 1.0), level(schedule, 0.0)
    z_t = start[0] * torch.tensor(GAUSS.means) + start[1] * points(4, 2, spread=1.0)
    times = torch.linspace(1, 0, 301, dtype=F64)
    times = (
        (times * times * (3 - 2 * times)) if walk in ZERO_SNR_SCHEDULES else times**2
    )  # slow where the log-SNR runs away
    want = oracles.gaussian_flow(z_t.numpy(), GAUSS.means[0], GAUSS.covs[0], start, end)
    assert error(ODE[name](mixture("gauss", schedule), z_t, times), torch.tensor(want)) <= tolerance


@pytest.mark.parametrize("walk", [n for n in ZERO_SNR_SCHEDULES if n in ZERO_NOISE_SCHEDULES])
@pytest.mark.parametrize("name", list(ODE))
def test_from_pure_noise_to_no_noise(walk: str, name: str) -> None:
    prior = mixture("plane", SCHEDULES[walk])
    z_t = prior.start(5, generator())
    mean = torch.tensor(MIXTURES["plane"].mean).expand(5, 2)
    assert error(ODE[name](prior, z_t, prior.grid(1)), mean) <= 1e-12
    z = ODE[name](prior, z_t, prior.grid(20))
    assert z.isfinite().all()
    assert (prior.log_prob(z) > -12).all()
    ancestral = ms.ddpm(prior, z_t, prior.grid(20), rng=generator())
    assert ancestral.isfinite().all() and (prior.log_prob(ancestral) > -12).all()


@pytest.mark.parametrize("walk", ["vp", "flow", "ve-narrow"])
def test_ddpm_has_the_mean_and_covariance_of_its_chain(walk: str) -> None:
    schedule, n = SCHEDULES[walk], 40_000
    times = torch.linspace(0.9, 0.05, 13, dtype=F64)
    path = [level(schedule, float(t)) for t in times]
    law = oracles.noised(GAUSS, *path[0])
    root = torch.tensor(np.linalg.cholesky(law.covs[0]))
    z_t = torch.tensor(law.means) + points(n, 2, spread=1.0) @ root.T
    z = ms.ddpm(mixture("gauss", schedule), z_t, times, rng=generator(1)).numpy()
    mean, cov = oracles.ddpm_moments(GAUSS.means[0], GAUSS.covs[0], path)
    white = (z - mean) @ np.linalg.inv(np.linalg.cholesky(cov)).T
    assert np.abs(white.mean(0)).max() <= 5 / math.sqrt(n)
    assert np.abs(np.cov(white.T) - np.eye(2)).max() <= 5 * math.sqrt(2 / n)
    fine = [level(schedule, float(t)) for t in torch.linspace(0.9, 0.05, 2001, dtype=F64)]
    want = oracles.noised(GAUSS, *path[-1])
    mean, cov = oracles.ddpm_moments(GAUSS.means[0], GAUSS.covs[0], fine)  # the chain itself tends to the data
    np.testing.assert_allclose(mean, want.means[0], atol=1e-9)
    np.testing.assert_allclose(cov, want.covs[0], atol=5e-3)


def test_ddpm_without_fresh_noise_is_ddim() -> None:
    prior, z_t = mixture("plane"), points(3, 2)
    got = ms.ddpm(prior, z_t, prior.grid(9), rng=generator(), eta=0.0)
    assert error(got, ms.ddim(prior, z_t, prior.grid(9))) <= 1e-12


@pytest.mark.parametrize("walk", ["vp", "cosine", "flow", "ve", "discrete-zero-snr"])
def test_invert_then_ddim_returns(walk: str) -> None:
    prior, z = mixture("plane", SCHEDULES[walk]), mixture("plane").sample(4, generator(5))
    gaps = []
    for n in (100, 200):
        times = torch.linspace(0.9, 0, n + 1, dtype=F64) ** 2
        gaps.append((ms.ddim(prior, ms.invert(prior, z, times), times) - z).abs().max().item())
    assert gaps[0] <= 0.1 and 0.4 * gaps[0] <= gaps[1] <= 0.6 * gaps[0]


def gaussian_score(m: oracles.Mixture, z_t: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    mean, cov = torch.tensor(m.means[0]), torch.tensor(m.covs[0])
    total = alpha[:, None, None] ** 2 * cov + sigma[:, None, None] ** 2 * torch.eye(2, dtype=F64)
    return -torch.linalg.solve(total, z_t - alpha[:, None] * mean)


@pytest.mark.parametrize("name", list(EVERY))
def test_drift_adds_to_the_score(name: str) -> None:
    """A Gaussian whose drift is another Gaussian's score less its own is that other Gaussian."""
    other = oracles.Mixture(np.ones(1), np.array([[-0.5, 1.0]]), np.array([[[0.5, 0.2], [0.2, 0.7]]]))
    target = ms.GaussianMixture(*(torch.tensor(x) for x in (other.weights, other.means, other.covs)))
    z_t, times = points(4, 2), torch.linspace(0.95, 0.05, 9, dtype=F64)

    def drift(z_t: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        return gaussian_score(other, z_t, alpha, sigma) - gaussian_score(GAUSS, z_t, alpha, sigma)

    sampler = partial(ms.ddpm, rng=generator(7)) if name == "ddpm" else EVERY[name]
    twin = partial(ms.ddpm, rng=generator(7)) if name == "ddpm" else EVERY[name]
    assert error(sampler(mixture("gauss"), z_t, times, drift=drift), twin(target, z_t, times)) <= 1e-8


@pytest.mark.parametrize("name", ["ddim", "heun", "dpmpp_2m", "invert"])
def test_every_row_may_walk_its_own_times(name: str) -> None:
    prior, z_t, labels = mixture("plane"), points(3, 2), torch.tensor([0, 1, -1])
    times = torch.stack([prior.grid(6), 0.8 * prior.grid(6), prior.grid(6) ** 2], 1)
    times[-1, 1] = 0.3 * times[-2, 1]  # this row ends in noise, the others in none
    whole = EVERY[name](prior, z_t, times, labels)
    for i in range(3):
        alone = EVERY[name](prior, z_t[i : i + 1], times[:, i], labels[i : i + 1])
        assert error(whole[i : i + 1], alone) <= 1e-12


@WALKS
def test_a_batch_of_four_is_four_singles(walk: str) -> None:
    prior = mixture("plane", SCHEDULES[walk])
    z_t, labels, items = prior.start(4, generator()), torch.tensor([0, 1, -1, 0]), (3, 1, 4, 7)
    before = z_t.clone()
    for name in EVERY:
        if name == "invert":
            continue
        rngs = ms.Streams(0, 2, items), *(ms.Streams(0, 2, (i,)) for i in items)
        samplers = [partial(ms.ddpm, rng=r) if name == "ddpm" else EVERY[name] for r in rngs]
        whole = samplers[0](prior, z_t, prior.grid(8), labels)
        rows = [s(prior, z_t[i : i + 1], prior.grid(8), labels[i : i + 1]) for i, s in enumerate(samplers[1:])]
        assert error(whole, torch.cat(rows)) <= 1e-12
    assert torch.equal(z_t, before)


@pytest.mark.parametrize(("name", "calls"), [("ddim", 7), ("ddpm", 7), ("dpmpp_2m", 7), ("invert", 7), ("heun", 13)])
def test_what_a_walk_costs(name: str, calls: int) -> None:
    prior = ms.Counting(mixture("plane", ms.Flow()))
    EVERY[name](prior, points(3, 2), prior.grid(7))
    assert prior.calls == 3 * calls


def test_conditions_reach_a_guided_prior() -> None:
    prior = ms.Guided(mixture("plane"), 1.0)
    conditions = ms.Conditions(positive=torch.tensor([1]), null=torch.tensor([-1]))
    got = ms.heun(prior, points(3, 2), prior.grid(5), conditions)
    assert error(got, ms.heun(mixture("plane"), points(3, 2), prior.grid(5), torch.tensor([1]))) <= 1e-12


@pytest.mark.parametrize("name", list(EVERY))
@pytest.mark.parametrize(
    "times",
    [
        torch.tensor([0.5]),
        torch.zeros(0),
        torch.tensor([0.2, 0.8]),
        torch.tensor([1.2, 0.5]),
        torch.tensor([0.5, -0.1]),
        torch.tensor([0.5, math.nan]),
        torch.rand(4, 2).sort(0, descending=True)[0],
        torch.tensor([[0.9, 0.9, 0.2], [0.5, 0.5, 0.3]]),
        torch.zeros(2, 3, 1),
    ],
)
def test_bad_times_raise_one_line(name: str, times: Tensor) -> None:
    with pytest.raises(ValueError, match="times") as caught:
        EVERY[name](mixture("plane"), points(3, 2), times)
    one_line(caught.value)


def test_single_precision_walks_agree() -> None:
    prior, z_t = mixture("plane", ms.Flow()), points(4, 2, spread=1.0)
    for sampler in ODE.values():
        single = sampler(prior, z_t.float(), prior.grid(20).float())
        assert single.dtype == torch.float32
        assert error(single.double(), sampler(prior, z_t, prior.grid(20))) <= 1e-4
