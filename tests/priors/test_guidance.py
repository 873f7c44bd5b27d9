"""Guidance: its convention, its interval, its cost in prior calls."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from cases import F64, SCHEDULES, class_mixture, error, full, level, mixture, one_line, points, posteriors
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import modeseek as ms
from modeseek.diffusion.prediction import Prediction
from modeseek.priors.guidance import find_guidance
from modeseek.priors.wrapper import PriorWrapper

NULL = torch.tensor([-1])
ZERO, ONE = torch.tensor([0]), torch.tensor([1])
CONDITIONS = ms.Conditions(positive=ONE, null=NULL)


@dataclass
class Recording(PriorWrapper):
    """Prior that records the batch size of every call."""

    prior: ms.Prior
    sizes: list[int] = field(default_factory=list)

    def at(self, z_t: Tensor, alpha: Tensor, sigma: Tensor, cond: object = None) -> Prediction:
        self.sizes.append(len(z_t))
        return self.prior.at(z_t, alpha, sigma, cond)


def same(p: Prediction, q: Prediction, tolerance: float = 1e-12) -> bool:
    return error(p.z, q.z) <= tolerance and error(p.eps, q.eps) <= tolerance


@pytest.mark.parametrize("walk", list(SCHEDULES))
@pytest.mark.parametrize("scale", [-7.5, 0.5, 3.0, 100.0])
def test_guided_mixture_matches_the_oracle(walk: str, scale: float) -> None:
    prior = ms.Guided(mixture("plane", SCHEDULES[walk]), scale)
    for t in (0.05, 0.5, 0.95):
        alpha, sigma = level(SCHEDULES[walk], t)
        z_t = points(4, 2) * (alpha + sigma)
        p = prior(z_t, full(4, t), CONDITIONS)
        z_null, eps_null = posteriors(class_mixture("plane", -1), z_t, alpha, sigma)
        z_cond, eps_cond = posteriors(class_mixture("plane", 1), z_t, alpha, sigma)
        assert error(p.z, z_null + scale * (z_cond - z_null)) <= 1e-10
        assert error(p.eps, eps_null + scale * (eps_cond - eps_null)) <= 1e-10


def test_scale_one_is_conditional_and_zero_the_baseline() -> None:
    bare, z_t, t = mixture("plane"), points(5, 2), torch.linspace(0.05, 1, 5, dtype=F64)
    assert same(ms.Guided(bare, 1.0)(z_t, t, CONDITIONS), bare(z_t, t, ONE))
    assert same(ms.Guided(bare, 0.0)(z_t, t, CONDITIONS), bare(z_t, t))
    assert not same(bare(z_t, t), bare(z_t, t, ONE), 1e-3)


@given(scale=st.floats(-20, 20), t=st.floats(0, 1))
def test_predictions_are_linear_in_the_scale(scale: float, t: float) -> None:
    bare, z_t, time = mixture("plane"), points(3, 2), full(3, t)
    base, plain, scaled = (ms.Guided(bare, s)(z_t, time, CONDITIONS) for s in (0.0, 1.0, scale))
    assert error(scaled.z, (1 - scale) * base.z + scale * plain.z) <= 1e-11
    assert error(scaled.eps, (1 - scale) * base.eps + scale * plain.eps) <= 1e-11


def test_the_negative_replaces_null() -> None:
    prior, z_t, t = ms.Guided(mixture("plane"), 3.0), points(4, 2), full(4, 0.5)
    conditions = ms.Conditions(positive=ONE, null=NULL, negative=ZERO)
    moved = prior(z_t, t, conditions)
    assert same(moved, prior(z_t, t, ms.Conditions(positive=ONE, null=ZERO)))
    assert same(moved, prior(z_t, t, ms.Conditions(positive=ONE, negative=ZERO)))
    assert not same(moved, prior(z_t, t, CONDITIONS), 1e-3)


def test_conditions_per_row_and_shared_agree() -> None:
    prior, z_t, t = ms.Guided(mixture("plane"), 4.0), points(3, 2), torch.tensor([0.2, 0.5, 0.8], dtype=F64)
    labels = torch.tensor([0, 1, 0])
    whole = prior(z_t, t, ms.Conditions(positive=labels, null=NULL))
    for i in range(3):
        row = prior(z_t[i : i + 1], t[i : i + 1], ms.Conditions(positive=labels[i : i + 1], null=NULL))
        assert error(row.eps, whole.eps[i : i + 1]) <= 1e-12


def test_rows_outside_the_interval_keep_plain_and_cost_one_call() -> None:
    bare = mixture("plane")
    calls = Recording(bare)
    counting = ms.Counting(calls)
    prior = ms.Guided(counting, 5.0, interval=(0.3, 0.7))
    z_t, t = points(5, 2), torch.tensor([0.1, 0.4, 0.5, 0.6, 0.9], dtype=F64)
    p, plain, all_in = prior(z_t, t, CONDITIONS), bare(z_t, t, ONE), ms.Guided(bare, 5.0)(z_t, t, CONDITIONS)
    guided = torch.tensor([False, True, True, True, False])
    assert counting.calls == 5 + 3
    assert calls.sizes == [8]  # several conditions at one level are one batched call
    for got, outside, inside in ((p.z, plain.z, all_in.z), (p.eps, plain.eps, all_in.eps)):
        assert error(got[~guided], outside[~guided]) <= 1e-13
        assert error(got[guided], inside[guided]) <= 1e-13
    counting.calls = 0
    prior(z_t[:1], t[:1], CONDITIONS)
    assert counting.calls == 1


@pytest.mark.parametrize("walk", ["vp", "flow", "ve", "discrete"])
def test_the_interval_reaches_levels_the_schedule_never_visits(walk: str) -> None:
    bare = mixture("plane", SCHEDULES[walk])
    z_t, a, s = points(4, 2), full(4, 1.0), torch.tensor([1e-6, 1e-3, 100.0, 1e5], dtype=F64)
    early = ms.Counting(bare)
    ms.Guided(early, 3.0, interval=(0.0, 0.5)).at(z_t, a, s, CONDITIONS)
    assert early.calls == 4 + 2
    late = ms.Counting(bare)
    p = ms.Guided(late, 3.0, interval=(0.5, 1.0)).at(z_t, a, s, CONDITIONS)
    assert late.calls == 4 + 2
    assert error(p.z[:2], bare.at(z_t, a, s, ONE).z[:2]) <= 1e-13
    silent = ms.Counting(bare)
    ms.Guided(silent, 3.0, interval=(0.5, 1.0)).at(z_t[:1], full(1, 0.0), full(1, 1.0), CONDITIONS)
    assert silent.calls == 2


def test_calls_are_counted_per_row() -> None:
    z_t, t = points(6, 2), full(6, 0.5)
    for scale, calls in ((1.0, 1), (3.0, 2)):
        counting = ms.Counting(mixture("plane"))
        ms.Guided(counting, scale)(z_t, t, CONDITIONS)
        assert counting.calls == 6 * calls
    counting = ms.Counting(mixture("plane"))
    ms.ddim(counting, z_t, counting.grid(10))
    assert counting.calls == 60
    assert ms.Counting(mixture("plane")).calls == 0


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_rescale_restores_the_spread_of_the_conditional(share: float) -> None:
    bare, z_t, t = mixture("space"), points(4, 3), torch.linspace(0.2, 0.9, 4, dtype=F64)
    p = ms.Guided(bare, 6.0, rescale=share)(z_t, t, CONDITIONS)
    full_scale, plain = ms.Guided(bare, 6.0)(z_t, t, CONDITIONS).z.numpy(), bare(z_t, t, ONE).z.numpy()
    ratio = plain.std(1, ddof=1) / full_scale.std(1, ddof=1)
    want = full_scale * (share * ratio + 1 - share)[:, None]
    np.testing.assert_allclose(p.z.numpy(), want, rtol=1e-12)
    assert torch.allclose(p.alpha[:, None] * p.z + p.sigma[:, None] * p.eps, z_t, rtol=1e-12, atol=1e-12)
    if share == 1.0:
        np.testing.assert_allclose(p.z.numpy().std(1), plain.std(1), rtol=1e-12)


def test_rescale_leaves_rows_outside_the_interval_and_single_numbers() -> None:
    bare, z_t, t = mixture("plane"), points(2, 2), torch.tensor([0.1, 0.9], dtype=F64)
    p = ms.Guided(bare, 6.0, interval=(0.5, 1.0), rescale=1.0)(z_t, t, CONDITIONS)
    assert error(p.z[:1], bare(z_t, t, ONE).z[:1]) <= 1e-13
    line, x = mixture("line"), points(3, 1)
    a, b = (ms.Guided(line, 6.0, rescale=r)(x, full(3, 0.5), CONDITIONS) for r in (0.0, 1.0))
    assert same(a, b) and b.z.isfinite().all()


def test_auto_moves_away_from_the_weaker_prior() -> None:
    good, weak = mixture("plane"), mixture("gauss")
    counted, weak_counted = ms.Counting(good), ms.Counting(weak)
    z_t, alpha, sigma = points(4, 2), 0.8, 0.6
    p = ms.priors.AutoGuidance(counted, weak_counted, scale=3.0).at(z_t, full(4, alpha), full(4, sigma))
    z_good, eps_good = posteriors(class_mixture("plane", -1), z_t, alpha, sigma)
    z_weak, eps_weak = posteriors(class_mixture("gauss", -1), z_t, alpha, sigma)
    assert error(p.z, z_weak + 3 * (z_good - z_weak)) <= 1e-11
    assert error(p.eps, eps_weak + 3 * (eps_good - eps_weak)) <= 1e-11
    assert (counted.calls, weak_counted.calls) == (4, 4)


def test_auto_alone_its_interval_and_conditions() -> None:
    good, weak = mixture("plane"), mixture("gauss")
    z_t, t = points(3, 2), torch.tensor([0.1, 0.5, 0.9], dtype=F64)
    assert same(ms.priors.AutoGuidance(good, weak, scale=1.0)(z_t, t), good(z_t, t))
    assert same(ms.priors.AutoGuidance(good, weak, scale=0.0)(z_t, t), weak(z_t, t))
    p = ms.priors.AutoGuidance(good, weak, 3.0, interval=(0.3, 0.7))(z_t, t)
    whole = ms.priors.AutoGuidance(good, weak, 3.0)(z_t, t)
    assert error(p.z[[0, 2]], good(z_t, t).z[[0, 2]]) <= 1e-13
    assert error(p.z[[1]], whole.z[[1]]) <= 1e-13
    labelled = ms.priors.AutoGuidance(good, good, 3.0)(z_t, t, ms.Conditions(positive=ONE, null=NULL))
    assert same(labelled, good(z_t, t, ONE))


def test_wrappers_pass_on_what_is_inside() -> None:
    bare = mixture("plane", ms.Flow())
    for prior in (ms.Guided(bare), ms.priors.AutoGuidance(bare, bare), ms.Counting(bare)):
        assert prior.schedule is bare.schedule and prior.shape == (2,)
        assert prior.dtype == F64 and prior.device == bare.device
        assert torch.equal(prior.grid(5), bare.grid(5))
        draws = [x.start(3, torch.Generator().manual_seed(1)) for x in (prior, bare)]
        assert torch.equal(*draws)


def test_guided_refuses_what_it_cannot_use() -> None:
    prior, z_t, t = ms.Guided(mixture("plane")), points(2, 2), full(2, 0.5)
    for bad in (None, ONE):
        with pytest.raises(TypeError, match="Conditions") as caught:
            prior(z_t, t, bad)
        one_line(caught.value)
    with pytest.raises(ValueError, match="baseline") as caught:
        prior(z_t, t, ms.Conditions(positive=ONE))
    one_line(caught.value)
    with pytest.raises(ValueError, match="batch size 2") as caught:
        prior(z_t, t, ms.Conditions(positive=torch.tensor([0, 1, 0]), null=NULL))
    one_line(caught.value)


@pytest.mark.parametrize("interval", [(-0.1, 1.0), (0.0, 1.1), (0.7, 0.3), (0.5, 0.5), (float("nan"), 1.0)])
def test_bad_intervals_raise_one_line(interval: tuple[float, float]) -> None:
    bare = mixture("plane")
    for build in (lambda: ms.Guided(bare, 3.0, interval), lambda: ms.priors.AutoGuidance(bare, bare, 3.0, interval)):
        with pytest.raises(ValueError, match="interval") as caught:
            build()
        one_line(caught.value)


@pytest.mark.parametrize("rescale", [-0.1, 1.1, float("nan")])
def test_bad_rescale_raises_one_line(rescale: float) -> None:
    with pytest.raises(ValueError, match="rescale") as caught:
        ms.Guided(mixture("plane"), rescale=rescale)
    one_line(caught.value)


def test_guidance_is_seen_through_every_wrapper() -> None:
    bare, center = mixture("plane"), points(1, 2)
    guided = (ms.Guided(bare, 2.0), ms.priors.AutoGuidance(bare, bare))
    for prior in (*guided, *map(ms.Counting, guided), *(ms.Product(p, center, 0.5) for p in guided)):
        assert isinstance(find_guidance(prior), ms.Guided | ms.priors.AutoGuidance)
        with pytest.raises(TypeError, match="guides by itself") as caught:
            ms.SDI().init(center, prior)
        one_line(caught.value)
    for prior in (bare, ms.Counting(bare), ms.Product(ms.Counting(bare), center, 0.5)):
        assert find_guidance(prior) is None
