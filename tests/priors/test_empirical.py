"""The exact denoiser of a data set against brute force, in both precisions and at every bandwidth."""

from __future__ import annotations

import math

import numpy as np
import oracles
import pytest
import torch
from cases import F64, SCHEDULES, error, full, generator, level, one_line, points
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import modeseek as ms

BANDWIDTHS = (1e-4, 1e-3, 1e-2, 0.1, 0.5, 1.0, 3.0, 30.0, 1e3, 1e4)


def brute(data: Tensor, z_t: Tensor, alpha: float, sigma: float) -> tuple[Tensor, Tensor]:
    """The oracle's kernel means and log densities."""
    array = data.double().numpy()
    means = [oracles.kernel_mean(array, x, alpha, sigma) for x in z_t.double().numpy()]
    logs = [oracles.kernel_log_prob(array, x, alpha, sigma) for x in z_t.double().numpy()]
    return torch.tensor(np.stack(means)), torch.tensor(logs, dtype=F64)


@pytest.mark.parametrize("h", BANDWIDTHS)
@pytest.mark.parametrize("chunk", [1, 7, 64, 8192])
def test_matches_brute_force(h: float, chunk: int) -> None:
    data, z_t = points(61, 3), points(9, 3, seed=1)
    p, log_p = ms.Empirical(data, chunk=chunk).evaluate(z_t, full(9, 1.0), full(9, h))
    z, log_want = brute(data, z_t, 1.0, h)
    assert error(p.z, z) <= 1e-10
    assert error(log_p, log_want) <= 1e-10
    assert error(p.eps, (z_t - z) / h) <= 1e-10


@pytest.mark.parametrize("walk", list(SCHEDULES))
def test_every_schedule_and_both_ends(walk: str) -> None:
    data = points(40, 2)
    prior = ms.Empirical(data, SCHEDULES[walk], chunk=16)
    for t in (0.02, 0.3, 0.7, 1.0):
        alpha, sigma = level(SCHEDULES[walk], t)
        z_t = points(5, 2, seed=2) * (alpha + sigma)
        p = prior(z_t, full(5, t))
        assert error(p.z, brute(data, z_t, alpha, sigma)[0]) <= 1e-9
        assert torch.allclose(alpha * p.z + sigma * p.eps, z_t, rtol=1e-11, atol=1e-11)


def test_pure_noise_gives_the_mean_and_no_noise_the_nearest_datum() -> None:
    data, z_t = points(40, 2), points(6, 2, seed=1)
    prior = ms.Empirical(data, chunk=16)
    p = prior.at(z_t, full(6, 0.0), full(6, 1.0))
    assert error(p.z, data.mean(0).expand(6, 2)) <= 1e-13
    assert error(p.eps, z_t) <= 1e-13
    p = prior.at(z_t, full(6, 1.0), full(6, 0.0))
    nearest = data[torch.cdist(z_t, data).argmin(1)]
    assert error(p.z, nearest) <= 1e-14 and torch.equal(p.eps, torch.zeros_like(z_t))


@given(seed=st.integers(0, 500), log_h=st.floats(-9, 9), n=st.integers(1, 30), d=st.integers(1, 4))
def test_shift_is_the_classical_mean_shift(seed: int, log_h: float, n: int, d: int) -> None:
    data, z, h = points(n, d, seed), points(3, d, seed + 1), math.exp(log_h)
    distance = (z[:, None] - data).square().sum(2)
    weights = (-(distance - distance.amin(1, keepdim=True)) / (2 * h * h)).exp()  # Comaniciu and Meer, normalised below
    want = weights @ data / weights.sum(1, keepdim=True) - z
    assert error(ms.shift(ms.Empirical(data), z, h), want) <= 1e-8


def test_labels_select_rows_of_the_data() -> None:
    data, labels = points(50, 2), torch.arange(50) % 3
    prior = ms.Empirical(data, labels=labels, chunk=8)
    cond, z_t = torch.tensor([2, -1, 0, 2, 1]), points(5, 2, seed=1)
    p, log_p = prior.evaluate(z_t, full(5, 0.8), full(5, 0.6), cond)
    for i, label in enumerate(cond.tolist()):
        chosen = data if label < 0 else data[labels == label]
        z, log_want = brute(chosen, z_t[i : i + 1], 0.8, 0.6)
        assert error(p.z[i : i + 1], z) <= 1e-11 and error(log_p[i : i + 1], log_want) <= 1e-11
    assert error(prior.at(z_t, full(5, 0.8), full(5, 0.6)).z[1], p.z[1]) <= 1e-14  # sums in another order
    assert torch.allclose(prior.data, torch.cat([data[labels == label] for label in range(3)]), rtol=0, atol=1e-15)


def test_images() -> None:
    data = torch.rand(20, 3, 4, 5, generator=generator(), dtype=F64)
    z_t = torch.rand(4, 3, 4, 5, generator=generator(1), dtype=F64)
    prior = ms.Empirical(data, chunk=6)
    p, log_p = prior.evaluate(z_t, full(4, 0.9), full(4, 0.3))
    z, log_want = brute(data, z_t, 0.9, 0.3)
    assert prior.shape == (3, 4, 5)
    assert error(p.z, z) <= 1e-11 and error(log_p, log_want) <= 1e-11
    assert prior.sample(6, generator()).shape == (6, 3, 4, 5)


def hard(kind: str) -> tuple[Tensor, Tensor]:
    """Float32 data sets on which round-off hurts, and points to evaluate at; some half-way between two data."""
    g = generator(5)
    d = 3072 if kind == "images" else 2
    centers = 2 * torch.randn(6, d, generator=g)
    data = centers.repeat_interleave(8, 0) + 0.01 * torch.randn(48, d, generator=g)
    data = torch.cat([data, data[:16], data[:4] + 1e-3])  # duplicates and near duplicates
    if kind == "offset":
        data = data + 1e3
    middle = (data[[0, 8, 16]].double() + data[[30, 40, 64]].double()) / 2
    aside = data[[0, 9, 33]] + 0.3 * torch.randn(3, d, generator=g)
    return data, torch.cat([middle.float(), aside, data[[5, 60]]])


@pytest.mark.parametrize("kind", ["plain", "offset", "images"])
@pytest.mark.parametrize("h", BANDWIDTHS)
def test_single_precision_agrees_with_double(kind: str, h: float) -> None:
    data, z_t = hard(kind)
    n = len(z_t)
    got, log_got = ms.Empirical(data, chunk=20).evaluate(z_t, torch.ones(n), torch.full((n,), h))
    z, log_p = brute(data, z_t, 1.0, float(torch.tensor(h)))
    spread = data.double().std(0).norm()
    assert got.z.isfinite().all() and got.eps.isfinite().all()
    ulp = 4 * torch.finfo(torch.float32).eps * data.double().norm(dim=1).max()  # what the dtype of the result can hold
    assert ((got.z - z).norm(dim=1) <= 1e-3 * spread + ulp).all()
    assert ((log_got - log_p).abs() <= 1e-3 * log_p.abs().clamp(min=1)).all()


@pytest.mark.parametrize("h", BANDWIDTHS)
def test_a_point_half_way_between_two_data_is_shared_equally(h: float) -> None:
    data = torch.tensor([[-1.0, 0.25], [1.0, 0.25], [0.5, 40.0]])
    z = ms.Empirical(data).at(torch.tensor([[0.0, 0.25]]), torch.ones(1), torch.tensor([h])).z
    want = brute(data, torch.tensor([[0.0, 0.25]]), 1.0, float(torch.tensor(h)))[0]
    assert error(z.double(), want) <= 1e-5


@pytest.mark.parametrize("h", BANDWIDTHS)
@given(seed=st.integers(0, 200))
def test_half_way_between_any_two_float32_data(h: float, seed: int) -> None:
    g = generator(seed)
    # twelve significant bits: the midpoint, and its distances to both data, are exact in float32
    data = torch.round(torch.randn(2, 2, generator=g) * 1024) / 1024
    far = torch.tensor([[9.3], [-9.3]]) + 0.1 * torch.randn(2, 2, generator=g)  # the mean of all is no round number
    middle, data = data.mean(0, keepdim=True), torch.cat([data, far])
    z = ms.Empirical(data).at(middle, torch.ones(1), torch.tensor([h])).z
    want = brute(data, middle, 1.0, float(torch.tensor(h)))[0]
    assert error(z.double(), want) <= 1e-3


def test_memory_is_batch_times_chunk() -> None:
    class Largest(TorchDispatchMode):
        numel = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            for x in out if isinstance(out, (tuple, list)) else (out,):
                if isinstance(x, Tensor):
                    self.numel = max(self.numel, x.numel())
            return out

    n, d, b, chunk = 6_000, 6, 4, 200
    prior, z_t = ms.Empirical(points(n, d), chunk=chunk), points(b, d, seed=1)
    for h in (1e-3, 1.0, 100.0):
        with Largest() as largest:
            prior.at(z_t, full(b, 1.0), full(b, h))
        assert 0 < largest.numel <= b * chunk * d  # and not b n, nor n d


def test_samples_are_data_in_equal_shares() -> None:
    data, labels = torch.arange(4, dtype=F64)[:, None], torch.tensor([0, 0, 1, 1])
    prior = ms.Empirical(data, labels=labels)
    x = prior.sample(8000, generator())
    counts = torch.stack([(x == v).sum() for v in data[:, 0]]).double() / 8000
    assert (counts - 0.25).abs().max() <= 5 * math.sqrt(0.25 * 0.75 / 8000)
    cond = torch.tensor([0, 1]).repeat(50)
    assert torch.equal((prior.sample(100, generator(), cond)[:, 0] >= 2).long(), cond)


def test_a_single_datum_and_permutations() -> None:
    one, z_t = points(1, 2), points(3, 2, seed=1)
    assert error(ms.Empirical(one).at(z_t, full(3, 0.5), full(3, 0.5)).z, one.expand(3, 2)) <= 1e-14
    data = points(30, 2)
    mixed = data[torch.randperm(30, generator=generator())]
    a, b = (ms.Empirical(x, chunk=7).at(z_t, full(3, 1.0), full(3, 0.4)).z for x in (data, mixed))
    assert error(a, b) <= 1e-12


DATA = torch.zeros(3, 2)


@pytest.mark.parametrize(
    ("data", "labels", "reason"),
    [
        (torch.zeros(0, 2), None, "floating point"),
        (torch.zeros(3), None, "floating point"),
        (torch.zeros(3, 2, dtype=torch.long), None, "floating point"),
        (torch.tensor([[0.0, math.nan]]), None, "finite"),
        (torch.tensor([[0.0, math.inf]]), None, "finite"),
        (DATA, torch.tensor([0, 1]), "labels must be non-negative"),
        (DATA, torch.tensor([0.0, 1.0, 2.0]), "labels must be non-negative"),
        (DATA, torch.tensor([0, -1, 2]), "labels must be non-negative"),
    ],
)
def test_bad_data_raise_one_line(data: Tensor, labels: Tensor | None, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        ms.Empirical(data, labels=labels)
    one_line(caught.value)


def test_bad_chunk_and_labels_raise_one_line() -> None:
    z_t, a = torch.zeros(2, 2), torch.full((2,), 0.5)
    with pytest.raises(ValueError, match="no classes") as caught:
        ms.Empirical(DATA).at(z_t, a, a, torch.tensor([0, 0]))
    one_line(caught.value)
    with pytest.raises(ValueError, match="unknown label 4") as caught:
        ms.Empirical(DATA, labels=torch.tensor([0, 1, 2])).at(z_t, a, a, torch.tensor([0, 4]))
    one_line(caught.value)
    for chunk in (0, -5):
        with pytest.raises(ValueError, match="chunk") as caught:
            ms.Empirical(DATA, chunk=chunk).at(z_t, a, a)
        one_line(caught.value)
