"""Bandwidth schedules and the scale of a prior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from cases_shift import SCHEDULES, gaussian, generator, prior_of, tensor
from hypothesis import given
from hypothesis import strategies as st
from oracles_shift import F64, level

import modeseek as ms
from modeseek.diffusion.noise_levels import Annealed
from modeseek.meanshift.bandwidth import Bandwidth, ScheduledBandwidth

INF = torch.full((3,), torch.inf, dtype=F64)


def test_fixed_is_constant():
    schedule = ms.Fixed(0.7)
    assert schedule.end == 0.7
    state = schedule.init(3, tensor(5.0, 5.0, 5.0))
    for progress in (0.0, 0.5, 1.0):
        h, state = schedule.next(progress, INF, state)
        assert h.tolist() == [0.7] * 3 and h.dtype == F64


def test_geometric_runs_from_start_to_end_and_holds():
    schedule = ms.Geometric(8.0, 0.5, hold=0.2)

    def at(progress: float) -> float:
        return float(schedule.next(progress, INF, schedule.init(3))[0][0])

    assert at(0.0) == 8.0 and schedule.end == 0.5
    assert at(0.4) == pytest.approx((8.0 * 0.5) ** 0.5)  # half of the way that is not held
    assert at(0.2) / at(0.0) == pytest.approx(at(0.6) / at(0.4))  # equal ratios
    assert at(0.79) > 0.5
    for progress in (0.8, 0.9, 1.0):
        assert at(progress) == pytest.approx(0.5, rel=1e-14)


def test_geometric_holds_15_percent_by_default_and_none_if_asked():
    assert ms.Geometric(8.0, 0.5).at(0.85) == pytest.approx(0.5)
    assert ms.Geometric(8.0, 0.5).at(0.84) > 0.51
    assert ms.Geometric(8.0, 0.5, hold=0.0).at(0.99) > 0.51
    assert ms.Geometric(8.0, 0.5, hold=0.0).at(1.0) == pytest.approx(0.5)


def test_adaptive_narrows_settled_rows_only():
    schedule = ms.Adaptive(0.1, start=2.0, shrink=0.5, settle=0.3)
    h, state = schedule.next(0.0, INF, schedule.init(3))
    assert h.tolist() == [2.0] * 3
    h, state = schedule.next(0.0, tensor(0.29, 0.31, 5.0), state)
    assert h.tolist() == [1.0, 2.0, 2.0]
    h, state = schedule.next(0.0, tensor(0.0, 0.29, 5.0), state)
    assert h.tolist() == [0.5, 1.0, 2.0]
    for _ in range(20):
        h, state = schedule.next(0.0, tensor(0.0, 0.5, 0.5), state)
    assert h.tolist() == [0.1, 1.0, 2.0]


@given(
    st.lists(st.lists(st.floats(0, 2), min_size=3, max_size=3), min_size=2, max_size=40),
    st.floats(0.1, 0.9),
    st.floats(0, 0.9),
)
def test_adaptive_never_rises_and_reaches_the_end_in_time(shifts, shrink, hold):
    schedule = ms.Adaptive(0.05, start=3.0, shrink=shrink, settle=0.5, hold=hold)
    state, before = schedule.init(3), torch.full((3,), 3.0, dtype=F64)
    for i, shift in enumerate(shifts):
        progress = i / (len(shifts) - 1)
        h, state = schedule.next(progress, torch.tensor(shift, dtype=F64), state)
        assert (h <= before * (1 + 1e-12)).all()
        assert (h >= 0.05).all()
        deadline = ms.Geometric(3.0, 0.05, hold).at(progress)
        assert (h >= torch.minimum(before * shrink, tensor(deadline)) * (1 - 1e-12)).all()  # one narrowing a step
        assert (h <= deadline * (1 + 1e-12)).all()
        if progress >= 1 - hold:
            assert torch.allclose(h, torch.full_like(h, 0.05), rtol=1e-12)
        before = h


def test_adaptive_starts_at_the_given_bandwidth_else_at_the_measured_scale():
    def first(schedule: ms.Adaptive, scale: torch.Tensor | None) -> list[float]:
        return schedule.next(0.0, INF, schedule.init(3, scale))[0].tolist()

    measured = tensor(7.0, 3.0, 0.01)
    assert first(ms.Adaptive(0.1, start=2.0), measured) == [2.0] * 3
    assert first(ms.Adaptive(0.1), measured) == [7.0, 3.0, 0.1]  # never below the end
    assert first(ms.Adaptive(0.1), None) == pytest.approx([10.0] * 3)


def test_every_row_has_the_deadline_of_its_own_start():
    schedule = ms.Adaptive(0.1, hold=0.5)
    h, state = schedule.next(0.25, INF, schedule.init(3, tensor(10.0, 0.4, 0.1)))
    assert h.tolist() == pytest.approx([1.0, 0.2, 0.1])  # half of the way, geometrically
    h, _ = schedule.next(0.5, INF, state)
    assert h.tolist() == pytest.approx([0.1] * 3)


def test_a_state_is_not_shared_between_runs():
    schedule = ms.Adaptive(0.1, start=2.0, shrink=0.5)
    state = schedule.init(3)
    _, later = schedule.next(0.0, torch.zeros(3, dtype=F64), state)
    _, later = schedule.next(0.0, torch.zeros(3, dtype=F64), later)
    again, _ = schedule.next(0.0, INF, state)
    assert again.tolist() == [2.0] * 3


@dataclass(frozen=True)
class Given:
    """Times of the rows, whatever the progress."""

    t: tuple[float, ...]

    def __call__(self, progress: float, n: int, rng: ms.Rng) -> torch.Tensor:
        return torch.tensor(self.t, dtype=F64)


def along(path: ms.Along, schedule: str, progress: float, n: int = 3, rng: ms.Rng | None = None) -> torch.Tensor:
    """Bandwidths of n rows at one progress."""
    bandwidth = path.on(SCHEDULES[schedule], generator() if rng is None else rng)
    infinite = torch.full((n,), torch.inf, dtype=F64)
    return bandwidth.next(progress, infinite, bandwidth.init(n))[0]


def noise_to_signal(schedule: str, t: float) -> float:
    """`sigma / alpha` of the oracle's level at t, rounded to the float32 of the times."""
    alpha, sigma = level(schedule, float(np.float32(t)))
    return sigma / alpha


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_along_has_the_noise_levels_of_its_times(schedule):
    times = (0.02, 0.3, 0.6, 0.98)
    h = along(ms.Along(Given(times)), schedule, 0.5, n=4)
    expected = [sigma / alpha for alpha, sigma in (level(schedule, t) for t in times)]
    assert h.dtype == F64 and h.tolist() == pytest.approx(expected, rel=1e-9)
    for progress in (0.0, 0.25, 1.0):
        expected = noise_to_signal(schedule, 0.9 - 0.8 * progress)
        assert along(ms.Along(Annealed(0.9, 0.1)), schedule, progress).tolist() == pytest.approx(
            [expected] * 3, rel=1e-9
        )


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_along_stops_at_its_end_and_stays_there(schedule):
    end = noise_to_signal(schedule, 0.4)
    path = ms.Along(Annealed(0.9, 0.1), end=end)
    for progress in (0.0, 0.5, 0.6):
        expected = noise_to_signal(schedule, 0.9 - 0.8 * progress)
        assert expected > end and along(path, schedule, progress).tolist() == pytest.approx([expected] * 3, rel=1e-9)
    for progress in (0.65, 0.8, 1.0):
        assert along(path, schedule, progress).tolist() == pytest.approx([end] * 3, rel=1e-12)
    assert path.end == path.on(SCHEDULES[schedule], generator()).end == end


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_along_holds_its_last_level(schedule):
    path = ms.Along(Annealed(0.9, 0.1), hold=0.2)
    for progress, walked in ((0.0, 0.0), (0.4, 0.5), (0.8, 1.0), (0.9, 1.0), (1.0, 1.0)):
        expected = noise_to_signal(schedule, 0.9 - 0.8 * walked)
        assert along(path, schedule, progress).tolist() == pytest.approx([expected] * 3, rel=1e-6), progress


def test_along_walks_the_whole_path_without_a_hold_by_default():
    assert ms.Along() == ms.Along(Annealed(0.98, 0.02), end=0.0, hold=0.0)
    for progress in (0.9, 0.99):
        assert along(ms.Along(), "VP", progress)[0] > along(ms.Along(), "VP", 1.0)[0]


def test_random_times_are_drawn_for_each_row_from_the_given_stream():
    h = along(ms.Along(ms.Uniform(0.1, 0.9)), "Flow", 0.3, n=4, rng=generator(5))
    t = 0.1 + 0.8 * torch.rand(4, generator=generator(5)).double()
    assert h.tolist() == pytest.approx((t / (1 - t)).tolist(), rel=1e-5)
    assert len(set(h.tolist())) == 4
    rng = generator()
    before = rng.get_state()
    along(ms.Along(), "Flow", 0.3, rng=rng)
    assert torch.equal(rng.get_state(), before), "times that are not random draw nothing"


def test_along_has_ended_at_the_end_of_the_path_or_at_its_end():
    h = tensor(0.3, 0.31, 5.0)
    assert ms.Along(end=0.3).ended(0.5, h).tolist() == [True, False, False]
    assert ms.Along().ended(0.999, h).tolist() == [False] * 3 and ms.Along().ended(1.0, h).all()
    assert ms.Along(hold=0.25).ended(0.74, h).tolist() == [False] * 3 and ms.Along(hold=0.25).ended(0.75, h).all()
    assert isinstance(ms.Along(), Bandwidth) and isinstance(ms.Along(), ScheduledBandwidth)
    assert not any(isinstance(h, ScheduledBandwidth) for h in (ms.Fixed(1.0), ms.Geometric(2.0, 1.0), ms.Adaptive(1.0)))


@pytest.mark.parametrize(
    ("schedule", "t"),
    [("VP", 0.0), ("Cosine", 0.0), ("Cosine", 1.0), ("Flow", 0.0), ("Flow", 1.0)],
)
def test_levels_without_noise_or_signal_are_refused_in_one_line(schedule, t):
    with pytest.raises(ValueError) as caught:
        along(ms.Along(Given((0.5, t, 0.7))), schedule, 0.5)
    words = f"Along times must have a positive finite sigma / alpha, got t = {t:g} of"
    assert words in str(caught.value) and "try times in" in str(caught.value) and "\n" not in str(caught.value)
    if t == 0:  # an end above 0 keeps clear of it
        assert along(ms.Along(Given((0.5, t, 0.7)), end=0.1), schedule, 0.5)[1] == 0.1


def test_along_needs_a_schedule():
    with pytest.raises(ValueError, match=r"Along needs the schedule of a prior, got none; try Along\(...\).on\("):
        ms.Along().next(0.0, INF, ms.Along().init(3))


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("std", [0.05, 1.0, 20.0])
def test_the_prior_scale_of_a_round_gaussian_is_its_standard_deviation(std, schedule):
    prior = prior_of(gaussian([3.0, -1.0], [[std**2, 0.0], [0.0, std**2]]), schedule)
    scale = ms.bandwidths.prior_scale(prior, torch.zeros(4, 2, dtype=F64), generator())
    # exact in exact arithmetic; a slope s^2 / (s^2 + H^2) below 1e-12 is indistinguishable from 0
    assert scale.shape == (4,) and scale.tolist() == pytest.approx([std] * 4, rel=1e-3)


def test_the_prior_scale_of_any_gaussian_is_the_root_mean_square_of_its_variances_within_ten_percent():
    d, g = 64, generator(3)
    factor = torch.randn(d, d, dtype=F64, generator=g) / 8
    cov = factor @ factor.T + 0.2 * torch.eye(d, dtype=F64)
    prior = ms.GaussianMixture(tensor(1.0), torch.ones(1, d, dtype=F64), cov[None], ms.VE())
    scale = ms.bandwidths.prior_scale(prior, torch.zeros(10, d, dtype=F64), generator())
    assert scale.tolist() == pytest.approx([float((cov @ cov).diagonal().mean() ** 0.25)] * 10, rel=0.1)


def test_the_prior_scale_survives_guidance_that_reverses_predictions():
    """Far out `J = (3 * 1 - 2 * 5) / H^2`: the narrow class has variance 1, both together 5."""
    pair = ms.GaussianMixture(
        tensor(0.5, 0.5),
        torch.zeros(2, 2, dtype=F64),
        torch.stack([torch.eye(2, dtype=F64), 9 * torch.eye(2, dtype=F64)]),
        ms.VE(0.01, 1000.0),
        labels=torch.tensor([0, 1]),
    )
    conditions = ms.Conditions(torch.tensor([0]), null=torch.tensor([-1]))
    scale = ms.bandwidths.prior_scale(ms.Guided(pair, 3.0), torch.zeros(2, 2, dtype=F64), generator(), conditions)
    assert scale.tolist() == pytest.approx([7**0.5] * 2, rel=0.01)


def test_the_prior_scale_costs_sixteen_calls_per_row_and_uses_each_rows_condition():
    wide = ms.GaussianMixture(
        tensor(0.5, 0.5),
        torch.zeros(2, 2, dtype=F64),
        torch.stack([torch.eye(2, dtype=F64), 9 * torch.eye(2, dtype=F64)]),
        labels=torch.tensor([0, 1]),
    )
    prior, z = ms.Counting(wide), torch.zeros(3, 2, dtype=F64)
    for labels, expected in (([1, 0, 1], [3.0, 1.0, 3.0]), ([1], [3.0] * 3)):
        prior.calls = 0
        scale = ms.bandwidths.prior_scale(prior, z, generator(), torch.tensor(labels))
        assert scale.tolist() == pytest.approx(expected, rel=1e-6) and prior.calls == 48
    conditions = ms.Conditions(torch.tensor([0, 1, 1]), null=torch.tensor([-1]))
    scale = ms.bandwidths.prior_scale(ms.Guided(wide, 1.0), z, generator(), conditions)
    assert scale.tolist() == pytest.approx([1.0, 3.0, 3.0], rel=1e-6)


BAD = {
    "fixed": (lambda: ms.Fixed(0.0), "h must be positive"),
    "nan": (lambda: ms.Fixed(float("nan")), "h must be positive"),
    "start": (lambda: ms.Geometric(-1.0, 0.5), "start must be positive"),
    "end": (lambda: ms.Geometric(1.0, float("inf")), "end must be positive"),
    "hold": (lambda: ms.Geometric(1.0, 0.5, hold=1.0), "hold must be a fraction"),
    "adaptive end": (lambda: ms.Adaptive(0.0), "end must be positive"),
    "adaptive start": (lambda: ms.Adaptive(0.1, start=-1.0), "start must be positive"),
    "settle": (lambda: ms.Adaptive(0.1, settle=0.0), "settle must be positive"),
    "shrink": (lambda: ms.Adaptive(0.1, shrink=1.0), r"shrink must be in \(0, 1\)"),
    "along end": (lambda: ms.Along(end=-0.1), "Along end must be at least 0 and finite"),
    "along infinite end": (lambda: ms.Along(end=float("inf")), "Along end must be at least 0 and finite"),
    "along nan": (lambda: ms.Along(end=float("nan")), "Along end must be at least 0 and finite"),
    "along hold": (lambda: ms.Along(hold=1.0), "hold must be a fraction"),
    "adaptive hold": (lambda: ms.Adaptive(0.1, hold=-0.1), "hold must be a fraction"),
}


@pytest.mark.parametrize(("build", "message"), BAD.values(), ids=BAD)
def test_bad_bandwidths_are_one_clear_line(build, message):
    with pytest.raises(ValueError, match=message) as error:
        build()
    assert "\n" not in str(error.value) and "got" in str(error.value)
