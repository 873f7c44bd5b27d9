"""Stable Diffusion's clock: time differences converted by log-SNR."""

from __future__ import annotations

import math

import pytest
import torch
from cases import scaled_linear_table
from cases_shift import SCHEDULES
from oracles_shift import F64, clock_ratio, level, moved

import modeseek as ms
from modeseek.diffusion.reference_clock import level_at, moved_time, reference_time, time_at

TIMES = torch.tensor([0.05, 0.3, 0.5, 0.77, 0.95], dtype=F64)


@pytest.mark.parametrize("schedule", list(SCHEDULES))
@pytest.mark.parametrize("difference", [0.05, -0.05, 0.3, -0.3, -2.0, 3.0])
def test_a_time_is_moved_by_a_difference_of_levels(schedule, difference):
    got = moved_time(SCHEDULES[schedule], TIMES, difference)
    assert got.tolist() == pytest.approx([moved(schedule, t, difference) for t in TIMES.tolist()], abs=1e-7)


@pytest.mark.parametrize("schedule", list(SCHEDULES))
def test_rows_are_moved_by_their_own_difference_and_zero_is_exact(schedule):
    difference = torch.tensor([0.1, 0.0, -0.1, 0.0, 0.02], dtype=F64)
    got = moved_time(SCHEDULES[schedule], TIMES, difference)
    for t, d, time in zip(TIMES.tolist(), difference.tolist(), got, strict=True):
        assert float(time) == pytest.approx(moved(schedule, t, d), abs=1e-7)
    assert torch.equal(got[difference == 0], TIMES[difference == 0])


def test_on_its_own_schedule_the_clock_is_the_time_even_beyond_the_end():
    assert torch.allclose(reference_time(ms.VP(), TIMES), TIMES, rtol=0, atol=1e-12)
    assert moved_time(ms.VP(), TIMES, 0.05).tolist() == pytest.approx((TIMES + 0.05).clamp(max=1).tolist(), abs=1e-12)
    noisy = ms.VE(0.002, 80.0)
    last = float(reference_time(noisy, torch.ones(1, dtype=F64)))
    assert last > 1.1 and clock_ratio(last) == pytest.approx(80.0, rel=1e-9)  # 80 is noisier than its own end, 14.6
    assert float(time_at(noisy, torch.tensor(last, dtype=F64))) == pytest.approx(1.0)


def test_the_table_of_stable_diffusion_is_its_clock():
    schedule = ms.schedules.Discrete.from_alphas_cumprod(torch.tensor(scaled_linear_table()))
    index = torch.tensor([100.0, 400.0, 900.0], dtype=F64)
    later = moved_time(schedule, index / 999, 0.05) * 999
    assert later.tolist() == pytest.approx((index + 50).tolist(), abs=0.5)  # of a step


def test_ends_without_signal_and_without_noise():
    for schedule in (ms.Cosine(), ms.Flow()):
        ends = moved_time(schedule, torch.tensor([0.0, 1.0], dtype=F64), 0.1)
        assert ends[0] > 0 and ends[1] == 1
        ends = moved_time(schedule, torch.tensor([0.0, 1.0], dtype=F64), -0.1)
        assert ends[0] == 0 and 0.99 < ends[1] < 1
    zero_snr = ms.schedules.Discrete((5.0, 0.0, -float("inf")))
    assert moved_time(zero_snr, torch.ones(1, dtype=F64), 0.1) == 1


def test_the_level_of_a_step():
    alpha, sigma = level("VP", 0.2)
    assert level_at(0.2) == pytest.approx(2 * math.log(alpha / sigma), rel=1e-9)
    assert ms.methods.NFSD().log_snr_threshold == pytest.approx(level_at(0.2), abs=1e-3)
    assert math.exp(-ms.methods.NFSD().log_snr_threshold / 2) == pytest.approx(0.57, abs=0.01)


@pytest.mark.parametrize(
    "make",
    [lambda: ms.methods.ISM(), lambda: ms.methods.AsyncSD(), lambda: ms.methods.PDS(), lambda: ms.methods.NFSD()],
)
def test_the_same_levels_mean_the_same_on_every_schedule(make):
    """One clean point, one level, one noise: the directions of VP, flow and VE priors agree up to their weights."""
    from dataclasses import replace

    from cases_methods import Z, class_prior, label_conditions

    def grad(name: str) -> torch.Tensor:
        schedule = SCHEDULES[name]
        t = time_at(schedule, torch.tensor([0.3, 0.5, 0.7, 0.9], dtype=F64))
        method = replace(make(), times=lambda progress, n, rng: t)
        if hasattr(method, "weight"):
            method = replace(method, weight=ms.weights.unit_weight)
        conditions = label_conditions(source=1)
        z = Z + 0.3
        state = method.init(Z, class_prior(name))
        return method.step(
            z, class_prior(name), state, conditions=conditions, progress=0.0, rng=ms.Streams(0, 0, (0, 1, 2, 3))
        )[0].grad

    for name in ("Flow", "VE", "Cosine"):
        rough = 1e-2 if name == "VE" else 1e-9  # whose cleanest level has some noise, where an inversion begins
        assert torch.allclose(grad(name), grad("VP"), rtol=rough, atol=rough), name
