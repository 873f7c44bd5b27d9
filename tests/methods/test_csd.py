"""CSD: the classifier's gradient, its schedule of coefficients, its normalisation."""

from __future__ import annotations

import pytest
import torch
from cases_methods import (
    NAMES,
    NEGATIVE,
    NULL,
    POSITIVE,
    PerRow,
    Z,
    branch_sum,
    check_batch,
    check_linear,
    class_prior,
    count_calls,
    label_conditions,
    levels,
    one_line,
    step,
)
from cases_shift import components, prior_of, three_gaussians
from oracles_shift import gradient, level, log_density, noised

import modeseek as ms
from modeseek.methods.csd import CSD
from modeseek.ramp import Ramp

FULL = {"positive": 2.0, "negative": -0.7, "null": -0.9, "noise": -0.4}


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize(
    "shares", [{}, FULL, {"negative": -0.25, "null": -0.75}, {"positive": 3.0, "null": -2.0, "noise": -1.0}]
)
def test_mean_and_variance_of_any_four_coefficients(schedule, shares):
    every = {"positive": 1.0, "negative": 0.0, "null": -1.0, "noise": 0.0, **shares}
    alpha, sigma = levels(schedule)
    labels = {POSITIVE: every["positive"], NEGATIVE: every["negative"], NULL: every["null"]}
    mean, factor = branch_sum(labels, every["noise"], alpha, sigma)
    w = sigma**2
    method = CSD(PerRow(), ms.sigma_squared, **shares)
    check_linear(method, class_prior(schedule), w * mean, w * factor, conditions=label_conditions())


def test_it_descends_the_implicit_classifier():
    """I5: `eps_pos - eps_null = -sigma grad log p(cond | z_t)`, on a mixture, by finite differences."""
    prior, t = prior_of(three_gaussians(), labels=[0, 0, 1]), 0.45
    alpha, sigma = level("VP", t)
    everything, part = noised(three_gaussians(), alpha, sigma), noised(components(three_gaussians(), [2]), alpha, sigma)
    direction = step(CSD(PerRow((t,) * 4)), prior, Z, conditions=label_conditions(1, -1, None))
    for z_t, grad in zip(direction.prediction.z_t, direction.grad, strict=True):
        slope = gradient(lambda x: log_density(part, x[None])[0] - log_density(everything, x[None])[0], z_t)
        assert torch.allclose(grad, -sigma * slope, rtol=0, atol=1e-8) and grad.norm() > 1e-3


def test_a_multiple_of_the_noise_changes_the_variance_and_no_mean():
    one = step(CSD(PerRow(), positive=3.0, null=-2.0, noise=-1.0), class_prior(), Z, conditions=label_conditions())
    two = step(CSD(PerRow(), positive=3.0, null=-3.0), class_prior(), Z, conditions=label_conditions())
    alpha, sigma = levels("VP")
    null_mean, null_factor = branch_sum({NULL: 1.0}, -1.0, alpha, sigma)
    assert torch.allclose(one.grad - two.grad, null_mean + null_factor * one.eps, rtol=0, atol=1e-11)


def test_with_the_noise_it_is_sds():
    s = 7.5
    ours = step(
        CSD(PerRow(), ms.sigma_squared, s, 0.0, 1 - s, -1.0),
        class_prior(),
        Z,
        conditions=label_conditions(negative=None),
    )
    guided = ms.Guided(class_prior(), s)
    sds = step(ms.SDS(PerRow(), ms.sigma_squared), guided, Z, conditions=label_conditions(negative=None))
    assert torch.allclose(ours.grad, sds.grad, rtol=0, atol=1e-10)


def test_equal_prompts_give_nothing():
    grad = step(CSD(), class_prior(), Z, conditions=label_conditions(0, 0, None)).grad
    assert grad.abs().max() <= 1e-14
    zero = step(CSD(positive=0.0, null=0.0, normalise=True), class_prior(), Z, conditions=label_conditions()).grad
    assert torch.equal(zero, torch.zeros_like(Z))


@pytest.mark.parametrize("progress", [0.0, 0.25, 1.0])
def test_the_negative_prompt_takes_over_along_the_run(progress):
    method = CSD(PerRow(), null=Ramp(-1.0, 0.0), negative=Ramp(0.0, -1.0))
    assert method.coefficients(progress) == pytest.approx((1.0, -progress, progress - 1.0, 0.0))
    mean, factor = branch_sum({POSITIVE: 1.0, NEGATIVE: -progress, NULL: progress - 1}, 0.0, *levels("VP"))
    check_linear(method, class_prior(), mean, factor, n=500, conditions=label_conditions(), progress=progress)
    late = CSD(null=Ramp(0.0, -0.5, 0.5), negative=Ramp(-1.0, -0.5, 0.5))
    share = min(1.0, progress / 0.5) / 2
    assert late.coefficients(progress) == pytest.approx((1.0, share - 1.0, -share, 0.0))


def test_each_item_is_normalised_by_itself():
    options = {"times": PerRow(), "weight": ms.sigma_squared, **FULL}
    plain, unit = (
        step(CSD(**options, normalise=n), class_prior(), Z, conditions=label_conditions()).grad for n in (False, True)
    )
    assert torch.allclose(unit.norm(dim=1), torch.ones(4, dtype=unit.dtype), rtol=0, atol=1e-12)
    assert torch.allclose(unit * plain.norm(dim=1, keepdim=True), plain, rtol=0, atol=1e-12)
    assert plain.norm(dim=1).max() > 2 * plain.norm(dim=1).min()


@pytest.mark.parametrize("method", [CSD(), CSD(**FULL), CSD(**FULL, normalise=True)])
@pytest.mark.parametrize("schedule", ["VP", "Flow"])
def test_a_batch_goes_as_its_items_do(method, schedule):
    per_item = ms.Conditions(torch.tensor([0, 2, 1, 0]), torch.tensor([-1]), torch.tensor([2, 1, 0, 1]))
    check_batch(method, class_prior(schedule), per_item)


def test_calls_count_the_coefficients_that_are_not_zero():
    assert (
        count_calls(CSD(), conditions=label_conditions()) == 8
        and count_calls(CSD(**FULL), conditions=label_conditions()) == 12
    )
    moving = CSD(null=Ramp(-1.0, 0.0), negative=Ramp(0.0, -1.0))
    counts = [count_calls(moving, conditions=label_conditions(), progress=p) for p in (0.0, 0.5, 1.0)]
    assert counts == [8, 12, 8]


def test_bad_use_is_one_clear_line():
    with pytest.raises(ValueError, match=r"CSD needs positive \+ negative.*, got 1, 0, 0, 0 at progress 0") as error:
        CSD(null=0.0)
    one_line(error.value)
    with pytest.raises(ValueError, match="at progress 1") as error:
        CSD(null=Ramp(-1.0, 0.0, 1.0), negative=lambda p: -p if p < 0.9 else 0.0)
    one_line(error.value)
    for conditions, method, name in (
        (None, CSD(), "positive, null: got no conditions"),
        (label_conditions(null=None), CSD(), "Conditions without null"),
        (
            label_conditions(negative=None),
            CSD(negative=Ramp(0.0, -1.0), null=Ramp(-1.0, 0.0)),
            "Conditions without negative",
        ),
    ):
        with pytest.raises(ValueError, match=f"CSD needs the conditions .*{name}") as error:
            step(method, class_prior(), Z, conditions=conditions)
        one_line(error.value)
    with pytest.raises(TypeError, match="CSD guides by itself"):
        CSD().init(Z, ms.Guided(class_prior()))
    for bad in ((0.0, float("nan"), 1.0), (0.0, 1.0, 0.0), (0.0, 1.0, 1.5)):
        with pytest.raises(ValueError, match="Ramp needs finite ends and until in") as error:
            Ramp(*bad)
        one_line(error.value)
    assert Ramp(2.0, 8.0, 0.5)(0.25) == 5.0 and Ramp(2.0, 8.0, 0.5)(0.9) == 8.0
