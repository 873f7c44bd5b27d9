"""Which noise levels are visited."""

from __future__ import annotations

import pytest
import torch
from cases_shift import generator
from scipy.stats import kstest

import modeseek as ms


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
    together = ms.Uniform()(0.0, 4, ms.Streams(1, 7, (3, 0, 2, 1)))
    for slot, item in enumerate((3, 0, 2, 1)):
        assert torch.equal(together[slot : slot + 1], ms.Uniform()(0.0, 1, ms.Streams(1, 7, (item,))))


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_annealed_times_fall_from_start_to_end_for_every_item(power):
    times = ms.Annealed(0.9, 0.1, power)
    walk = torch.stack([times(i / 50, 4, generator()) for i in range(51)])
    assert walk.shape == (51, 4) and (walk == walk[:, :1]).all()
    assert float(walk[0, 0]) == pytest.approx(0.9) and float(walk[-1, 0]) == pytest.approx(0.1)
    assert (walk.diff(dim=0) < 0).all()
    assert float(times(0.25, 1, generator())) == pytest.approx(0.9 - 0.8 * 0.25**power)


def test_annealed_draws_nothing():
    rng = generator()
    before = rng.get_state()
    ms.Annealed()(0.3, 5, rng)
    assert torch.equal(rng.get_state(), before)


@pytest.mark.parametrize(
    "build",
    [
        lambda: ms.Uniform(-0.1, 0.5),
        lambda: ms.Uniform(0.6, 0.5),
        lambda: ms.Uniform(0.5, 1.1),
        lambda: ms.Annealed(1.1, 0.0),
        lambda: ms.Annealed(0.9, -0.1),
        lambda: ms.Annealed(0.9, 0.1, 0.0),
    ],
)
def test_times_outside_the_unit_interval_are_refused(build):
    with pytest.raises(ValueError, match=r"(Uniform|Annealed) needs .*got"):
        build()
