"""MSD along a prior's own noise levels with a weight: its equality with SDS, and a verdict that ignores the weight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from cases_shift import SCHEDULES, generator, prior_of, tensor, three_gaussians
from oracles_shift import F64, level, modes, posterior

import modeseek as ms
from modeseek.diffusion.noise_levels import Annealed, Times
from modeseek.diffusion.weighting import Weight
from modeseek.methods.msd import MSDState

Z = tensor([0.4, -0.6], [-2.5, 1.0], [1.0, -1.0], [3.0, 3.0])
LABELS = [0, 0, 1]
CONDITIONS = ms.Conditions(torch.tensor([0, 1, 1, 0]), null=torch.tensor([-1]))


def step(method: ms.Method, prior: ms.Prior, state=None, *, z=Z, progress=0.0, rng=None, conditions=None):
    """One step, from the initial state unless another is given."""
    state = method.init(z, prior) if state is None else state
    rng = generator(3) if rng is None else rng
    return method.step(z, prior, state, conditions=conditions, progress=progress, rng=rng)


def bandwidth_at(schedule: str, t: float) -> float:
    """`sigma / alpha` of the oracle."""
    alpha, sigma = level(schedule, t)
    return sigma / alpha


def cubic(alpha: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """A weight that depends on alpha and sigma separately."""
    return 0.3 + alpha**3 + 2 * sigma


ESTIMATORS = {
    "denoiser": {},
    "jittered": {"jitter": 0.5},
    "product": {"estimator": "product", "steps": 2, "samples": 2},
    "kernel-score": {"estimator": "kernel-score", "steps": 3, "interval": (0.0, 0.4)},
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("options", ESTIMATORS.values(), ids=ESTIMATORS)
def test_the_weight_multiplies_the_direction_at_the_schedules_own_level(options, schedule):
    prior, (alpha, sigma) = prior_of(three_gaussians(), SCHEDULES[schedule]), level(schedule, 0.37)
    plain, _ = step(ms.MSD(ms.Fixed(sigma / alpha), **options), prior)
    weighted, _ = step(ms.MSD(ms.Fixed(sigma / alpha), weight=cubic, **options), prior)
    w = 0.3 + alpha**3 + 2 * sigma
    assert torch.allclose(weighted.grad, w * plain.grad, rtol=1e-9, atol=1e-12) and plain.grad.abs().max() > 0.01
    assert weighted.weight.tolist() == pytest.approx([w] * 4, rel=1e-9) and plain.weight.tolist() == [1.0] * 4
    for name in ("bandwidth", "relative_shift"):
        assert torch.equal(weighted.logs[name], plain.logs[name])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_each_row_has_the_weight_of_its_own_bandwidth_on_exact_targets(schedule):
    times = torch.tensor([0.2, 0.4, 0.6, 0.7], dtype=F64)
    prior = prior_of(three_gaussians(), SCHEDULES[schedule])
    direction, _ = step(ms.MSD(ms.Along(lambda progress, n, rng: times), weight=cubic), prior)
    for i, t in enumerate(times.tolist()):
        alpha, sigma = level(schedule, t)
        target = posterior(three_gaussians(), Z[i : i + 1], sigma / alpha)[0][0]
        expected = (0.3 + alpha**3 + 2 * sigma) * (Z[i] - target)
        assert torch.allclose(direction.grad[i], expected, rtol=1e-8, atol=1e-9)


def test_the_default_weight_changes_nothing_to_the_bit():
    h = 0.7
    prior = prior_of(three_gaussians(), ms.VP())
    ones = torch.full((4,), h, dtype=F64)
    target = Z - h * prior.at(Z, torch.ones_like(ones), ones).eps
    direction, _ = step(ms.MSD(ms.Fixed(h)), prior)
    assert torch.equal(direction.grad, Z - target)
    beyond, _ = step(ms.MSD(ms.Fixed(1e9)), prior)  # a bandwidth that the schedule does not reach
    assert torch.equal(beyond.weight, torch.ones(4, dtype=F64)) and beyond.grad.isfinite().all()


def test_beyond_the_schedule_the_weight_is_that_of_its_nearest_level():
    prior = prior_of(three_gaussians(), ms.VE(0.01, 20.0))
    for h, nearest in ((1e-4, 0.01), (500.0, 20.0)):
        direction, _ = step(ms.MSD(ms.Fixed(h), weight=lambda alpha, sigma: sigma), prior)
        assert direction.weight.tolist() == pytest.approx([nearest] * 4, rel=1e-9)


def over(weight: Weight) -> Weight:
    """The weight of SDS that gives the direction of jittered MSD with this one: times sigma / alpha."""
    return lambda alpha, sigma: weight(alpha, sigma) * sigma / alpha


TIMES: dict[str, Times] = {"annealed": Annealed(0.9, 0.1), "uniform": ms.Uniform(0.1, 0.9)}
WEIGHTS: dict[str, Weight] = {
    "unit": ms.weights.unit_weight,
    "alpha-sigma": ms.weights.alpha_sigma,
    "sigma-squared": ms.sigma_squared,
    "cubic": cubic,
}
STREAMS: dict[str, Callable[[], ms.Rng]] = {
    "generator": lambda: generator(7),
    "streams": lambda: ms.Streams(7, 2, (0, 1, 2, 3)),
}


@pytest.mark.slow
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
@pytest.mark.parametrize("guided", [None, 1.0, 3.0])
@pytest.mark.parametrize("rng", STREAMS.values(), ids=STREAMS)
def test_full_jitter_along_the_times_is_sds_with_the_same_draws(rng, guided, times, schedule):
    prior: ms.Prior = prior_of(three_gaussians(), SCHEDULES[schedule], LABELS)
    conditions = None if guided is None else CONDITIONS
    prior = prior if guided is None else ms.Guided(prior, guided)
    for weight in WEIGHTS.values():
        for progress in (0.0, 0.4, 1.0):
            given = {"progress": progress, "conditions": conditions}
            msd, _ = step(ms.MSD(ms.Along(times), weight=weight, jitter=1.0), prior, rng=rng(), **given)
            sds, _ = step(ms.SDS(times, over(weight)), prior, rng=rng(), **given)
            assert torch.equal(msd.eps, sds.eps)
            # t_of of the bandwidth, and a posterior through (1, h) in place of (alpha, sigma): float64 rounding
            assert torch.allclose(msd.grad, sds.grad, rtol=1e-8, atol=1e-10 * float(sds.grad.abs().max()))
            assert torch.allclose(msd.weight, sds.weight, rtol=1e-9)  # both keep the same target
            half, _ = step(ms.MSD(ms.Along(times), weight=weight, jitter=0.5), prior, rng=rng(), **given)
            assert (half.grad - sds.grad).abs().max() > 1e-3 * sds.grad.abs().max()  # the test is sensitive


@pytest.mark.parametrize("schedule", ["VP", "Cosine"])
@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
def test_with_alpha_sigma_it_is_dreamfusions_sds_on_variance_preserving_schedules(times, schedule):
    prior = prior_of(three_gaussians(), SCHEDULES[schedule], LABELS)
    msd, _ = step(ms.MSD(ms.Along(times), weight=ms.weights.alpha_sigma, jitter=1.0), prior, progress=0.4)
    sds, _ = step(ms.SDS(times, ms.sigma_squared), prior, progress=0.4)
    assert torch.allclose(msd.grad, sds.grad, rtol=1e-8, atol=1e-10)


def images() -> ms.Prior:
    """Prior of a few images."""
    data = torch.rand(6, 3, 6, 6, dtype=F64, generator=generator(5))
    return ms.Empirical(2 * data - 1, ms.VP(), torch.arange(6) % 2)


@pytest.mark.parametrize("inner_steps", [1, 3])
@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
def test_whole_runs_of_a_coordinate_network_are_those_of_sds(times, inner_steps):
    ends = []
    conditions = ms.Conditions(torch.tensor([0, 1]), null=torch.tensor([-1]))
    for method in (
        ms.MSD(ms.Along(times), weight=ms.weights.alpha_sigma, jitter=1.0),
        ms.SDS(times, ms.sigma_squared),
    ):
        field = ms.Field(2, (6, 6), generator(1), width=8, depth=2, like=torch.empty(0, dtype=F64))
        run = ms.distill(
            field,
            ms.Guided(images(), 2.0),
            method,
            torch.optim.SGD(field.parameters(), lr=0.05),
            steps=6,
            batch=2,
            inner_steps=inner_steps,
            conditions=conditions,
            codec=ms.Shifted(ms.codec.RangeCodec(), 2, 0.0),
            rng=ms.Streams(4),
        )
        ends.append([record.z for record in run])
    for msd, sds in zip(*ends, strict=True):
        assert torch.allclose(msd, sds, rtol=0, atol=1e-8)
    assert not torch.allclose(ends[0][0], ends[0][-1], rtol=0, atol=1e-3)


def test_a_run_without_noise_at_the_end_leaves_sds_where_the_jitter_stops():
    paths = []
    for jitter in (1.0, ms.Until(0.6)):
        points = ms.Points(Z)
        method = ms.MSD(ms.Along(Annealed(0.9, 0.1)), jitter=jitter)
        optimizer = torch.optim.SGD(points.parameters(), lr=0.5)
        run = ms.distill(points, prior_of(three_gaussians()), method, optimizer, steps=11, rng=ms.Streams(2))
        paths.append([(record.z, record.direction.eps) for record in run])
    for i, ((noisy, _), (late, eps)) in enumerate(zip(*paths, strict=True)):
        assert torch.equal(noisy, late) is (i <= 6)  # z before the update of step 6, the first without noise
        assert (eps is None) is (i >= 6)


@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS)
def test_the_verdict_and_the_certificate_do_not_depend_on_the_weight(weight):
    h, prior = 0.5, prior_of(three_gaussians(), ms.VP())
    true = modes(three_gaussians(), h, three_gaussians().means)
    z = torch.cat([true, true + tensor([0.3, 0.0])])
    plain, weighted = ms.MSD(ms.Fixed(h)), ms.MSD(ms.Fixed(h), weight=weight)
    (first, state), (second, other) = step(plain, prior, z=z), step(weighted, prior, z=z)
    assert torch.equal(first.logs["relative_shift"], second.logs["relative_shift"])
    assert plain.done(state).tolist() == weighted.done(other).tolist() == [True] * 3 + [False] * 3
    loose = replace(weighted, tol=float(state.relative_shift[3:].max()))
    assert loose.done(other).all() and not replace(loose, tol=0.9 * loose.tol).done(other).all()
    assert ms.certify(prior, z, h).is_mode.tolist() == [True] * 3 + [False] * 3  # takes no method


def test_along_a_path_rows_are_done_at_its_end_and_never_before():
    prior, method = prior_of(three_gaussians(), ms.VP()), ms.MSD(ms.Along(Annealed(0.9, 0.2)), tol=1e9)
    state = None
    for progress in (0.0, 0.5, 0.99, 1.0):
        _, state = step(method, prior, state, progress=progress)
        assert state.progress == progress
        assert method.done(state).tolist() == [progress == 1.0] * 4
    assert not replace(method, tol=0.0).done(state).any()
    held = replace(method, bandwidth=ms.Along(Annealed(0.9, 0.2), hold=0.25))
    assert [bool(held.done(step(held, prior, progress=p)[1]).all()) for p in (0.74, 0.75, 0.9)] == [False, True, True]
    end = bandwidth_at("VP", 0.55)  # t = 0.55 at half of the path
    ending = replace(method, bandwidth=ms.Along(Annealed(0.9, 0.2), end=end))
    assert [bool(ending.done(step(ending, prior, progress=p)[1]).all()) for p in (0.49, 0.51, 0.9)] == [
        False,
        True,
        True,
    ]


def test_a_whole_run_along_a_path_ends_done_at_modes_of_its_last_bandwidth():
    """Mean shift along a path that holds its end: the points are modes there."""
    schedule, points = SCHEDULES["VP"], ms.Points(Z)
    method = ms.MSD(ms.Along(Annealed(0.9, 0.15), hold=0.5))
    optimizer = torch.optim.SGD(points.parameters(), lr=1.0)
    verdicts = []
    for record in ms.distill(
        points, prior_of(three_gaussians(), schedule), method, optimizer, steps=300, rng=generator()
    ):
        verdicts.append(bool(method.done(record.state).all()))
        assert not verdicts[-1] or record.index >= 149
    assert verdicts[-1]
    h = float(record.direction.logs["bandwidth"][0])
    assert h == pytest.approx(bandwidth_at("VP", 0.15), rel=1e-5)
    assert ms.certify(prior_of(three_gaussians(), schedule), points.z.detach(), h).is_mode.all()


def test_states_of_before_the_progress_was_kept_are_at_the_beginning():
    old = MSDState(None, tensor(0.1), tensor(0.0))
    assert old.progress == 0.0 and not ms.MSD(ms.Along()).done(old).any() and ms.MSD(ms.Fixed(0.1)).done(old).all()


def test_along_costs_what_its_estimator_costs_and_measures_nothing():
    prior = ms.Counting(prior_of(three_gaussians()))
    step(ms.MSD(ms.Along(), weight=ms.weights.alpha_sigma, jitter=1.0), prior)
    assert prior.calls == 4
