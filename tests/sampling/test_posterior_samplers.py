"""Posterior samplers on Gaussians and a mixture: steps, means and variances against closed forms without modeseek."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import oracles
import pytest
import torch
from cases import F64, MIXTURES, generator, mixture, one_line, points
from torch import Tensor

import modeseek as ms
from modeseek.operators import Mask, Matrix
from modeseek.sampling.posterior import Measurement, daps, diffpir, dps, pigdm, red_diff
from modeseek.sampling.posterior.pigdm import measurement_score

Sampler = Callable[..., Tensor]
A = np.array([[1.0, -0.5, 0.3], [0.2, 0.8, -1.0]])
Y = np.array([0.9, -0.4])
NOISE, MEAN, SPREAD = 0.3, np.array([0.5, -0.2, 0.1]), 0.8
GAUSSIAN = oracles.Mixture(np.ones(1), MEAN[None], SPREAD**2 * np.eye(3)[None])
EVERY: dict[str, Sampler] = {
    "dps": dps,
    "pigdm": partial(pigdm, spread=SPREAD),
    "diffpir": diffpir,
    "red_diff": partial(red_diff, rate=0.05),
    "daps": partial(daps, flow_steps=2),
}


def prior_of(m: oracles.Mixture) -> ms.GaussianMixture:
    return ms.GaussianMixture(torch.tensor(m.weights), torch.tensor(m.means), torch.tensor(m.covs))


def measured(rows: int, noise: float = NOISE, a: np.ndarray = A, y: np.ndarray = Y) -> Measurement:
    return Measurement(Matrix(torch.tensor(a)), torch.tensor(y).expand(rows, -1), noise)


def conditioned(m: oracles.Mixture, a: np.ndarray, y: np.ndarray, noise: float) -> oracles.Mixture:
    """The mixture given y = A z + noise: each component by its joint Gaussian with y, weighted by its evidence."""
    means, covs, logs = [], [], np.log(m.weights)
    for k, (mean, cov) in enumerate(zip(m.means, m.covs, strict=True)):
        law = a @ cov @ a.T + noise**2 * np.eye(len(a))
        gain = np.linalg.solve(law, a @ cov).T
        means.append(mean + gain @ (y - a @ mean))
        covs.append(cov - gain @ a @ cov)
        logs[k] += oracles.gaussian_log_prob(y, a @ mean, law)
    weights = np.exp(logs - logs.max())
    return oracles.Mixture(weights / weights.sum(), np.stack(means), np.stack(covs))


WANTED = conditioned(GAUSSIAN, A, Y, NOISE)


def times(n: int) -> Tensor:
    return torch.linspace(0.999, 0.0, n + 1, dtype=F64)


def drawn(sampler: Sampler, n: int, rows: int = 3000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of samples of the posterior of the Gaussian."""
    rng = generator(seed)
    z = sampler(prior_of(GAUSSIAN), measured(rows), points(rows, 3, seed + 1), times(n), rng=rng).numpy()
    return z.mean(0), np.cov(z.T)


@pytest.mark.parametrize("t", [0.02, 0.4, 0.9])
def test_the_score_of_pigdm_is_exact_for_a_gaussian(t: float) -> None:
    prior, z_t = prior_of(GAUSSIAN), points(4, 3, seed=2)
    alpha, sigma = (x.item() for x in prior.schedule(torch.tensor(t, dtype=F64)))
    levels = torch.full((4,), alpha, dtype=F64), torch.full((4,), sigma, dtype=F64)
    _, score = measurement_score(prior, measured(4), z_t, levels, None, SPREAD)

    def log_evidence(x: np.ndarray) -> float:
        law = alpha**2 * SPREAD**2 + sigma**2
        mean = MEAN + alpha * SPREAD**2 / law * (x - alpha * MEAN)
        cov = SPREAD**2 * sigma**2 / law * np.eye(3)
        return oracles.gaussian_log_prob(Y, A @ mean, A @ cov @ A.T + NOISE**2 * np.eye(2))

    step = 1e-5
    for row, x in zip(score.numpy(), z_t.numpy(), strict=True):
        slopes = [(log_evidence(x + step * e) - log_evidence(x - step * e)) / (2 * step) for e in np.eye(3)]
        np.testing.assert_allclose(row, slopes, rtol=1e-6, atol=1e-7)


def test_pigdm_has_the_mean_and_variance_of_a_gaussian_posterior_in_the_limit_of_many_steps() -> None:
    """Without fresh noise the samples are an affine map of z_t, read off at 0 and the unit vectors: no sampling error.

    DDIM's error is of first order: twice the result of 200 steps less that of 100 is the limit.
    """
    found = []
    alpha, sigma = prior_of(GAUSSIAN).schedule(times(1)[0])
    spread = (sigma**2 + alpha**2 * SPREAD**2).sqrt()
    start = alpha * torch.tensor(MEAN) + spread * torch.cat([torch.zeros(1, 3, dtype=F64), torch.eye(3, dtype=F64)])
    for n in (100, 200):
        run = pigdm(prior_of(GAUSSIAN), measured(4), start, times(n), rng=generator(), spread=SPREAD, eta=0.0).numpy()
        slope = (run[1:] - run[0]).T
        found.append((run[0], slope @ slope.T))
    for (coarse, fine), want in zip(zip(*found, strict=True), (WANTED.mean, WANTED.cov), strict=True):
        np.testing.assert_allclose(fine, want, atol=0.03)
        np.testing.assert_allclose(2 * fine - coarse, want, atol=0.003)


def test_pigdm_with_fresh_noise_draws_the_same_law() -> None:
    mean, cov = drawn(partial(pigdm, spread=SPREAD), 120)
    np.testing.assert_allclose(mean, WANTED.mean, atol=0.03)
    np.testing.assert_allclose(cov, WANTED.cov, atol=0.03)


def test_a_draw_given_y_has_the_law_of_the_product() -> None:
    """N(x, w^2 I) times the likelihood: its precision is the sum of both, its mean weighs both."""
    x, width = np.array([0.3, -0.6, 0.2]), 0.7
    law = Measurement(Matrix(torch.tensor(A)), torch.tensor(Y).expand(20000, -1), NOISE)
    points_of_x = torch.tensor(x).expand(20000, 3)
    drawn_z = law.sample(points_of_x, torch.full((20000,), width, dtype=F64), generator()).numpy()
    cov = np.linalg.inv(np.eye(3) / width**2 + A.T @ A / NOISE**2)
    np.testing.assert_allclose(drawn_z.mean(0), cov @ (x / width**2 + A.T @ Y / NOISE**2), atol=0.015)
    np.testing.assert_allclose(np.cov(drawn_z.T), cov, atol=0.015)


def test_daps_with_the_spread_of_a_gaussian_draws_its_posterior() -> None:
    mean, cov = drawn(partial(daps, flow_steps=1, spread=SPREAD), 12)
    np.testing.assert_allclose(mean, WANTED.mean, atol=0.03)
    np.testing.assert_allclose(cov, WANTED.cov, atol=0.03)


@pytest.mark.parametrize(
    ("sampler", "n", "away", "low", "high"),
    [(daps, 40, 0.06, 1.4, 2.0), (dps, 100, 0.06, 1.25, 1.75), (diffpir, 100, 0.08, 1.05, 1.45)],
)
def test_known_biases_for_a_gaussian(sampler: Sampler, n: int, away: float, low: float, high: float) -> None:
    """The mean is close, the variance is not: DAPS takes the image given z_t as too wide, DPS ignores the noise of y,
    DiffPIR's noise is not the posterior's."""
    mean, cov = drawn(sampler, n, rows=2000)
    assert np.abs(mean - WANTED.mean).max() < away
    assert low < np.trace(cov) / np.trace(WANTED.cov) < high


def test_red_diff_is_a_point() -> None:
    z = torch.tensor(MEAN).expand(300, 3)
    got = red_diff(prior_of(GAUSSIAN), measured(300), z, times(100), rng=generator(), rate=0.02).numpy()
    assert np.abs(got.mean(0) - WANTED.mean).max() < 0.15
    assert np.trace(np.cov(got.T)) < 0.1 * np.trace(WANTED.cov)


def test_a_step_of_dps_descends_the_norm_of_the_residual() -> None:
    prior, z_t = prior_of(GAUSSIAN), points(3, 3, seed=4)
    pair = torch.tensor([0.6, 0.55], dtype=F64)
    still, moved = (dps(prior, measured(3), z_t, pair, rng=generator(5), step=step) for step in (0.0, 0.7))
    level = tuple(x.item() for x in prior.schedule(pair[0]))
    step = 1e-6

    def norm(x: np.ndarray) -> float:
        return float(np.linalg.norm(Y - A @ oracles.posterior(GAUSSIAN, x, *level)[0]))

    for change, x in zip((moved - still).numpy(), z_t.numpy(), strict=True):
        slopes = np.array([(norm(x + step * e) - norm(x - step * e)) / (2 * step) for e in np.eye(3)])
        np.testing.assert_allclose(change, -0.7 * slopes, atol=1e-8)


def test_a_step_of_diffpir_solves_its_quadratic_and_keeps_the_implied_noise() -> None:
    prior, z_t = prior_of(GAUSSIAN), points(3, 3, seed=6)
    pair = torch.tensor([0.6, 0.3], dtype=F64)
    got = diffpir(prior, measured(3), z_t, pair, rng=generator(), weight=5.0, fresh=0.0).numpy()
    (alpha, sigma), (end, noise) = ([x.item() for x in prior.schedule(t)] for t in pair)
    for row, x in zip(got, z_t.numpy(), strict=True):
        clean = oracles.posterior(GAUSSIAN, x, alpha, sigma)[0]
        weight = 5.0 * NOISE**2 * alpha**2 / sigma**2
        z = np.linalg.solve(A.T @ A + weight * np.eye(3), A.T @ Y + weight * clean)
        np.testing.assert_allclose(row, end * z + noise * (x - alpha * z) / sigma, atol=1e-10)


def test_red_diff_at_a_fixed_level_ends_at_its_weighted_mean() -> None:
    prior, rows, t = prior_of(GAUSSIAN), 300, 0.2
    alpha, sigma = (x.item() for x in prior.schedule(torch.tensor(t, dtype=F64)))
    z = torch.tensor(MEAN).expand(rows, 3)
    constant = torch.full((600,), t, dtype=F64)
    got = red_diff(prior, measured(rows), z, constant, rng=generator(), weight=2.0, rate=0.02).numpy()
    h = sigma / alpha
    pull = 2.0 * h * h / (SPREAD**2 + h * h)
    want = np.linalg.solve(A.T @ A + pull * np.eye(3), A.T @ Y + pull * MEAN)
    np.testing.assert_allclose(got.mean(0), want, atol=0.02)


@cache
def plane() -> tuple[oracles.Mixture, np.ndarray]:
    """Posterior of the mixture of three in the plane given its first coordinate, noise 0.4."""
    return conditioned(MIXTURES["plane"], np.eye(2)[:1], np.array([0.4]), 0.4), np.eye(2)[:1]


@pytest.mark.parametrize(("sampler", "n"), [(pigdm, 60), (daps, 30)])
def test_samplers_on_a_mixture(sampler: Sampler, n: int) -> None:
    """The measured coordinate has its posterior law; the other, which takes in the weights of the modes, is off."""
    want, a = plane()
    where = measured(2000, 0.4, a, np.array([0.4]))
    z = sampler(mixture("plane"), where, points(2000, 2, seed=8), times(n), rng=generator(1)).numpy()
    away, cov = np.abs(z.mean(0) - want.mean), np.cov(z.T)
    assert away[0] < 0.06 and away[1] < 0.6
    np.testing.assert_allclose(np.diag(cov), np.diag(want.cov), rtol=0.25)


@pytest.mark.parametrize("name", list(EVERY))
def test_rows_do_not_depend_on_the_batch(name: str) -> None:
    prior, z_t, y = mixture("space"), points(4, 3, seed=9), points(4, 3, seed=10)
    mask = Mask(torch.tensor([1.0, 0.0, 1.0]))

    def run(rows: list[int]) -> Tensor:
        rng = ms.Streams(3, items=tuple(rows))
        return EVERY[name](prior, Measurement(mask, mask(y[rows]), 0.1), z_t[rows], times(6), rng=rng)

    single = torch.cat([run([row]) for row in range(4)])
    assert (run([0, 1, 2, 3]) - single).abs().max() < 1e-12


@pytest.mark.parametrize("name", list(EVERY))
def test_calls_are_those_of_the_docstring(name: str) -> None:
    prior = ms.Counting(mixture("space"))
    mask = Mask(torch.ones(3))
    EVERY[name](prior, Measurement(mask, points(2, 3), 0.1), points(2, 3), times(5), rng=generator())
    assert prior.calls == 2 * 5 * (2 if name == "daps" else 1)


def test_bad_input_is_one_line() -> None:
    mask = Mask(torch.ones(3))
    for noise in (0.0, -1.0, float("inf")):
        with pytest.raises(ValueError, match="noise must be positive") as raised:
            Measurement(mask, points(1, 3), noise)
        assert one_line(raised.value)
    with pytest.raises(ValueError, match="y must be finite"):
        Measurement(mask, points(1, 3) * float("nan"), 0.1)
    where = Measurement(mask, points(1, 3), 0.1)
    with pytest.raises(ValueError, match="weight must be positive"):
        diffpir(mixture("space"), where, points(1, 3), times(2), rng=generator(), weight=0.0)
    with pytest.raises(ValueError, match="flow_steps must be at least 1"):
        daps(mixture("space"), where, points(1, 3), times(2), rng=generator(), flow_steps=0)
