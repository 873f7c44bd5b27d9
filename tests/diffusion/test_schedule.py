"""Schedules against their formulas written anew, and the exactness of t_of."""

from __future__ import annotations

import math

import numpy as np
import oracles
import pytest
import torch
from cases import (
    F64,
    SCHEDULES,
    ZERO_NOISE_SCHEDULES,
    ZERO_SNR_SCHEDULES,
    generator,
    level,
    one_line,
    scaled_linear_table,
    zero_terminal_table,
)
from hypothesis import given
from hypothesis import strategies as st

import modeseek as ms
from modeseek.diffusion.schedule import level_of, log_snr, variance_preserving

EVERY = pytest.mark.parametrize("name", list(SCHEDULES))
TIMES = (0.0, 1e-4, 0.013, 0.25, 0.5, 0.77, 0.999, 1.0)


def formula(name: str, t: float) -> oracles.Level:
    """The level of a continuous schedule, from the equations in its paper."""
    if name in ("vp", "scaled"):
        root = (math.sqrt(0.85), math.sqrt(12.0))
        alpha, sigma = oracles.vp_level(lambda u: (root[0] + u * (root[1] - root[0])) ** 2, t)
        return alpha, sigma * (2.5 if name == "scaled" else 1)
    if name == "vp-linear":
        return oracles.vp_level(lambda u: 0.1 + 19.9 * u, t)
    if name == "cosine":
        return math.cos(math.pi * t / 2), math.sin(math.pi * t / 2)
    if name == "cosine-shifted":  # by the variance-preserving level of the shifted log-SNR
        ratio = math.tan(math.pi * t / 2) ** 2 * math.exp(1.4)
        return 1 / math.sqrt(1 + ratio), math.sqrt(ratio / (1 + ratio))
    if name in ("ve", "ve-narrow"):
        low, high, rho = (0.002, 80.0, 7.0) if name == "ve" else (0.01, 20.0, 3.0)
        return 1.0, (low ** (1 / rho) + t * (high ** (1 / rho) - low ** (1 / rho))) ** rho
    s = 3.0 if name == "flow-shifted" else 1.0
    return 1 - s * t / (1 + (s - 1) * t), s * t / (1 + (s - 1) * t)


@pytest.mark.parametrize("name", [n for n in SCHEDULES if not n.startswith("discrete")])
def test_level_follows_the_formula(name: str) -> None:
    for t in TIMES:
        got, want = level(SCHEDULES[name], t), formula(name, t)
        assert got == pytest.approx(want, rel=1e-11, abs=1e-15), t


@EVERY
@given(pair=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_log_snr_falls_strictly(name: str, pair: tuple[float, float]) -> None:
    early, late = sorted(pair)
    if late - early < 1e-9:
        return
    levels = log_snr(*SCHEDULES[name](torch.tensor([early, late], dtype=F64)))
    assert levels[0] > levels[1]


@EVERY
def test_log_snr_falls_along_a_fine_grid(name: str) -> None:
    levels = log_snr(*SCHEDULES[name](torch.linspace(0, 1, 20001, dtype=F64)))
    assert (levels.diff() < 0).all()


@EVERY
@given(t=st.floats(0, 1))
def test_t_of_inverts(name: str, t: float) -> None:
    time = torch.tensor([t], dtype=F64)
    assert SCHEDULES[name].t_of(log_snr(*SCHEDULES[name](time))) == pytest.approx(t, abs=1e-9)


@EVERY
def test_t_of_inverts_at_the_ends_and_near_them(name: str) -> None:
    t = torch.tensor([0, 1e-12, 1e-6, 1e-3, 0.5, 1 - 1e-3, 1 - 1e-6, 1 - 1e-12, 1], dtype=F64)
    back = SCHEDULES[name].t_of(log_snr(*SCHEDULES[name](t)))
    assert (back - t).abs().max() <= 1e-9
    assert back.min() >= 0 and back.max() <= 1


@EVERY
def test_t_of_inverts_in_single_precision(name: str) -> None:
    t = torch.linspace(0.05, 0.95, 31)
    back = SCHEDULES[name].t_of(log_snr(*SCHEDULES[name](t)))
    assert back.dtype == torch.float32
    assert (back - t).abs().max() <= 2e-5


@EVERY
def test_shapes_are_free(name: str) -> None:
    t = torch.rand(2, 3, generator=generator(), dtype=F64)
    alpha, sigma = SCHEDULES[name](t)
    assert alpha.shape == sigma.shape == (2, 3)
    assert SCHEDULES[name].t_of(log_snr(alpha, sigma)).shape == (2, 3)


@EVERY
def test_ends_are_exact(name: str) -> None:
    alpha, sigma = SCHEDULES[name](torch.tensor([0.0, 1.0], dtype=F64))
    assert (alpha[1] == 0) == (name in ZERO_SNR_SCHEDULES)
    assert (sigma[0] == 0) == (name in ZERO_NOISE_SCHEDULES)
    assert alpha.isfinite().all() and sigma.isfinite().all()


@pytest.mark.parametrize("name", ["vp", "vp-linear", "ve", "discrete", "discrete-zero-snr", "scaled"])
def test_t_of_raises_outside(name: str) -> None:
    schedule = SCHEDULES[name]
    clean, noisy = (log_snr(*schedule(torch.tensor([t], dtype=F64))) for t in (0.0, 1.0))
    outside = [x for x in (clean + 0.01, noisy - 0.01) if x.isfinite().all()]
    assert outside
    for x in outside:
        with pytest.raises(ValueError, match="outside the range") as caught:
            schedule.t_of(x)
        assert f"{x.item():.4g}" in one_line(caught.value) or name == "scaled"


@EVERY
def test_t_of_refuses_nan(name: str) -> None:
    with pytest.raises(ValueError, match="outside the range"):
        SCHEDULES[name].t_of(torch.tensor([0.0, math.nan], dtype=F64))


@pytest.mark.parametrize(
    "build",
    [
        lambda: ms.VP(12.0, 0.85),
        lambda: ms.VP(0.0, 1.0),
        lambda: ms.VP(math.nan, 1.0),
        lambda: ms.VP(spacing="cubic"),  # pyright: ignore[reportArgumentType]
        lambda: ms.VE(2.0, 1.0),
        lambda: ms.VE(0.0, 1.0),
        lambda: ms.VE(rho=-1.0),
        lambda: ms.Flow(0.0),
        lambda: ms.Flow(-2.0),
        lambda: ms.schedules.Discrete((1.0,)),
        lambda: ms.schedules.Discrete((1.0, 2.0)),
        lambda: ms.schedules.Discrete((1.0, 1.0, 0.0)),
        lambda: ms.schedules.Discrete((math.inf, 1.0, 0.0)),
        lambda: ms.schedules.Discrete((1.0, math.nan)),
        lambda: ms.schedules.Discrete((3.0, -math.inf, -math.inf)),
    ],
)
def test_bad_parameters_raise_one_line(build, unchecked: None) -> None:
    with pytest.raises(ValueError) as caught:
        build()
    assert "got" in one_line(caught.value)


@pytest.mark.parametrize("name", ["discrete", "discrete-zero-snr"])
def test_discrete_meets_its_table_at_the_knots(name: str) -> None:
    table = scaled_linear_table() if name == "discrete" else zero_terminal_table()
    t = torch.arange(1000, dtype=F64) / 999
    alpha, sigma = SCHEDULES[name](t)
    np.testing.assert_allclose(alpha.numpy(), np.sqrt(table), rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(sigma.numpy(), np.sqrt(1 - table), rtol=1e-11)


@pytest.mark.parametrize("name", ["discrete", "discrete-zero-snr"])
def test_discrete_is_linear_in_log_snr_between_the_knots(name: str) -> None:
    table = scaled_linear_table() if name == "discrete" else zero_terminal_table()
    knots = np.log(table[:-1] / (1 - table[:-1]))
    position = np.array([0.3, 17.5, 500.25, 996.9])
    alpha, sigma = SCHEDULES[name](torch.tensor(position / 999))
    want = np.interp(position, np.arange(999), knots)
    np.testing.assert_allclose(log_snr(alpha, sigma).numpy(), want, rtol=1e-9)
    np.testing.assert_allclose((alpha**2 + sigma**2).numpy(), 1, rtol=1e-12)


def test_last_interval_of_a_zero_terminal_table_is_linear_in_the_signal() -> None:
    table = zero_terminal_table()
    ratio = math.sqrt(table[-2] / (1 - table[-2]))
    share = torch.tensor([0.0, 0.25, 0.9, 1.0], dtype=F64)
    alpha, sigma = SCHEDULES["discrete-zero-snr"]((998 + share) / 999)
    np.testing.assert_allclose((alpha / sigma).numpy(), ratio * (1 - share).numpy(), rtol=1e-9, atol=1e-15)
    assert alpha[-1] == 0 and sigma[-1] == 1


def test_scaled_multiplies_the_noise() -> None:
    t = torch.tensor([0.1, 0.5, 0.9], dtype=F64)
    factor = torch.tensor([0.5, 2.0, 30.0], dtype=F64)
    alpha, sigma = ms.VE()(t)
    rows = ms.schedules.ScaledSchedule(ms.VE(), factor)
    assert torch.equal(rows(t)[0], alpha)
    assert torch.allclose(rows(t)[1], sigma * factor, rtol=1e-15, atol=0)
    assert torch.allclose(rows.t_of(log_snr(*rows(t))), t, rtol=0, atol=1e-9)


@given(value=st.floats(-200, 200))
def test_preserving_has_the_log_snr_asked_for(value: float) -> None:
    alpha, sigma = variance_preserving(torch.tensor([value], dtype=F64))
    assert (alpha**2 + sigma**2).item() == pytest.approx(1, rel=1e-14)
    assert log_snr(alpha, sigma).item() == pytest.approx(value, rel=1e-12, abs=1e-12)


@EVERY
@pytest.mark.parametrize("dtype", [F64, torch.float32])
def test_level_of_is_the_schedules_own_level_with_that_bandwidth(name: str, dtype: torch.dtype) -> None:
    schedule, t = SCHEDULES[name], torch.tensor([0.02, 0.3, 0.77, 0.98], dtype=F64)
    alpha, sigma = (x.to(dtype) for x in schedule(t))
    found = level_of(schedule, sigma / alpha)
    slack = 1e-9 if dtype == F64 else 1e-4  # rounding of t, times the slope of log sigma in t, at most 50
    for part, expected in zip(found, (alpha, sigma), strict=True):
        assert part.dtype == dtype and torch.allclose(part, expected, rtol=slack, atol=0)


@EVERY
def test_level_of_is_the_nearest_level_beyond_the_range(name: str) -> None:
    schedule, beyond = SCHEDULES[name], torch.tensor([1e-30, 1e-30, 1e30], dtype=F64)
    (alpha, sigma), ends = level_of(schedule, beyond), schedule(torch.tensor([0.0, 0.0, 1.0], dtype=F64))
    assert torch.allclose(alpha, ends[0], rtol=1e-9, atol=1e-13) and torch.allclose(
        sigma, ends[1], rtol=1e-9, atol=1e-13
    )


def test_level_of_takes_a_bandwidth_per_row_of_a_scaled_schedule() -> None:
    factor = torch.tensor([0.5, 2.0, 30.0], dtype=F64)
    alpha, sigma = level_of(ms.schedules.ScaledSchedule(ms.VE(), factor), torch.ones(3, dtype=F64))
    assert alpha.tolist() == [1.0] * 3 and sigma.tolist() == pytest.approx([1.0] * 3, rel=1e-9)
