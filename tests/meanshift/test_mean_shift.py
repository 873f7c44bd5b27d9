"""Mean shift against brute force, quadrature and its own guarantees."""

from __future__ import annotations

import pytest
import torch
from cases_shift import (
    SCHEDULES,
    components,
    gaussian_ring,
    generator,
    prior_of,
    sample_mixture,
    tensor,
    three_gaussians,
    two_gaussians,
)
from oracles_shift import F64, gradient, kernel_sums, log_density, mean_shift_path, posterior_by_quadrature

import modeseek as ms

STARTS = tensor([0.3, 0.2], [-2.5, 1.0], [1.0, -1.0], [3.0, 3.0], [-6.0, -5.0])


@pytest.mark.parametrize("h", [0.2, 0.7, 2.0])
def test_shift_on_a_data_set_is_the_classical_step(h):
    data = sample_mixture(three_gaussians(), 300)
    expected = kernel_sums(data, STARTS, h)[0] - STARTS
    assert torch.allclose(ms.shift(ms.Empirical(data), STARTS, h), expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("h", [0.15, 0.6, 1.5])
def test_shift_on_a_mixture_is_the_quadrature_of_its_definition(h, schedule):
    expected = posterior_by_quadrature(three_gaussians(), STARTS, h)[0] - STARTS
    found = ms.shift(prior_of(three_gaussians(), schedule), STARTS, h)
    assert (found - expected).norm() <= 1e-8 * expected.norm()


def test_shift_is_h_squared_times_the_gradient_of_log_p_h():
    h = 0.8
    slope = torch.stack([gradient(lambda x: log_density(three_gaussians(), x[None], h)[0], z) for z in STARTS])
    # fourth-order differences of step 1e-3: truncation 1e-12, cancellation 1e-15 / 1e-3
    assert torch.allclose(ms.shift(prior_of(three_gaussians()), STARTS, h), h**2 * slope, rtol=1e-8, atol=1e-10)


def test_shift_takes_a_bandwidth_per_row_and_a_condition_per_row():
    prior = prior_of(three_gaussians(), labels=[0, 0, 1])
    h, labels = tensor(0.3, 0.5, 0.9, 1.2, 2.0), torch.tensor([0, 1, -1, 1, 0])
    parts = {0: components(three_gaussians(), [0, 1]), 1: components(three_gaussians(), [2]), -1: three_gaussians()}
    expected = torch.cat(
        [
            posterior_by_quadrature(parts[int(c)], z[None], float(w))[0] - z
            for z, w, c in zip(STARTS, h, labels, strict=True)
        ]
    )
    assert torch.allclose(ms.shift(prior, STARTS, h, labels), expected, rtol=1e-7, atol=1e-8)


def test_plain_mean_shift_is_the_brute_force_loop():
    data = sample_mixture(three_gaussians(), 200)
    for h, tol in ((0.5, 1e-6), (1.0, 1e-3)):
        result = ms.mean_shift(data, STARTS, h, tol=tol, accelerate=False, truncate=False)
        for i, start in enumerate(STARTS):
            z, steps, arrived = mean_shift_path(data, start, h, tol, 1000)
            assert bool(result.converged[i]) is arrived is True
            # round-off may turn the tolerance by one step; the iterates then differ by less than the tolerance
            assert abs(int(result.steps[i]) - steps) <= 1
            assert (result.z[i] - z).norm() <= 2 * tol * h


def test_plain_iterates_are_the_brute_force_iterates():
    data = sample_mixture(three_gaussians(), 200)
    for k in range(1, 12):
        result = ms.mean_shift(data, STARTS, 0.4, tol=1e-12, max_steps=k, accelerate=False, truncate=False)
        for i, start in enumerate(STARTS):
            z, steps, arrived = mean_shift_path(data, start, 0.4, 1e-12, k)
            assert torch.allclose(result.z[i], z, rtol=0, atol=1e-10)
            assert int(result.steps[i]) == steps and bool(result.converged[i]) is arrived


def test_results_match_their_definitions():
    data, h = sample_mixture(three_gaussians(), 200), tensor(0.3, 0.4, 0.5, 0.6, 0.7)
    result = ms.mean_shift(data, STARTS, h, max_steps=7)
    for i, z in enumerate(result.z):
        mean, log_p = kernel_sums(data, z[None], float(h[i]))
        relative = (mean[0] - z).norm() / (float(h[i]) * 2**0.5)
        assert torch.allclose(result.relative_shift[i], relative, rtol=1e-7, atol=1e-12)
        assert torch.allclose(result.log_prob[i], log_p[0], rtol=0, atol=1e-9)
        assert bool(result.converged[i]) is (float(relative) <= 1e-6)
    assert (result.steps <= 7).all() and (result.steps[~result.converged] == 7).all()


SOURCES = {
    "mixture": lambda: prior_of(three_gaussians()),
    "samples": lambda: sample_mixture(three_gaussians(), 400),
    "empirical": lambda: ms.Empirical(sample_mixture(three_gaussians(), 400)),
}


@pytest.mark.slow
@pytest.mark.parametrize("accelerate", [True, False], ids=["accelerated", "plain"])
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_log_p_h_never_falls(source, accelerate):
    source, starts, h = source(), torch.cat([STARTS, 2 * sample_mixture(three_gaussians(), 60, seed=3)]), 0.35
    before = None
    for k in range(1, 20):
        result = ms.mean_shift(source, starts, h, tol=1e-9, max_steps=k, accelerate=accelerate)
        if isinstance(source, ms.GaussianMixture):
            value = log_density(three_gaussians(), result.z, h)
        else:
            data = source if isinstance(source, torch.Tensor) else source.data
            value = kernel_sums(data, result.z, h)[1]
        assert torch.allclose(result.log_prob, value, rtol=1e-9, atol=1e-8)
        if before is not None:
            assert (value >= before - 1e-12 * (1 + value.abs())).all()
        before = value


def test_an_extrapolated_step_gains_at_least_the_guarantee_of_a_plain_one():
    prior, h = prior_of(three_gaussians()), 0.35
    starts = 2 * sample_mixture(three_gaussians(), 100, seed=5)
    before = ms.mean_shift(prior, starts, h, tol=1e-9, max_steps=1)
    for k in range(2, 24):
        after = ms.mean_shift(prior, starts, h, tol=1e-9, max_steps=k)
        guaranteed = before.relative_shift**2  # |shift|^2 / (2 h^2) = relative^2 d / 2, d = 2
        moved = (after.z != before.z).any(1)
        gain = log_density(three_gaussians(), after.z, h) - log_density(three_gaussians(), before.z, h)
        assert (gain[moved] >= guaranteed[moved] - 1e-12).all()
        before = after


def test_without_a_density_only_plain_steps_may_raise_the_relative_shift():
    prior, h = ms.Counting(prior_of(three_gaussians())), 0.35  # counting hides the density
    starts = 2 * sample_mixture(three_gaussians(), 100, seed=5)
    before = ms.mean_shift(prior, starts, h, tol=1e-9, max_steps=1)
    assert before.log_prob is None
    rose_somewhere = False
    for k in range(2, 60):
        after = ms.mean_shift(prior, starts, h, tol=1e-9, max_steps=k)
        rose = after.relative_shift > before.relative_shift
        plain = before.z + ms.shift(prior, before.z, h)
        assert torch.allclose(after.z[rose], plain[rose], rtol=0, atol=1e-12)
        rose_somewhere |= bool(rose.any())
        before = after
    assert rose_somewhere  # the safeguard was needed


ASCENTS = {
    "three, 0.3": (three_gaussians(), 0.3),
    "three, 1.0": (three_gaussians(), 1.0),
    "ring, 0.5": (gaussian_ring(tensor(*[1 / 6] * 6)), 0.5),
    "ring, 1.0": (gaussian_ring(tensor(0.3, 0.2, 0.2, 0.1, 0.1, 0.1)), 1.0),
    "pair, 0.6": (two_gaussians(3.0), 0.6),
    "pair at the edge": (two_gaussians(2.6), 1.0),
}


@pytest.mark.parametrize(("mixture", "h"), ASCENTS.values(), ids=ASCENTS)
def test_accelerated_and_plain_converge_to_the_same_modes(mixture, h):
    prior, starts = prior_of(mixture), sample_mixture(mixture, 200, seed=1)
    fast = ms.mean_shift(prior, starts, h, tol=1e-8, max_steps=5000)
    slow = ms.mean_shift(prior, starts, h, tol=1e-8, max_steps=50_000, accelerate=False)
    assert fast.converged.all() and slow.converged.all()
    apart = torch.cdist(fast.z, slow.z)
    # the distance to a mode is the last shift over (1 - contraction): a few hundred times tol h
    assert apart.amin(1).max() <= 1e-4 * h and apart.amin(0).max() <= 1e-4 * h
    assert (apart.diagonal() <= 1e-4 * h).float().mean() >= 0.95
    assert fast.steps.double().mean() < slow.steps.double().mean()


@pytest.mark.slow
def test_acceleration_saves_two_thirds_where_plain_is_slow():
    sixths = gaussian_ring(tensor(*[1 / 6] * 6))
    sources = [(prior_of(three_gaussians()), three_gaussians(), h) for h in (0.1, 0.2, 0.3)]
    sources += [(prior_of(sixths), sixths, 0.1)]
    sources += [(sample_mixture(three_gaussians(), 800), three_gaussians(), h) for h in (0.2, 0.3)]
    for source, mixture, h in sources:
        starts = sample_mixture(mixture, 150, seed=2)
        slow = ms.mean_shift(source, starts, h, max_steps=50_000, accelerate=False)
        fast = ms.mean_shift(source, starts, h, max_steps=50_000)
        assert fast.converged.all()
        needs = slow.steps >= 50
        assert needs.sum() >= 100
        assert (slow.steps[needs].double() / fast.steps[needs].double()).median() >= 3


def test_bandwidths_per_row_are_that_many_single_runs():
    data, h = sample_mixture(three_gaussians(), 300), tensor(0.3, 0.5, 0.9, 1.2, 2.0)
    for source in (data, prior_of(three_gaussians())):
        together = ms.mean_shift(source, STARTS, h)
        for i in range(len(STARTS)):
            alone = ms.mean_shift(source, STARTS[i : i + 1], float(h[i]))
            assert torch.allclose(together.z[i], alone.z[0], rtol=0, atol=1e-6)
            assert abs(int(together.steps[i] - alone.steps[0])) <= 1


def test_conditions_follow_their_starts():
    prior = prior_of(three_gaussians(), labels=[0, 0, 1])
    labels = torch.tensor([0, 1, -1, 1, 0])
    together = ms.mean_shift(prior, STARTS, 0.4, cond=labels)
    for i in range(len(STARTS)):
        alone = ms.mean_shift(prior, STARTS[i : i + 1], 0.4, cond=labels[i : i + 1])
        assert torch.allclose(together.z[i], alone.z[0], rtol=0, atol=1e-6)


def test_a_guided_prior_uses_its_conditions():
    bare = prior_of(three_gaussians(), labels=[0, 0, 1])
    guided = ms.Guided(bare, 1.5)
    for n in (5, 1):
        conditions = ms.Conditions(torch.zeros(n, dtype=torch.long), null=-torch.ones(n, dtype=torch.long))
        result = ms.mean_shift(guided, STARTS, 1.0, cond=conditions)
        h = torch.full((5,), 1.0, dtype=F64)
        conditional = posterior_by_quadrature(components(three_gaussians(), [0, 1]), result.z, 1.0)[0] - result.z
        plain = posterior_by_quadrature(three_gaussians(), result.z, 1.0)[0] - result.z
        shift = plain + 1.5 * (conditional - plain)
        assert result.converged.all() and (shift.norm(dim=1) <= 2e-6 * h).all()


def test_converged_starts_cost_nothing_more():
    prior = ms.Counting(prior_of(three_gaussians()))
    mode = ms.mean_shift(prior_of(three_gaussians()), STARTS[1:2], 0.5, tol=1e-10).z
    prior.calls = 0
    starts = torch.cat([STARTS, mode])
    result = ms.mean_shift(prior, starts, 0.5)
    assert prior.calls == int(result.steps.sum())
    assert int(result.steps[-1]) == 1 and int(result.steps[:-1].min()) > 1
    assert torch.equal(result.z[-1:], mode)


def test_max_steps_is_a_budget_of_calls():
    prior = ms.Counting(prior_of(three_gaussians()))
    result = ms.mean_shift(prior, STARTS, 0.5, tol=1e-12, max_steps=5)
    assert prior.calls == 25 and (result.steps == 5).all() and not result.converged.any()


def test_the_starts_are_not_modified():
    starts = STARTS.clone()
    ms.mean_shift(sample_mixture(three_gaussians(), 50), starts, 0.5)
    assert torch.equal(starts, STARTS)


@pytest.mark.slow
@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_the_truncated_kernel_is_its_untruncated_twin(d):
    g = generator(d)
    centers = 3 * torch.randn(6, d, dtype=F64, generator=g)
    data = centers.repeat_interleave(300, 0) + 0.5 * torch.randn(1800, d, dtype=F64, generator=g)
    h = 0.35
    far = torch.full((2, d), 60.0, dtype=F64) * tensor([1.0], [-1000.0])
    starts = torch.cat([data[::9], centers + 2.0, far])
    for accelerate in (True, False):
        options = {"tol": 1e-9, "max_steps": 20_000, "accelerate": accelerate}
        short = ms.mean_shift(data, starts, h, **options)
        whole = ms.mean_shift(data, starts, h, truncate=False, **options)
        assert short.converged.all() and whole.converged.all()
        gap = (short.z - whole.z).norm(dim=1)
        # near a basin's edge the two may part; elsewhere they agree
        assert (gap <= 1e-6 * h).double().mean() >= 0.99
        assert torch.cdist(short.z, whole.z).amin(1).max() <= 1e-6 * h
        assert torch.allclose(short.log_prob, whole.log_prob, rtol=0, atol=1e-6) or gap.max() > 1e-6 * h


def test_raw_images_are_samples_too():
    data = torch.randn(40, 1, 3, 3, dtype=F64, generator=generator())
    result = ms.mean_shift(data, data[:4] + 0.1, 1.0)
    expected = kernel_sums(data.flatten(1), result.z.flatten(1), 1.0)[0]
    assert result.z.shape == (4, 1, 3, 3) and result.converged.all()
    assert (expected - result.z.flatten(1)).norm(dim=1).max() <= 1e-6 * 3 * 1.01


BAD = {
    "zero bandwidth": ({"bandwidth": 0.0}, "positive and finite"),
    "negative bandwidth": ({"bandwidth": -1.0}, "positive and finite"),
    "infinite bandwidth": ({"bandwidth": float("inf")}, "positive and finite"),
    "one bad row": ({"bandwidth": tensor(1.0, 1.0, float("nan"), 1.0, 1.0)}, "positive and finite"),
    "too few bandwidths": ({"bandwidth": tensor(1.0, 1.0)}, "one per row"),
    "tol": ({"tol": 0.0}, "tol > 0"),
    "max_steps": ({"max_steps": 0}, "max_steps >= 1"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD)
def test_bad_options_are_one_clear_line(options, message):
    for source in (sample_mixture(three_gaussians(), 50), prior_of(three_gaussians())):
        with pytest.raises(ValueError, match=message) as error:
            ms.mean_shift(source, STARTS, **({"bandwidth": 1.0} | options))
        assert "\n" not in str(error.value)


def test_samples_that_do_not_fit_the_starts_are_refused():
    with pytest.raises(ValueError, match="must agree"):
        ms.mean_shift(torch.zeros(10, 3, dtype=F64), STARTS, 1.0)
    with pytest.raises(ValueError, match="finite"):
        ms.mean_shift(torch.full((10, 2), float("nan"), dtype=F64), STARTS, 1.0)
