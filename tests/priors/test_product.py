"""A prior times a kernel against closed forms and quadrature, and the mean-shift identity behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import oracles
import pytest
import torch
from cases import (
    F64,
    MIXTURES,
    SCHEDULES,
    ZERO_SNR_SCHEDULES,
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
from modeseek.diffusion.prediction import Prediction
from modeseek.priors.wrapper import PriorWrapper

CENTER = torch.tensor([[0.9, -1.1]], dtype=F64)
WALKS = pytest.mark.parametrize("walk", list(SCHEDULES))
BOX = oracles.Grid.around([-7.0, -7.0], [7.0, 7.0], 421)


@dataclass
class RecordingLevels(PriorWrapper):
    """Prior that records the noise-to-signal ratio of every evaluation."""

    prior: ms.Prior
    ratios: list[Tensor] = field(default_factory=list)

    def at(self, z_t: Tensor, alpha: Tensor, sigma: Tensor, cond: object = None) -> Prediction:
        self.ratios.append(sigma / alpha)
        return self.prior.at(z_t, alpha, sigma, cond)


@WALKS
@pytest.mark.parametrize("h", [1e-3, 0.3, 2.0, 100.0])
@pytest.mark.parametrize("name", ["gauss", "plane"])
def test_denoiser_matches_the_closed_form(walk: str, h: float, name: str) -> None:
    product = ms.Product(mixture(name, SCHEDULES[walk]), CENTER, h)
    q = oracles.times_kernel(MIXTURES[name], CENTER[0].numpy(), h)
    for t in (0.0, 1e-3, 0.2, 0.5, 0.9, 1.0):
        alpha, sigma = level(SCHEDULES[walk], t)
        z_t = alpha * CENTER + points(5, 2) * math.sqrt((alpha * h) ** 2 + sigma**2)
        p = product(z_t, full(5, t))
        z, eps = posteriors(q, z_t, alpha, sigma)
        assert ((p.z - z).norm(dim=1) <= 1e-8 * z.norm(dim=1)).all()
        assert error(p.eps, eps) <= 1e-8
        assert torch.allclose(alpha * p.z + sigma * p.eps, z_t, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("h", [0.15, 0.5, 1.5])
def test_denoiser_of_a_mixture_matches_quadrature(h: float) -> None:
    log_q = BOX.log_density(MIXTURES["plane"]) - 0.5 * ((BOX.points - CENTER.numpy()) ** 2).sum(1) / h**2
    for alpha, sigma in ((1.0, 0.3), (0.6, 0.8), (0.068, 0.998)):
        z_t = alpha * CENTER + points(3, 2) * math.sqrt((alpha * h) ** 2 + sigma**2)
        p = ms.Product(mixture("plane"), CENTER, h).at(z_t, full(3, alpha), full(3, sigma))
        want = np.stack([BOX.posterior_mean(log_q, x, alpha, sigma) for x in z_t.numpy()])
        assert error(p.z, torch.tensor(want)) <= 1e-8


@pytest.mark.parametrize("name", ["line", "plane"])
@pytest.mark.parametrize("h", [0.1, 0.4, 1.0, 2.5])
def test_shift_climbs_the_smoothed_density(name: str, h: float) -> None:
    """`D(z; h) - z = h^2 grad log p_h(z)`, the right side by differences of a quadrature."""
    m = MIXTURES[name]
    grid = oracles.Grid.around([-12.0], [12.0], 4001) if name == "line" else BOX
    log_p, z = grid.log_density(m), points(3, m.means.shape[1], seed=4, spread=1.0)
    got = ms.shift(mixture(name), z, h)
    for x, vector in zip(z.numpy(), got.numpy(), strict=True):
        want = h**2 * oracles.gradient(lambda y: grid.log_noised_density(log_p, y, 1.0, h), x, 0.02 * h)
        np.testing.assert_allclose(vector, want, rtol=0, atol=1e-6)
    means = np.stack([grid.posterior_mean(log_p, x, 1.0, h) for x in z.numpy()])
    assert error(got + z, torch.tensor(means)) <= 1e-8


@WALKS
def test_pure_noise_gives_the_mean_shift_target(walk: str) -> None:
    product = ms.Product(mixture("plane", SCHEDULES[walk]), CENTER, 0.7)
    p = product.at(points(3, 2), full(3, 0.0), full(3, 1.0))
    target = CENTER + ms.shift(mixture("plane"), CENTER, 0.7)
    assert error(p.z, target.expand(3, 2)) <= 1e-12
    assert error(p.eps, points(3, 2)) <= 1e-12


@pytest.mark.slow
@WALKS
def test_heun_samples_the_closed_form_mean_and_covariance(walk: str) -> None:
    """The flow of a Gaussian is affine: three points give its matrix and offset, hence the law of the samples."""
    h, n, schedule = 0.8, 200, SCHEDULES[walk]
    product = ms.Product(mixture("gauss", schedule), CENTER, h)
    q = oracles.times_kernel(MIXTURES["gauss"], CENTER[0].numpy(), h)
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=F64)
    scale = level(schedule, 1.0)[1]
    times = product.grid(n) ** 2  # small last steps: the last one, onto sigma = 0, is of first order
    ends = ms.heun(product, scale * corners, times).numpy()
    matrix = (ends[1:] - ends[0]).T / scale
    before, after = (oracles.noised(q, *level(schedule, t)) for t in (1.0, 0.0))
    mean = ends[0] + matrix @ before.means[0]
    cov = matrix @ before.covs[0] @ matrix.T
    np.testing.assert_allclose(mean, after.means[0], rtol=0, atol=4e-4)
    np.testing.assert_allclose(cov, after.covs[0], rtol=0, atol=4e-4)


@pytest.mark.slow
@pytest.mark.parametrize("walk", ZERO_SNR_SCHEDULES)
def test_sampling_from_its_own_start(walk: str) -> None:
    product, n = ms.Product(mixture("gauss", SCHEDULES[walk]), CENTER, 0.8), 40_000
    q = oracles.times_kernel(MIXTURES["gauss"], CENTER[0].numpy(), 0.8)
    x = ms.heun(product, product.start(n, generator()), product.grid(32) ** 2).numpy()
    white = (x - q.mean) @ np.linalg.inv(np.linalg.cholesky(q.cov)).T
    assert np.abs(white.mean(0)).max() <= 5 / math.sqrt(n) + 2e-3
    assert np.abs(np.cov(white.T) - np.eye(2)).max() <= 5 * math.sqrt(2 / n) + 5e-3


@WALKS
def test_start_has_the_law_it_claims(walk: str) -> None:
    schedule, h, n = SCHEDULES[walk], torch.tensor([0.3, 2.0], dtype=F64), 40_000
    product = ms.Product(mixture("plane", schedule), points(2, 2), h)
    x = product.start(2 * n, generator()).reshape(2, n, 2)
    alpha, sigma = level(schedule, 1.0)
    spread = (sigma**2 + alpha**2 * h**2).sqrt()[:, None]
    white = (x - alpha * points(2, 2)[:, None]) / spread[:, None]
    assert white.mean(1).abs().max() <= 5 / math.sqrt(n)
    assert (white.std(1) - 1).abs().max() <= 5 / math.sqrt(2 * n)


def test_a_product_of_a_product_is_one_product() -> None:
    other, h, k = torch.tensor([[-0.4, 0.3]], dtype=F64), 0.7, 1.3
    precision = 1 / h**2 + 1 / k**2
    merged = ms.Product(mixture("plane"), (CENTER / h**2 + other / k**2) / precision, precision**-0.5)
    nested = ms.Product(ms.Product(mixture("plane"), CENTER, h), other, k)
    for t in (0.05, 0.5, 1.0):
        p, q = (x(points(4, 2), full(4, t)) for x in (nested, merged))
        assert error(p.z, q.z) <= 1e-10 and error(p.eps, q.eps) <= 1e-10


@given(h=st.floats(1e-3, 1e2), alpha=st.floats(0, 1), sigma=st.floats(0, 100).filter(lambda s: s == 0 or s > 1e-6))
def test_the_prior_is_never_evaluated_above_the_bandwidth(h: float, alpha: float, sigma: float) -> None:
    if alpha < 1e-6 and sigma == 0:
        return
    inner = RecordingLevels(mixture("plane"))
    ms.Product(inner, CENTER, h).at(points(2, 2), full(2, alpha), full(2, sigma))
    ratio = torch.cat(inner.ratios)
    assert (ratio <= h * (1 + 1e-12)).all() and len(inner.ratios) == 1
    want = 1 / math.sqrt(1 / h**2 + (alpha / sigma) ** 2) if sigma > 0 else 0.0
    assert torch.allclose(ratio, full(2, want), rtol=1e-9, atol=0)


def test_a_network_is_evaluated_within_its_range() -> None:
    data = points(200, 2).float()
    network = ms.Network.train(data, steps=2, batch=16, width=8, depth=1, schedule=ms.VE(), rng=generator())
    top = network.preconditioning.sigma_max
    z_t, one = 80 * points(3, 2).float(), torch.ones(3)
    assert network(z_t, one).clamped.all()
    assert not ms.Product(network, CENTER.float(), 0.9 * top)(z_t, one).clamped.any()
    assert ms.Product(network, CENTER.float(), 1.1 * top)(z_t, one).clamped.all()


def test_centers_and_bandwidths_per_row_and_conditions() -> None:
    centers, h = points(3, 2, seed=3), torch.tensor([0.2, 0.9, 4.0], dtype=F64)
    labels, z_t, t = torch.tensor([1, 0, -1]), points(3, 2), torch.tensor([0.2, 0.6, 0.9], dtype=F64)
    p = ms.Product(mixture("plane"), centers, h)(z_t, t, labels)
    for i, label in enumerate(labels.tolist()):
        q = oracles.times_kernel(class_mixture("plane", label), centers[i].numpy(), float(h[i]))
        z, eps = posteriors(q, z_t[i : i + 1], *level(ms.VP(), float(t[i])))
        assert error(p.z[i : i + 1], z) <= 1e-10 and error(p.eps[i : i + 1], eps) <= 1e-10


def test_a_guided_prior_inside() -> None:
    conditions = ms.Conditions(positive=torch.tensor([1]), null=torch.tensor([-1]))
    counting = ms.Counting(mixture("plane"))
    product = ms.Product(ms.Guided(counting, 3.0), CENTER, 0.6)
    p = product.at(points(2, 2), full(2, 0.0), full(2, 1.0), conditions)
    want = CENTER + ms.shift(ms.Guided(mixture("plane"), 3.0), CENTER, 0.6, conditions)
    assert error(p.z, want.expand(2, 2)) <= 1e-12
    assert counting.calls == 4


def test_images_and_a_sampling_schedule() -> None:
    data = torch.rand(12, 1, 3, 3, generator=generator(), dtype=F64)
    product = ms.Product(ms.Empirical(data), data[:2], 0.4, sampling_schedule=ms.Flow())
    assert product.schedule == ms.Flow() and product.shape == (1, 3, 3) and product.dtype == F64
    z_t = product.start(2, generator())
    z = ms.heun(product, z_t, product.grid(8))
    assert z.shape == (2, 1, 3, 3) and z.isfinite().all()
    p = product.at(z_t, full(2, 0.0), full(2, 1.0))
    want = np.stack([oracles.kernel_mean(data.numpy(), x, 1.0, 0.4) for x in data[:2].numpy()])
    assert error(p.z, torch.tensor(want)) <= 1e-11


@pytest.mark.parametrize("h", [0.0, -1.0, math.nan, math.inf, torch.tensor([1.0, 0.0]), torch.ones(1, 1)])
def test_bad_bandwidths_raise_one_line(h: float | Tensor, unchecked: None) -> None:
    with pytest.raises(ValueError, match="bandwidth") as caught:
        ms.Product(mixture("plane"), CENTER, h)
    one_line(caught.value)
    if not isinstance(h, Tensor):
        with pytest.raises(ValueError, match="bandwidth") as caught:
            ms.shift(mixture("plane"), CENTER, h)
        one_line(caught.value)


def test_samples_that_cannot_be_shared_raise_one_line() -> None:
    product = ms.Product(mixture("plane"), points(2, 2), 0.5)
    with pytest.raises(ValueError, match="3 samples cannot be shared by 2 centers") as caught:
        product.start(3, generator())
    one_line(caught.value)
