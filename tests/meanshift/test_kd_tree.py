"""The block k-d tree against sums over all samples."""

from __future__ import annotations

import pytest
import torch
from cases_shift import gaussian_ring, generator, sample_mixture, tensor, three_gaussians
from oracles_shift import F64, kernel_sums

from modeseek.meanshift.kd_tree import KDTreeMeanShift


@pytest.mark.parametrize("d", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [1, 63, 64, 65, 1000])
def test_shift_and_density_are_those_of_all_samples(n, d):
    g = generator(n + d)
    data = torch.randn(n, d, dtype=F64, generator=g)
    z = torch.cat([data[:40] + 0.05, 3 * torch.randn(300, d, dtype=F64, generator=g)])
    h = 0.2 + torch.rand(len(z), dtype=F64, generator=g)
    vector, log_p = KDTreeMeanShift(data).shift(z, h)
    for i in range(0, len(z), 17):
        mean, expected = kernel_sums(data, z[i : i + 1], float(h[i]))
        # what is cut off weighs at most exp(-18) a sample, against one sample's worth of mass; it lies within |data|
        cut = n * 1.6e-8 * (data.norm(dim=1).max() + z[i].norm())
        assert (vector[i] - (mean[0] - z[i])).norm() <= cut + 1e-12
        assert abs(float(log_p[i] - expected[0])) <= n * 1.6e-8 + 1e-12


def test_points_far_from_every_sample_use_all_samples():
    data = sample_mixture(three_gaussians(), 500)
    z = tensor([300.0, 0.0], [0.0, -5e4], [7.0, 7.0], [1e8, 1e8])
    h = tensor(0.2, 0.5, 0.3, 2.0)
    vector, log_p = KDTreeMeanShift(data).shift(z, h)
    for i in range(4):
        mean, expected = kernel_sums(data, z[i : i + 1], float(h[i]))
        assert torch.allclose(vector[i], mean[0] - z[i], rtol=1e-6)
        assert torch.allclose(log_p[i], expected[0], rtol=1e-9)


def test_samples_further_than_six_bandwidths_and_a_block_are_never_touched():
    data = torch.cat([sample_mixture(three_gaussians(), 200), sample_mixture(three_gaussians(), 200, seed=1) + 1000.0])
    index = KDTreeMeanShift(data)
    alone = KDTreeMeanShift(data[:200])
    z = sample_mixture(three_gaussians(), 20, seed=2)
    h = torch.full((20,), 0.5, dtype=F64)
    far = index._blocks[(index._low > 500).all(1)]
    assert len(far) >= 3
    index._blocks[(index._low > 500).all(1)] = float("nan")  # would spread to every sum that touched them
    assert torch.allclose(index.shift(z, h)[0], alone.shift(z, h)[0], rtol=0, atol=1e-12)


def test_equal_samples_and_a_line_are_split_too():
    same = torch.ones(500, 2, dtype=F64)
    vector, _ = KDTreeMeanShift(same).shift(tensor([0.5, 1.5]), tensor(1.0))
    assert torch.allclose(vector, tensor([0.5, -0.5]), rtol=0, atol=1e-14)
    line = torch.stack([torch.linspace(0, 1, 300, dtype=F64), torch.zeros(300, dtype=F64)], 1)
    vector, _ = KDTreeMeanShift(line).shift(tensor([0.3, 0.2]), tensor(0.1))
    expected = kernel_sums(line, tensor([0.3, 0.2]), 0.1)[0] - tensor([0.3, 0.2])
    assert torch.allclose(vector, expected, rtol=0, atol=1e-5)


def test_float32_away_from_the_origin_loses_nothing_to_cancellation():
    data = sample_mixture(gaussian_ring(tensor(*[1 / 4] * 4)), 800)
    z, h = data[:50], torch.full((50,), 0.4, dtype=F64)
    expected = kernel_sums(data, z, 0.4)[0] - z
    translated = (data + 2.0**12).float()  # exact shift of numbers rounded to 2^-11
    vector, _ = KDTreeMeanShift(translated).shift(translated[:50], h.float())
    # the inputs are rounded to 2.4e-4; their effect on the shift is of that size
    assert (vector.double() - expected).abs().max() <= 2e-3
