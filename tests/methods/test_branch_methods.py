"""NFSD, SDS-Bridge and AsyncSD: sums of branches, in closed form."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cases_methods import (
    NAMES,
    NEGATIVE,
    NULL,
    POSITIVE,
    TIMES,
    PerRow,
    Z,
    branch_sum,
    check_batch,
    check_linear,
    check_moments,
    class_prior,
    count_calls,
    eps_of,
    label_conditions,
    levels,
    one_line,
    step,
)
from oracles_shift import clock_of
from scipy.stats import kstest

import modeseek as ms
from modeseek.methods.async_sd import AsyncSD
from modeseek.methods.nfsd import NFSD
from modeseek.methods.sds_bridge import SDSBridge


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize("threshold", [1.124, float("inf"), -30.0, -0.5])
def test_nfsd_takes_each_row_s_own_branch(schedule, threshold):
    alpha, sigma = levels(schedule)
    far = 2 * (alpha / sigma).log() <= threshold
    near = branch_sum({NULL: 1 - 3.0, POSITIVE: 3.0}, 0.0, alpha, sigma)
    away = branch_sum({NULL: 1 - 3.0, POSITIVE: 3.0, NEGATIVE: -1.0}, 0.0, alpha, sigma)
    mean, factor = (torch.where(far, b, a) * sigma**2 for a, b in zip(near, away, strict=True))
    check_linear(
        NFSD(PerRow(), scale=3.0, log_snr_threshold=threshold),
        class_prior(schedule),
        mean,
        factor,
        conditions=label_conditions(),
    )
    assert count_calls(NFSD(PerRow(), log_snr_threshold=threshold), conditions=label_conditions()) == 8 + int(far.sum())


def test_nfsd_with_the_empty_negative_prompt_is_the_condition_s_term_above_the_threshold():
    direction = step(
        NFSD(PerRow(), ms.weights.unit_weight, 7.5), class_prior(), Z, conditions=label_conditions(negative=NULL)
    )
    z_t, alpha, sigma = direction.prediction.z_t, *levels("VP")
    sought = 7.5 * (eps_of(POSITIVE, z_t, alpha, sigma) - eps_of(NULL, z_t, alpha, sigma))
    assert torch.allclose(direction.grad[1:], sought[1:], rtol=0, atol=1e-11)
    assert torch.allclose(direction.grad[0], (sought + eps_of(NULL, z_t, alpha, sigma))[0], rtol=0, atol=1e-11)


def test_nfsd_below_the_threshold_has_the_mean_of_unconditional_sds():
    n = 3000
    direction = step(
        NFSD(PerRow(), ms.weights.unit_weight, 0.0, -30.0), class_prior(), Z.repeat(n, 1), conditions=label_conditions()
    )
    mean, _ = branch_sum({NULL: 1.0}, -1.0, *levels("VP"))
    _, factor = branch_sum({NULL: 1.0}, 0.0, *levels("VP"))
    check_moments(direction.grad.reshape(n, 4, 2), mean, factor)


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize("progress", [0.0, 0.49, 0.5, 1.0])
def test_the_bridge_is_sds_first_and_then_pulls_from_source_to_target(schedule, progress):
    shares, own = ({POSITIVE: 4.0, NEGATIVE: -4.0}, 0.0) if progress >= 0.5 else ({POSITIVE: 4.0, NULL: -3.0}, -1.0)
    alpha, sigma = levels(schedule)
    mean, factor = (sigma**2 * part for part in branch_sum(shares, own, alpha, sigma))
    conditions = label_conditions(source=NEGATIVE, negative=None)
    check_linear(
        SDSBridge(PerRow(), scale=4.0),
        class_prior(schedule),
        mean,
        factor,
        n=1000,
        conditions=conditions,
        progress=progress,
    )


def test_between_equal_gaussians_the_bridge_is_a_constant_pull_from_one_mean_to_the_other():
    prior = ms.GaussianMixture(
        torch.tensor([0.5, 0.5], dtype=Z.dtype),
        torch.tensor([[-1.0, 2.0], [3.0, 0.5]], dtype=Z.dtype),
        0.3 * torch.eye(2, dtype=Z.dtype).expand(2, 2, 2),
        ms.VP(),
        torch.tensor([0, 1]),
    )
    conditions = ms.Conditions(torch.tensor([1]), source=torch.tensor([0]))
    direction = step(SDSBridge(PerRow(), ms.weights.unit_weight, 2.0, since=0.0), prior, Z, conditions=conditions)
    alpha, sigma = levels("VP")
    pull = torch.tensor([4.0, -1.5], dtype=Z.dtype)
    assert torch.allclose(-direction.grad, 2 * sigma * alpha / (0.3 * alpha**2 + sigma**2) * pull, rtol=0, atol=1e-11)


def test_a_bridge_between_equal_prompts_goes_nowhere():
    direction = step(
        SDSBridge(since=0.0), class_prior(), Z, conditions=label_conditions(source=POSITIVE, null=None, negative=None)
    )
    assert direction.grad.abs().max() <= 1e-13


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_async_sd_is_the_difference_of_two_levels_with_one_noise(schedule, scale):
    n = 3000
    method = AsyncSD(PerRow(), scale=scale, shift=0.4)
    conditions = label_conditions(negative=None)
    direction = step(method, class_prior(schedule), Z.repeat(n, 1), conditions=conditions)
    eps, t, u = direction.eps, direction.t, direction.logs["t_later"]
    z = Z.repeat(n, 1)
    alpha, sigma = (part.repeat(n, 1) for part in levels(schedule))
    z_t = alpha * z + sigma * eps
    first = eps_of(NULL, z_t, alpha, sigma) * (1 - scale) + eps_of(POSITIVE, z_t, alpha, sigma) * scale
    rows = slice(0, 400)  # the later levels, one number at a time
    later = levels(schedule, tuple(u[rows].tolist()))
    z_u = later[0] * z[rows] + later[1] * eps[rows]
    expected = sigma[rows] ** 2 * (first[rows] - eps_of(POSITIVE, z_u, *later))
    assert torch.allclose(direction.grad[rows], expected, rtol=1e-8, atol=1e-8)
    # later by a uniform share of shift (t - low) on Stable Diffusion's clock, never beyond the schedule's end
    for i, time in enumerate(TIMES):
        now, end = (clock_of(schedule, x) for x in (time, 1.0))
        reach, drawn = 0.4 * max(0.0, now - 0.02), u[i::4][:150].tolist()
        if reach == 0:
            assert set(drawn) == {time}
            continue
        top = min(1.0, (end - now) / reach)
        shares = [(clock_of(schedule, x) - now) / reach for x in drawn if x < 1 - 1e-9]
        assert kstest(shares, "uniform", args=(0.0, top)).pvalue > 0.001
        assert abs(len(shares) / 150 - top) < 4 * (top * (1 - top) / 150) ** 0.5 + 1e-9
    assert u.max() <= 1 and (u >= t).all()


def test_async_sd_without_delay_and_guidance_goes_nowhere():
    for schedule in NAMES:
        for method, conditions in ((AsyncSD(scale=1.0, shift=0.0), label_conditions()), (AsyncSD(shift=0.0), None)):
            assert step(method, class_prior(schedule), Z, conditions=conditions).grad.abs().max() <= 1e-13
    # below `low` there is no delay either
    low = step(AsyncSD(PerRow((0.1, 0.2, 0.3, 0.4)), low=0.5), class_prior(), Z)
    assert torch.equal(low.logs["t_later"], low.t)


METHODS = {
    "nfsd": (NFSD(), label_conditions()),
    "bridge": (SDSBridge(), label_conditions(source=NEGATIVE)),
    "bridge late": (SDSBridge(since=0.2), label_conditions(source=NEGATIVE)),
    "async": (AsyncSD(), label_conditions()),
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("schedule", ["VP", "Flow"])
def test_a_batch_goes_as_its_items_do(name, schedule):
    method, conditions = METHODS[name]
    check_batch(method, class_prior(schedule), conditions)
    mixed = replace(conditions, positive=torch.tensor([0, 2, 1, 0]), null=torch.tensor([-1]))
    check_batch(method, class_prior(schedule), mixed)


def test_calls():
    assert count_calls(SDSBridge(), conditions=label_conditions(source=NEGATIVE)) == 8
    assert count_calls(SDSBridge(), conditions=label_conditions(source=NEGATIVE), progress=1.0) == 8
    assert count_calls(AsyncSD(), conditions=label_conditions()) == 12
    assert count_calls(AsyncSD()) == 8 and count_calls(AsyncSD(scale=1.0), conditions=label_conditions()) == 8


@pytest.mark.parametrize(
    ("method", "conditions", "message"),
    [
        (NFSD(), None, "NFSD needs the conditions positive, null, negative: got no conditions"),
        (NFSD(), label_conditions(negative=None), "got Conditions without negative; pass"),
        (NFSD(), label_conditions(null=None), "got Conditions without null; pass"),
        (
            SDSBridge(),
            label_conditions(),
            "SDSBridge needs the conditions positive, source, null: got Conditions without source",
        ),
        (SDSBridge(), label_conditions(source=2, null=None), "got Conditions without null; pass"),
        (AsyncSD(), label_conditions(null=None, negative=None), "got Conditions without null or negative"),
    ],
)
def test_a_missing_condition_is_named(method, conditions, message):
    with pytest.raises(ValueError, match=message) as error:
        step(method, class_prior(), Z, conditions=conditions)
    one_line(error.value)


@pytest.mark.parametrize("kind", [NFSD, SDSBridge, AsyncSD])
def test_a_guided_prior_is_refused(kind):
    for prior in (ms.Guided(class_prior()), ms.Counting(ms.Guided(class_prior()))):
        with pytest.raises(TypeError, match=f"{kind.__name__} guides by itself"):
            kind().init(Z, prior)
        with pytest.raises(TypeError, match=f"{kind.__name__} guides by itself"):
            kind().step(Z, prior, None, conditions=label_conditions(), progress=0.0, rng=torch.Generator())


@pytest.mark.parametrize(
    "build",
    [
        lambda: NFSD(log_snr_threshold=float("nan")),
        lambda: SDSBridge(since=-0.1),
        lambda: AsyncSD(shift=-0.1),
        lambda: AsyncSD(low=2.0),
        lambda: AsyncSD(shift=float("nan")),
    ],
)
def test_bad_options_are_one_clear_line(build):
    with pytest.raises(ValueError, match=r"(needs|must be) .*got") as error:
        build()
    one_line(error.value)
