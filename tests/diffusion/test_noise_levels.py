"""Time samplers against their formulas and their distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from cases_shift import generator
from scipy.stats import kstest

import modeseek as ms
from modeseek.diffusion.noise_levels import DreamTime, Switch


@pytest.mark.parametrize(("low", "high"), [(0.02, 0.98), (0.0, 1.0), (0.3, 0.35)])
def test_uniform_times_are_uniform_in_their_range(low, high):
    t = ms.Uniform(low, high)(0.5, 5000, generator())
    assert t.shape == (5000,) and low <= float(t.min()) and float(t.max()) <= high
    # a fixed seed: this either holds or does not
    assert kstest(t.double().numpy(), "uniform", (low, high - low)).pvalue > 0.01


def test_uniform_times_differ_per_item_and_ignore_progress():
    t = ms.Uniform()(0.0, 10, generator())
    assert len(t.unique()) == 10
    assert torch.equal(t, ms.Uniform()(1.0, 10, generator()))
    assert not torch.equal(t, ms.Uniform()(0.0, 10, generator(1)))
    assert torch.equal(ms.Uniform(0.4, 0.4)(0.0, 3, generator()), torch.full((3,), 0.4))


def test_a_stream_gives_its_item_the_same_time_in_any_batch():
    batch = ms.Uniform()(0.0, 4, ms.Streams(1, 7, (3, 0, 2, 1)))
    for index, item in enumerate((3, 0, 2, 1)):
        assert torch.equal(batch[index : index + 1], ms.Uniform()(0.0, 1, ms.Streams(1, 7, (item,))))


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_annealed_times_fall_from_start_to_end_for_every_item(power):
    times = ms.noise_levels.Annealed(0.9, 0.1, power)
    walk = torch.stack([times(i / 50, 4, generator()) for i in range(51)])
    assert walk.shape == (51, 4) and (walk == walk[:, :1]).all()
    assert float(walk[0, 0]) == pytest.approx(0.9) and float(walk[-1, 0]) == pytest.approx(0.1)
    assert (walk.diff(dim=0) < 0).all()
    assert float(times(0.25, 1, generator())) == pytest.approx(0.9 - 0.8 * 0.25**power)


def test_annealed_draws_nothing():
    rng = generator()
    before = rng.get_state()
    ms.noise_levels.Annealed()(0.3, 5, rng)
    assert torch.equal(rng.get_state(), before)


@pytest.mark.parametrize(
    "build",
    [
        lambda: ms.Uniform(-0.1, 0.5),
        lambda: ms.Uniform(0.6, 0.5),
        lambda: ms.Uniform(0.5, 1.1),
        lambda: ms.noise_levels.Annealed(1.1, 0.0),
        lambda: ms.noise_levels.Annealed(0.9, -0.1),
        lambda: ms.noise_levels.Annealed(0.9, 0.1, 0.0),
    ],
)
def test_times_outside_the_unit_interval_are_refused(build):
    with pytest.raises(ValueError, match=r"(Uniform|Annealed) needs .*got"):
        build()


DREAMS = {
    "theirs": {},
    "all the way": {"high": 1.0, "low": 0.0},
    "no plateau": {"slow_from": 0.6, "slow_until": 0.6},
    "narrow": {"noisy_width": 0.003, "clean_width": 0.002},
    "plateau only": {"high": 0.7, "slow_from": 0.7, "slow_until": 0.1, "low": 0.1},
}


def dream_weight(t, high=0.98, low=0.02, slow_from=0.8, slow_until=0.5, noisy_width=0.3, clean_width=0.1):
    """W, as the paper writes it."""
    if t > slow_from:
        return math.exp(-((t - slow_from) ** 2) / (2 * noisy_width**2))
    return 1.0 if t >= slow_until else math.exp(-((t - slow_until) ** 2) / (2 * clean_width**2))


@pytest.mark.parametrize("options", DREAMS.values(), ids=DREAMS)
def test_dream_times_are_the_argmin_of_their_definition(options):
    """The paper's `argmin_t' |sum_{t >= t'} W(t) - i / N|`, on a table of 20000 steps."""
    high, low = options.get("high", 0.98), options.get("low", 0.02)
    table = np.linspace(low, high, 20_001)
    middle = (table[1:] + table[:-1]) / 2
    weights = np.array([dream_weight(t, **options) for t in middle])
    above = np.concatenate([np.cumsum(weights[::-1])[::-1], [0.0]]) / weights.sum()  # share of W above each node
    times = DreamTime(**options)
    for progress in np.linspace(0, 1, 41):
        t = float(times(float(progress), 1, generator())[0])
        share = np.interp(t, table, above)
        assert share == pytest.approx(progress, abs=3e-5)  # float32 times
        expected = table[np.abs(above - progress).argmin()]
        if min(dream_weight(t, **options), dream_weight(expected, **options)) > 0.05:
            assert t == pytest.approx(expected, abs=2e-3)


def test_dream_times_are_distributed_as_their_weight():
    n = 4000
    t = np.array([DreamTime().time((i + 0.5) / n) for i in range(n)])
    counts, edges = np.histogram(t, bins=24, range=(0.02, 0.98))
    fine = np.array([[dream_weight(x) for x in np.linspace(a, b, 201)] for a, b in zip(edges, edges[1:], strict=False)])
    mass = fine.mean(1) / fine.mean(1).sum()
    assert np.abs(counts - n * mass).max() <= 1.5
    assert counts.max() > 100 * max(1, counts.min())  # far from uniform


def test_dream_times_fall_from_high_to_low_and_draw_nothing():
    rng = generator()
    before = rng.get_state()
    walk = torch.stack([DreamTime()(i / 100, 3, rng) for i in range(101)])
    assert torch.equal(rng.get_state(), before) and (walk == walk[:, :1]).all()
    assert float(walk[0, 0]) == pytest.approx(0.98) and float(walk[-1, 0]) == pytest.approx(0.02)
    assert (walk.diff(dim=0) < 0).all()
    assert torch.equal(DreamTime()(0.3, 3, rng), DreamTime()(0.3, 3, rng))  # no call is counted


@pytest.mark.parametrize(
    "options",
    [{"high": 1.1}, {"slow_from": 0.4}, {"low": 0.6}, {"noisy_width": 0.0}, {"clean_width": -1.0}, {"high": 0.7}],
)
def test_dream_times_out_of_order_are_refused(options):
    with pytest.raises(ValueError, match=r"DreamTime needs .*got") as error:
        DreamTime(**options)
    assert "\n" not in str(error.value)


def test_a_switch_draws_from_the_wide_range_and_then_from_the_low_one():
    times, rng = Switch(0.1, 0.9, 0.3, at=0.4), generator()
    before, after = times(0.39, 4000, rng), times(0.4, 4000, rng)
    assert 0.1 <= before.min() < 0.11 and 0.89 < before.max() <= 0.9
    assert 0.1 <= after.min() < 0.11 and 0.29 < after.max() <= 0.3
    assert kstest(after.numpy(), "uniform", (0.1, 0.2)).pvalue > 1e-3, "one range, not a mixture of both"


@pytest.mark.parametrize("options", [{"low": 0.6}, {"then": 1.5}, {"high": 0.01}, {"at": -0.1}, {"low": -0.1}])
def test_a_switch_of_no_range_is_one_line(options):
    with pytest.raises(ValueError, match="Switch needs 0 <= low <= high, .*got") as error:
        Switch(**options)
    assert "\n" not in str(error.value)
