"""SJC: both ways of reducing variance, in closed form."""

from __future__ import annotations

import pytest
import torch
from cases_methods import (
    NAMES,
    POSITIVE,
    PerRow,
    Z,
    branch_sum,
    check_batch,
    check_linear,
    check_moments,
    class_prior,
    count_calls,
    label_conditions,
    levels,
    one_line,
    step,
)
from cases_shift import generator, prior_of, three_gaussians
from oracles_shift import F64, gradient, level, log_density, noise_average, noised

import modeseek as ms
from modeseek.methods.sjc import SJC


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize("reduced", [True, False])
def test_mean_and_variance_on_a_gaussian(schedule, reduced):
    mean, factor = branch_sum({POSITIVE: 1.0}, -1.0 if reduced else 0.0, *levels(schedule))
    check_linear(SJC(PerRow(), reduced), class_prior(schedule), mean, factor, conditions=label_conditions())


def test_subtracting_the_noise_helps_only_above_the_data_s_spread():
    alpha, sigma = levels("VP")
    with_n, without = (branch_sum({POSITIVE: 1.0}, own, alpha, sigma) for own in (-1.0, 0.0))
    assert torch.equal(with_n[0], without[0])
    noisy = sigma / alpha > torch.tensor([0.5, 0.1], dtype=F64).sqrt()
    assert torch.equal(with_n[1].abs() < without[1].abs(), noisy) and noisy.any() and not noisy.all()


@pytest.mark.parametrize("reduced", [True, False])
def test_on_a_mixture_its_mean_is_the_slope_of_the_blurred_log_density(reduced):
    """I2 with alpha = 1 and h = sigma / alpha: `-h grad E log p_h(z + h n)`."""
    alpha, sigma = level("VP", 0.5)
    h, z, n = sigma / alpha, Z[0], 40_000
    law = noised(three_gaussians(), 1.0, h)
    expected = -h * gradient(lambda x: noise_average(lambda e: log_density(law, x + h * e)), z)
    grads = step(SJC(PerRow((0.5,)), reduced), prior_of(three_gaussians()), z.expand(n, 2)).grad
    error = grads.std(0) / n**0.5
    assert ((grads.mean(0) - expected).abs() <= 4 * error).all() and (error < 0.1 * expected.norm()).all()


def test_it_is_sds_with_weight_one_at_the_same_level():
    """I10."""
    for schedule in NAMES:
        ours = step(SJC(PerRow()), class_prior(schedule), Z, conditions=label_conditions())
        sds = step(ms.SDS(PerRow(), ms.weights.unit_weight), class_prior(schedule), Z, conditions=label_conditions())
        assert torch.equal(ours.eps, sds.eps) and torch.allclose(ours.grad, sds.grad, rtol=0, atol=1e-10)


def test_samples_are_averaged_at_one_level():
    n, samples = 2000, 5
    mean, factor = branch_sum({POSITIVE: 1.0}, -1.0, *levels("VP"))
    direction = step(SJC(PerRow(), samples=samples), class_prior(), Z.repeat(n, 1), conditions=label_conditions())
    assert direction.eps is None and direction.prediction is None and direction.t.shape == (4 * n,)
    check_moments(direction.grad.reshape(n, 4, 2), mean, factor / samples**0.5)


@pytest.mark.parametrize("method", [SJC(), SJC(samples=3), SJC(variance_reduction=False)])
def test_a_batch_goes_as_its_items_do(method):
    check_batch(method, class_prior(), label_conditions())
    check_batch(method, ms.Guided(class_prior(), 5.0), label_conditions())
    check_batch(method, class_prior("Flow"), None)


def test_calls():
    assert count_calls(SJC()) == 4 and count_calls(SJC(samples=3)) == 12
    assert count_calls(SJC(samples=3), guided=5.0, conditions=label_conditions()) == 24


def test_images():
    prior = ms.Empirical(torch.rand(20, 1, 4, 4, generator=generator()))
    direction = step(SJC(samples=2), prior, torch.rand(3, 1, 4, 4))
    assert direction.grad.shape == (3, 1, 4, 4) and direction.grad.isfinite().all()


def test_bad_use_is_one_clear_line():
    with pytest.raises(ValueError, match="SJC needs samples >= 1, got 0") as error:
        SJC(samples=0)
    one_line(error.value)
    with pytest.raises(ValueError, match=r"needs alpha > 0 .*, got t = 1") as error:
        step(SJC(ms.noise_levels.Annealed(1.0, 1.0)), class_prior("Flow"), Z)
    one_line(error.value)
