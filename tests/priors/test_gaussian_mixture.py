"""Gaussian mixtures against regression and Bayes' rule, at every schedule and level."""

from __future__ import annotations

import math

import numpy as np
import oracles
import pytest
import torch
from cases import (
    F64,
    LABELS,
    MIXTURES,
    SCHEDULES,
    class_mixture,
    error,
    full,
    generator,
    level,
    mixture,
    one_line,
    points,
    posteriors,
)
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import modeseek as ms

NAMES = ("line", "plane", "space", "gauss")


def log_probs(m: oracles.Mixture, z_t: Tensor, alpha: float, sigma: float) -> Tensor:
    law = oracles.noised(m, alpha, sigma)
    return torch.tensor([oracles.log_prob(law, x) for x in z_t.numpy()], dtype=F64)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("walk", list(SCHEDULES))
def test_prediction_and_density_match_the_oracle(name: str, walk: str) -> None:
    prior, d = mixture(name, SCHEDULES[walk]), MIXTURES[name].means.shape[1]
    for t in (0.0, 0.03, 0.4, 0.8, 1.0):
        alpha, sigma = level(SCHEDULES[walk], t)
        z_t = points(6, d, seed=1) * (alpha + sigma)
        p = prior(z_t, full(6, t))
        z, eps = posteriors(MIXTURES[name], z_t, alpha, sigma)
        assert error(p.z, z) <= 1e-10
        assert error(p.eps, eps) <= 1e-10
        assert error(prior.log_prob(z_t, full(6, t)), log_probs(MIXTURES[name], z_t, alpha, sigma)) <= 1e-11
        assert torch.allclose(alpha * p.z + sigma * p.eps, z_t, rtol=1e-11, atol=1e-11)
        assert not p.clamped.any()


@pytest.mark.parametrize("walk", ["vp", "ve", "flow"])
def test_labels_select_components_row_by_row(walk: str) -> None:
    prior = mixture("plane", SCHEDULES[walk])
    z_t, t, labels = points(6, 2), torch.linspace(0.05, 0.9, 6, dtype=F64), torch.tensor([0, 1, -1, 1, 0, -1])
    p, log_p = prior(z_t, t, labels), prior.log_prob(z_t, t, labels)
    for i, label in enumerate(labels.tolist()):
        alpha, sigma = level(SCHEDULES[walk], float(t[i]))
        m = class_mixture("plane", label)
        z, eps = posteriors(m, z_t[i : i + 1], alpha, sigma)
        assert error(p.z[i : i + 1], z) <= 1e-11 and error(p.eps[i : i + 1], eps) <= 1e-11
        assert error(log_p[i : i + 1], log_probs(m, z_t[i : i + 1], alpha, sigma)) <= 1e-11


def test_none_minus_one_and_conditions() -> None:
    prior, z_t, t = mixture("plane"), points(5, 2), full(5, 0.4)
    plain = prior(z_t, t)
    assert error(prior(z_t, t, torch.tensor([-1])).z, plain.z) <= 1e-14
    one = prior(z_t, t, torch.tensor([1]))
    assert torch.equal(prior(z_t, t, torch.full((5,), 1)).z, one.z)
    assert torch.equal(prior(z_t, t, ms.Conditions(positive=torch.tensor([1]))).z, one.z)
    assert not torch.allclose(one.z, plain.z)


def test_pure_noise_and_no_noise() -> None:
    m, z_t = MIXTURES["plane"], points(4, 2)
    p, log_p = mixture("plane").evaluate(z_t, full(4, 0.0), full(4, 1.0))
    assert torch.allclose(p.z, torch.tensor(m.mean).expand(4, 2), rtol=1e-14)
    assert torch.allclose(p.eps, z_t, rtol=1e-14)
    assert torch.allclose(log_p, -0.5 * z_t.square().sum(1) - math.log(2 * math.pi), rtol=1e-13)
    p, log_p = mixture("plane").evaluate(z_t, full(4, 1.0), full(4, 0.0))
    assert torch.allclose(p.z, z_t, rtol=1e-12)
    assert torch.equal(p.eps, torch.zeros_like(z_t))
    assert error(log_p, log_probs(m, z_t, 1.0, 0.0)) <= 1e-11
    assert torch.equal(mixture("plane").log_prob(z_t), log_p)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_apart_modes_at_little_noise(dtype: torch.dtype) -> None:
    prior, m = mixture("far", ms.VE(1e-4, 100.0), dtype), MIXTURES["far"]
    z_t = torch.tensor([[-500.0, 0.0], [500.0, 300.0], [0.0, 150.0], [-499.0, 0.7], [3e3, -2e3]], dtype=dtype)
    a, s = torch.ones(5, dtype=dtype), torch.full((5,), 1e-4, dtype=dtype)
    p, log_p = prior.evaluate(z_t, a, s)
    assert p.z.isfinite().all() and p.eps.isfinite().all() and log_p.isfinite().all()
    z, eps = posteriors(m, z_t.double(), 1.0, float(s[0]))
    tolerance = 1e-9 if dtype == torch.float64 else 1e-5
    assert error(p.z.double(), z) <= tolerance
    assert error(p.eps.double(), eps) <= 10 * tolerance
    assert error(log_p.double(), log_probs(m, z_t.double(), 1.0, float(s[0]))) <= tolerance


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("t", [0.05, 0.35, 0.9])
def test_score_is_the_gradient_of_the_oracles_density(name: str, t: float) -> None:
    alpha, sigma = level(SCHEDULES["vp"], t)
    law = oracles.noised(MIXTURES[name], alpha, sigma)
    z_t = points(5, MIXTURES[name].means.shape[1], seed=2, spread=1.0)
    got = mixture(name)(z_t, full(5, t)).score
    for x, score in zip(z_t.numpy(), got.numpy(), strict=True):
        want = oracles.gradient(lambda y: oracles.log_prob(law, y), x, 1e-3)
        np.testing.assert_allclose(score, want, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", ["line", "plane", "space"])
@pytest.mark.parametrize("label", [-1, 1])
def test_samples_have_the_mean_and_covariance(name: str, label: int) -> None:
    m, n = class_mixture(name, label), 100_000
    x = mixture(name).sample(n, generator(3), torch.tensor([label])).numpy()
    root = np.linalg.inv(np.linalg.cholesky(m.cov))
    white = (x - m.mean) @ root.T
    assert np.abs(white.mean(0)).max() <= 5 / math.sqrt(n)
    # the spread of each product of whitened coordinates gives its own standard error
    products = white[:, :, None] * white[:, None]
    bound = 5 * products.std(0) / math.sqrt(n)
    assert (np.abs(products.mean(0) - np.eye(len(m.mean))) <= bound).all()


def test_samples_fill_the_components_by_weight() -> None:
    x = mixture("far").sample(20_000, generator(1))
    assert abs((x[:, 0] < 0).double().mean() - 0.5) <= 5 * 0.5 / math.sqrt(20_000)
    assert (mixture("far").sample(500, generator(1), torch.tensor([1]))[:, 0] > 0).all()


@given(seed=st.integers(0, 1000), t=st.floats(0, 1))
def test_moving_the_mixture_moves_the_predictions(seed: int, t: float) -> None:
    m, rng = MIXTURES["plane"], np.random.default_rng(seed)
    axes, shift, order = np.linalg.qr(rng.normal(size=(2, 2)))[0], rng.normal(size=2), rng.permutation(3)
    moved = ms.GaussianMixture(
        torch.tensor(m.weights[order]),
        torch.tensor(m.means[order] @ axes.T + shift),
        torch.tensor(axes @ m.covs[order] @ axes.T),
    )
    alpha, sigma = level(ms.VP(), t)
    turn, by = torch.tensor(axes), torch.tensor(shift)
    z_t, a, s = points(4, 2, seed), full(4, alpha), full(4, sigma)
    p, log_p = mixture("plane").evaluate(z_t, a, s)
    q, log_q = moved.evaluate(z_t @ turn.T + alpha * by, a, s)
    assert error(q.z, p.z @ turn.T + by) <= 1e-10
    assert error(q.eps, p.eps @ turn.T) <= 1e-10
    assert error(log_q, log_p) <= 1e-10


@given(log_snr=st.floats(-4.5, 6), scale=st.floats(0.1, 10), names=st.permutations(list(SCHEDULES)))
def test_only_the_log_snr_matters(log_snr: float, scale: float, names: list[str]) -> None:
    target, z = torch.tensor([log_snr], dtype=F64), points(3, 2)
    z_hat = []
    for name in names[:2]:
        prior = mixture("plane", SCHEDULES[name])
        alpha, sigma = level(prior.schedule, float(prior.schedule.t_of(target)))
        z_hat.append(prior.at(z * alpha, full(3, alpha), full(3, sigma)).z)
        z_hat.append(prior.at(z * alpha * scale, full(3, alpha * scale), full(3, sigma * scale)).z)
    assert all(error(x, z_hat[0]) <= 1e-8 for x in z_hat[1:])


def test_batches_are_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    prior, z_t, t = mixture("space"), points(7, 3), torch.linspace(0, 1, 7, dtype=F64)
    whole = prior(z_t, t)
    for i in range(7):
        assert error(prior(z_t[i : i + 1], t[i : i + 1]).z, whole.z[i : i + 1]) <= 1e-12
    monkeypatch.setattr("modeseek.priors.gaussian_mixture._CHUNK", 12)  # two rows at a time
    assert error(prior(z_t, t).z, whole.z) <= 1e-12


def test_predictions_have_the_dtype_of_the_point() -> None:
    prior = mixture("plane")
    z_t = points(3, 2)
    single = prior(z_t.float(), full(3, 0.3).float())
    assert single.z.dtype == single.eps.dtype == torch.float32
    assert error(single.z.double(), prior(z_t, full(3, 0.3)).z) <= 1e-5
    assert prior.dtype == F64 and prior.shape == (2,) and prior.device == torch.device("cpu")


def test_grid_and_start() -> None:
    prior = mixture("plane", ms.VE())
    assert torch.equal(prior.grid(4), torch.tensor([1, 0.75, 0.5, 0.25, 0], dtype=F64))
    z_t = prior.start(4000, generator())
    assert z_t.shape == (4000, 2) and abs(z_t.std() / 80 - 1) < 0.05
    with pytest.raises(ValueError, match="at least one step") as caught:
        prior.grid(0)
    one_line(caught.value)


W, M, C = torch.tensor([0.5, 0.5]), torch.zeros(2, 2), torch.eye(2).expand(2, 2, 2)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ((W, torch.zeros(2), C), "means must be floating point"),
        ((W, torch.zeros(2, 2, dtype=torch.long), C), "means must be floating point"),
        ((W[:1], M, C), "weights must be"),
        ((W, M, torch.eye(3).expand(2, 3, 3)), "weights must be"),
        ((torch.tensor([0.5, math.nan]), M, C), "weights must be finite"),
        ((W, M / 0, C), "means must be finite"),
        ((W, M, C * math.inf), "covs must be finite"),
        ((torch.tensor([0.5, 0.6]), M, C), "sum to 1"),
        ((torch.tensor([1.5, -0.5]), M, C), "non-negative"),
        ((W, M, C + torch.tensor([[0.0, 0.5], [0.0, 0.0]])), "symmetric"),
        ((W, M, torch.diag(torch.tensor([1.0, 0.0])).expand(2, 2, 2)), "positive definite"),
        ((W, M, torch.diag(torch.tensor([1.0, -1.0])).expand(2, 2, 2)), "positive definite"),
        ((W, M, C, None, torch.tensor([0])), "labels must be non-negative"),
        ((W, M, C, None, torch.tensor([0.0, 1.0])), "labels must be non-negative"),
        ((W, M, C, None, torch.tensor([0, -1])), "labels must be non-negative"),
    ],
)
def test_bad_mixtures_raise_one_line(parts: tuple[Tensor, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        ms.GaussianMixture(*parts)  # pyright: ignore[reportArgumentType]
    one_line(caught.value)


def test_bad_labels_raise_one_line() -> None:
    z_t, t = points(2, 2), full(2, 0.5)
    with pytest.raises(ValueError, match="unknown label 7") as caught:
        mixture("plane")(z_t, t, torch.tensor([0, 7]))
    assert str(sorted(set(LABELS["plane"]))) in one_line(caught.value)
    m = MIXTURES["plane"]
    bare = ms.GaussianMixture(*(torch.tensor(x) for x in (m.weights, m.means, m.covs)))
    with pytest.raises(ValueError, match="no classes") as caught:
        bare(z_t, t, torch.tensor([0, 1]))
    one_line(caught.value)
    with pytest.raises(ValueError, match="batch size 2") as caught:
        mixture("plane")(z_t, t, torch.tensor([0, 1, 0]))
    one_line(caught.value)
