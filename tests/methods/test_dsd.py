"""DSD against its recursion, and the initial noise of each item."""

from __future__ import annotations

import pytest
import torch
from cases_phi import FOUR, PerRow, T, eps_of, levels, prior_on, step
from cases_shift import generator, three_gaussians, two_gaussians
from oracles_shift import F64, Mixture, clock_of, level, moved

import modeseek as ms
from modeseek.methods.dsd import DSD, DSDState

CONDITIONS = ms.Conditions(torch.tensor([0, 1, 1, 0]), null=torch.tensor([-1]))
PARTS = (([0, 3], [0, 1]), ([1, 2], [2]))


def part(rows: list[int]) -> Mixture:
    """Some components of the three."""
    return Mixture(
        three_gaussians().weights[rows] / three_gaussians().weights[rows].sum(),
        *(x[rows] for x in three_gaussians()[1:]),
    )


def guided(scale: float, z_t: torch.Tensor, alpha: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """`eps_null + scale (eps_cond - eps_null)`, each row under its own label."""
    null, conditional = eps_of(three_gaussians(), z_t, alpha, sigma), torch.zeros_like(z_t)
    for rows, components in PARTS:
        conditional[rows] = eps_of(part(components), z_t[rows], alpha[rows], sigma[rows])
    return null + scale * (conditional - null)


@pytest.mark.parametrize("schedule", ["VP", "VE"])
@pytest.mark.parametrize("reference", [1.0, 2.0])
def test_it_is_the_difference_along_one_ddim_trajectory(schedule, reference):
    steps, scale = 3, 3.0
    method = DSD(PerRow(), scale, reference, ms.weights.unit_weight, steps)
    prior = prior_on(schedule, three_gaussians(), [0, 0, 1])
    answer, state = method.step(
        FOUR, prior, DSDState(), conditions=CONDITIONS, progress=0.0, rng=ms.Streams(1, 5, (0, 1, 2, 3))
    )
    seed = torch.cat([state.noise[i] for i in range(4)])
    later = (torch.tensor(T, dtype=F64) + answer.logs["gap"]).tolist()
    for t, end in zip(T, later, strict=True):
        reach = 0.1 * max(0.0, clock_of(schedule, t) - 0.32)  # on Stable Diffusion's clock
        assert t < end < moved(schedule, t, reach) if reach > 0 else end == t
    assert later[-1] > T[-1]
    walks = [[1 + (end - 1) * k / steps for end in later] for k in range(steps + 1)]
    alpha, sigma = levels(schedule, tuple(walks[0]))
    z_t = sigma * seed
    for times in walks[1:]:
        eps = guided(scale, z_t, alpha, sigma)
        z = (z_t - sigma * eps) / alpha
        alpha, sigma = levels(schedule, tuple(times))
        z_t = alpha * z + sigma * eps
    eps = guided(scale, z_t, alpha, sigma)
    base = guided(reference, alpha * FOUR + sigma * eps, alpha, sigma)
    alpha, sigma = levels(schedule)
    assert torch.allclose(answer.prediction.z_t, alpha * FOUR + sigma * eps, rtol=1e-7, atol=1e-8)
    want = guided(scale, alpha * FOUR + sigma * eps, alpha, sigma) - base
    assert torch.allclose(answer.grad, want, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("schedule", ["VP", "Cosine", "Flow", "VE"])
def test_at_one_level_and_one_scale_nothing_pulls(schedule):
    prior = prior_on(schedule, three_gaussians(), [0, 0, 1])
    assert step(DSD(PerRow(), gap=0.0), FOUR, prior, generator()).grad.abs().max() == 0
    same = step(DSD(PerRow(), 3.0, 3.0, gap=0.0), FOUR, prior, generator(), conditions=CONDITIONS)
    assert same.grad.abs().max() == 0
    assert step(DSD(PerRow(), gap=0.5), FOUR, prior, generator()).grad.abs().max() > 1e-3


def test_the_weight_is_that_of_the_cleaner_level():
    prior, rng = prior_on("Flow", three_gaussians()), [ms.Streams(1, 0, (0, 1, 2, 3)) for _ in range(2)]
    plain = step(DSD(PerRow(), weight=ms.weights.unit_weight), FOUR, prior, rng[0]).grad
    squared = step(DSD(PerRow()), FOUR, prior, rng[1]).grad
    assert torch.allclose(squared, plain * levels("Flow")[1] ** 2, rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", ["generator", "streams"])
def test_an_item_keeps_its_seed_for_the_whole_run(kind):
    prior, method, rng = prior_on("VP", three_gaussians()), DSD(PerRow(), ode_steps=2), generator()
    state, noises = method.init(FOUR, prior), []
    for index in range(3):
        source = rng if kind == "generator" else ms.Streams(5, index, (0, 1, 2, 3))
        _, state = method.step(FOUR, prior, state, progress=0.0, rng=source)
        noises.append(torch.cat([state.noise[i] for i in range(4)]))
    assert torch.equal(noises[0], noises[1]) and torch.equal(noises[0], noises[2])
    assert len(noises[0].unique()) == 8


def test_seeds_decide_where_particles_end():
    mixture, n = two_gaussians(3.0, 0.5), 32
    prior = prior_on("VP", mixture)
    method = DSD(ms.noise_levels.Annealed(0.98, 0.05, 0.5), weight=ms.weights.sigma_over_alpha, ode_steps=8)
    points = ms.Points(torch.zeros(n, 2, dtype=F64))  # all at one point, between the modes
    optimizer = torch.optim.SGD(points.parameters(), lr=0.6)
    seed = torch.zeros(n, 2, dtype=F64)
    for result in ms.distill(points, prior, method, optimizer, steps=80, rng=ms.Streams(3)):
        seed = result.state.noise[0]
    side = points.z.detach()[:, 0]
    assert 6 <= int((side > 0).sum()) <= n - 6  # SDS from one point ends in whichever mode its noise favours
    clear = seed[:, 0].abs() > 0.3
    assert ((side > 0) == (seed[:, 0] > 0))[clear].all()


def test_calls():
    prior = ms.Counting(prior_on("VP", three_gaussians(), [0, 0, 1]))
    step(DSD(ode_steps=4), FOUR, prior, generator())
    assert prior.calls == 4 * (4 + 3)
    prior.calls = 0
    step(DSD(ode_steps=4), FOUR, prior, generator(), conditions=CONDITIONS)
    assert prior.calls == 4 * (2 * 4 + 5)


def test_times_stay_within_the_walk():
    answer = step(DSD(PerRow((1.0, 0.99, 0.01, 0.02)), gap=1.0), FOUR, prior_on("VP", three_gaussians()), generator())
    gap = answer.logs["gap"]
    assert abs(gap[0]) <= 1e-12 and 0 <= gap[1] <= 0.01 + 1e-12 and (gap[2:] == 0).all()
    assert level("VP", 1.0)[0] > 0


def test_bad_options_are_one_clear_line():
    for wrong in ({"ode_steps": 0}, {"gap": -0.1}, {"least": 2.0}):
        with pytest.raises(ValueError, match="DSD needs ode_steps >= 1 and gap, least.*, got") as error:
            DSD(**wrong)
        assert "\n" not in str(error.value)
    prior = ms.Guided(prior_on("VP", three_gaussians(), [0, 0, 1]))
    with pytest.raises(TypeError, match="DSD guides by itself"):
        DSD().init(FOUR, prior)
