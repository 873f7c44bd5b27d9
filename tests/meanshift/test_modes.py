"""All modes and their basins, against optimisers and the true weights."""

from __future__ import annotations

import pytest
import torch
from cases_shift import (
    components,
    gaussian_ring,
    generator,
    prior_of,
    sample_mixture,
    tensor,
    three_gaussians,
    two_gaussians,
)
from oracles_shift import F64, kernel_sums, log_density, modes

import modeseek as ms
from modeseek.meanshift.modes import merge_modes

WEIGHTS = tensor(0.28, 0.2, 0.16, 0.13, 0.1, 0.07, 0.06)


def nearest(points: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Which target each point is nearest to."""
    return torch.cdist(points, targets).argmin(1)


def test_a_ring_of_gaussians_gives_back_its_modes_weights_and_labels():
    mixture, h, n = gaussian_ring(WEIGHTS), 0.3, 4000
    found = ms.find_modes(prior_of(mixture), h, n, rng=generator())
    true = modes(mixture, h, mixture.means)
    assert found.z.shape == (7, 2) and found.label.shape == (n,)
    which = nearest(found.z, true)
    assert sorted(which.tolist()) == list(range(7))
    assert (found.z - true[which]).norm(dim=1).max() <= 1e-5 * h
    assert torch.allclose(found.log_prob, log_density(mixture, true[which], h), rtol=0, atol=1e-9)
    # neighbours are 11 standard deviations apart, so basins weigh what components do; shares of n draws
    spread = (WEIGHTS[which] * (1 - WEIGHTS[which]) / n).sqrt()
    assert ((found.weight - WEIGHTS[which]).abs() <= 4 * spread).all()
    assert (found.weight.diff() <= 0).all()
    assert abs(float(found.weight.sum()) - 1) <= 1e-12
    assert torch.allclose(torch.bincount(found.label, minlength=7) / n, found.weight.float())


def test_labels_index_the_mode_of_each_start():
    mixture, h = gaussian_ring(WEIGHTS), 0.3
    starts = sample_mixture(mixture, 500, seed=4)
    found = ms.find_modes(prior_of(mixture), h, rng=generator(), starts=starts)
    result = ms.mean_shift(prior_of(mixture), starts, h)
    assert (result.z - found.z[found.label]).norm(dim=1).max() <= 1e-4 * h
    assert torch.equal(nearest(starts, mixture.means), nearest(found.z, mixture.means)[found.label])


def test_on_raw_samples_every_sample_is_a_start_and_a_subset_below_that():
    mixture, h = gaussian_ring(WEIGHTS), 0.4
    data = sample_mixture(mixture, 600)
    found = ms.find_modes(data, h, n_starts=10_000, rng=generator())
    assert len(found.label) == 600
    assert torch.equal(nearest(data, mixture.means), nearest(found.z, mixture.means)[found.label])
    means, log_p = kernel_sums(data, found.z, h)
    assert (means - found.z).norm(dim=1).max() <= 2e-6 * h
    assert torch.allclose(found.log_prob, log_p, rtol=0, atol=1e-6)
    subset = ms.find_modes(data, h, n_starts=50, rng=generator())
    assert len(subset.label) == 50
    again = ms.find_modes(data, h, n_starts=50, rng=generator())
    other = ms.find_modes(data, h, n_starts=50, rng=generator(1))
    assert torch.equal(subset.label, again.label) and not torch.equal(subset.label, other.label)


def test_starts_of_a_subset_are_distinct_samples():
    data = 100 * torch.arange(30, dtype=F64)[:, None]  # every sample is its own mode
    found = ms.find_modes(data, 1.0, n_starts=29, rng=generator())
    assert len(found.z) == 29 and torch.allclose(found.weight, torch.full((29,), 1 / 29, dtype=F64))


def test_a_wide_kernel_leaves_one_mode_and_a_narrow_one_both():
    # equal components of standard deviation s, 2a apart, merge where a^2 <= s^2 + h^2
    for h, expected in ((1.3, 2), (1.5, 1)):
        found = ms.find_modes(prior_of(two_gaussians(3.0, 0.5)), h, 200, rng=generator(), tol=1e-8, max_steps=20_000)
        assert len(found.z) == expected
    assert torch.allclose(found.z, torch.zeros(1, 2, dtype=F64), atol=1e-4)


def test_conditions_choose_the_component_modes():
    mixture = three_gaussians()
    prior = prior_of(mixture, labels=[0, 0, 1])
    for label, rows in ((0, [0, 1]), (1, [2])):
        found = ms.find_modes(prior, 0.3, 400, rng=generator(), cond=torch.tensor([label]))
        true = modes(components(mixture, rows), 0.3, mixture.means[rows])
        assert len(found.z) == len(rows)
        assert torch.cdist(found.z, true).amin(1).max() <= 1e-5


def test_starts_of_a_prior_without_samples_come_from_a_sampler():
    mixture, n = gaussian_ring(WEIGHTS), 600
    prior = ms.Counting(prior_of(mixture, ms.VE(0.01, 20.0)))
    found = ms.find_modes(prior, 0.4, n, rng=generator())
    assert prior.calls > n * 60  # 32 Heun steps, then the climb
    true = modes(mixture, 0.4, mixture.means)
    assert len(found.z) == 7 and torch.cdist(found.z, true).amin(1).max() <= 1e-5
    assert found.log_prob is None
    which = nearest(found.z, true)
    # 4 standard errors of a share, and 0.02 for the 32 steps of the sampler
    assert ((found.weight - WEIGHTS[which]).abs() <= 4 * (WEIGHTS[which] / n).sqrt() + 0.02).all()


def mean_shift_result(z: list[float], log_prob: list[float] | None, converged: list[bool]) -> ms.meanshift.MeanShift:
    """A hand-written result of mean shift."""
    n = len(z)
    shifts = torch.linspace(0.1, 0.2, n, dtype=F64)
    densities = None if log_prob is None else tensor(*log_prob)
    return ms.meanshift.MeanShift(
        tensor(*z)[:, None], torch.ones(n, dtype=torch.long), torch.tensor(converged), shifts, densities
    )


def test_merging_founds_modes_by_density_and_weighs_them_by_count():
    outcome = mean_shift_result([0.0, 0.05, 5.0, 5.04, 5.08, 9.0], [1.0, 2.0, 0.0, 0.5, 0.1, 9.9], [True] * 5 + [False])
    merged = merge_modes(outcome, 0.06)
    assert merged.z[:, 0].tolist() == [5.04, 0.05]
    assert merged.log_prob.tolist() == [0.5, 2.0]
    assert merged.label.tolist() == [1, 1, 0, 0, 0, -1]
    assert merged.weight.tolist() == pytest.approx([0.6, 0.4])


def test_merging_joins_to_founders_only():
    merged = merge_modes(mean_shift_result([0.0, 0.9, 1.8, 2.7], [4.0, 3.0, 2.0, 1.0], [True] * 4), 1.0)
    assert merged.z[:, 0].tolist() == [0.0, 1.8] and merged.label.tolist() == [0, 0, 1, 1]


def test_without_density_the_best_converged_end_founds():
    merged = merge_modes(mean_shift_result([0.0, 0.5], None, [True, True]), 1.0)
    assert merged.z[:, 0].tolist() == [0.0] and merged.log_prob is None  # the first has the smaller shift
    merged = merge_modes(mean_shift_result([0.0, 0.5], None, [False, True]), 1.0)
    assert merged.z[:, 0].tolist() == [0.5] and merged.label.tolist() == [-1, 0]


def test_the_merging_radius_is_in_bandwidths():
    data = tensor([0.0], [0.3], [10.0])
    found = ms.find_modes(data, 0.1, rng=generator(), merge=0.1)
    assert len(found.z) == 3
    assert len(ms.find_modes(data, 0.1, rng=generator(), merge=4.0).z) == 2


def test_bad_input_is_one_clear_line():
    prior = prior_of(three_gaussians())
    with pytest.raises(ValueError, match="at least one start, got n_starts=0"):
        ms.find_modes(prior, 0.5, 0, rng=generator())
    with pytest.raises(ValueError, match="positive and finite"):
        ms.find_modes(prior, -0.5, 5, rng=generator())
    with pytest.raises(ValueError, match="no start of 5 reached a mode in 1 steps"):
        ms.find_modes(prior, 0.5, 5, rng=generator(), max_steps=1)
