"""RSD against the explicit kernel gradient, and edge cases of its bandwidth."""

from __future__ import annotations

import math

import pytest
import torch
from cases_phi import FOUR, PerRow, context, levels, prior_on, step
from cases_shift import gaussian, generator, three_gaussians
from oracles_shift import F64

import modeseek as ms
from modeseek.methods.rsd import RBF, RSD


def force(z: torch.Tensor, width: float) -> torch.Tensor:
    """`grad_{z_i} log sum_{j != i} exp(-|z_i - z_j|^2 / width)`, pair by pair."""
    out = torch.zeros_like(z)
    for i in range(len(z)):
        weights = {j: math.exp(-float((z[i] - z[j]).square().sum()) / width) for j in range(len(z)) if j != i}
        for j, weight in weights.items():
            out[i] += weight / sum(weights.values()) * -2 * (z[i] - z[j]) / width
    return out


def median_width(z: torch.Tensor) -> float:
    """The median of the pairs' distances, squared, over log(n - 1), or log 2 where that is less."""
    n = len(z)
    pairs = sorted(float((z[i] - z[j]).norm()) for i in range(n) for j in range(i))
    half = len(pairs) // 2
    middle = pairs[half] if len(pairs) % 2 else (pairs[half - 1] + pairs[half]) / 2
    return middle**2 / math.log(max(n - 1, 2))


@pytest.mark.parametrize("width", [0.7, None])
@pytest.mark.parametrize("schedule", ["VP", "Flow"])
def test_it_is_sds_and_the_gradient_of_the_log_kernel_sum(schedule, width):
    prior = prior_on(schedule, three_gaussians())
    for weight, power in ((ms.weights.unit_weight, 0), (ms.sigma_squared, 2)):
        plain = step(ms.SDS(PerRow(), weight), FOUR, prior, generator())
        repelled = step(RSD(PerRow(), 5.0, RBF(width), weight=weight), FOUR, prior, generator())
        sigma = levels(schedule)[1]
        want = sigma**power * 5.0 * sigma * force(FOUR, median_width(FOUR) if width is None else width)
        assert torch.equal(repelled.eps, plain.eps)
        assert torch.allclose(repelled.grad - plain.grad, want, rtol=1e-9, atol=1e-11)
        assert want.abs().max() > 0.1


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_median_heuristic(n):
    z = torch.randn(n, 2, dtype=F64, generator=generator(n))
    squared = (z[:, None] - z[None]).square().sum(-1)
    assert float(RBF().median_width(squared)) == pytest.approx(median_width(z), rel=1e-12)


def test_two_particles_push_each_other_straight_apart():
    z = torch.tensor([[0.1, 0.0], [-0.1, 0.3]], dtype=F64)
    push = -RSD().repulsion_gradient(z)  # where descent goes
    assert push.isfinite().all()
    between = z[0] - z[1]
    assert torch.allclose(push[0], -push[1], rtol=1e-12, atol=0)
    assert torch.allclose(push[0], between * (push[0] @ between) / (between @ between), rtol=1e-9, atol=0)
    assert push[0] @ between > 0
    assert torch.allclose(push[0], 2 * between / (between @ between) * math.log(2), rtol=1e-12, atol=0)


def test_one_particle_and_no_repulsion_are_sds():
    prior = prior_on("VP", three_gaussians())
    assert torch.equal(
        step(RSD(repulsion=0.0), FOUR, prior, generator(1)).grad, step(ms.SDS(), FOUR, prior, generator(1)).grad
    )
    single = FOUR[:1]
    assert torch.equal(
        step(RSD(repulsion=9.0), single, prior, generator(1)).grad, step(ms.SDS(), single, prior, generator(1)).grad
    )


@pytest.mark.parametrize("width", [None, 0.5])
def test_particles_at_one_place_feel_nothing_and_most_of_them_the_rest(width):
    rsd = RSD(kernel=RBF(width))
    assert torch.equal(rsd.repulsion_gradient(torch.ones(4, 2, dtype=F64)), torch.zeros(4, 2, dtype=F64))
    z = torch.tensor([[0.0, 0.0]] * 4 + [[1.0, 0.0]], dtype=F64)  # six of ten pairs coincide: the mean, 0.4, it is
    own = 0.4**2 / math.log(4) if width is None else width
    assert torch.allclose(rsd.repulsion_gradient(z), force(z, own), rtol=1e-9, atol=1e-12)


def test_only_other_particles_repel():
    z = FOUR.clone()
    views = torch.tensor([7, 7, 2, 2])
    width = 0.7
    got = RSD(kernel=RBF(width)).repulsion_gradient(z, views)
    for i, others in ((0, [2, 3]), (1, [2, 3]), (2, [0, 1]), (3, [0, 1])):
        rows = z[[i, *others]]
        assert torch.allclose(got[i], force(rows, width)[0], rtol=1e-9, atol=1e-12)
    assert torch.equal(RSD().repulsion_gradient(z, torch.zeros(4, dtype=torch.long)), torch.zeros_like(z))
    prior = prior_on("VP", three_gaussians())
    alone = step(RSD(), z, prior, generator(), context=context(z, torch.zeros(4, dtype=torch.long)))
    assert torch.equal(alone.grad, step(ms.SDS(), z, prior, generator()).grad)


def test_features_and_kernel_are_the_users():
    lift = torch.tensor([[2.0, 0.0, 1.0], [0.0, 1.0, -1.0]], dtype=F64)
    got = RSD(kernel=RBF(2.0), features=lambda z: z @ lift).repulsion_gradient(FOUR)
    assert torch.allclose(got, force(FOUR @ lift, 2.0) @ lift.T, rtol=1e-9, atol=1e-12)
    cauchy = RSD(kernel=lambda squared: -torch.log1p(squared)).repulsion_gradient(FOUR[:2])
    gap = FOUR[0] - FOUR[1]
    assert torch.allclose(cauchy[0], -2 * gap / (1 + gap @ gap), rtol=1e-12, atol=0)
    with pytest.raises(ValueError, match=r"RSD features must have shape \(4, m\), got \(4,\)"):
        RSD(features=lambda z: z[:, 0]).repulsion_gradient(FOUR)
    images = FOUR.reshape(4, 1, 1, 2)
    assert torch.allclose(
        RSD(kernel=RBF(0.7)).repulsion_gradient(images).flatten(1), force(FOUR, 0.7), rtol=1e-9, atol=1e-12
    )


def test_repelled_particles_stay_spread_where_sds_collapses():
    prior = prior_on("VP", gaussian([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]]))

    def spread(method: ms.Method) -> float:
        points = ms.Points(torch.randn(32, 2, dtype=F64, generator=generator(1)))
        optimizer = torch.optim.SGD(points.parameters(), lr=0.2)
        for _ in ms.distill(points, prior, method, optimizer, steps=80, rng=generator(2)):
            pass
        return float(torch.cov(points.z.detach().T).trace())

    assert spread(RSD(repulsion=1.0)) > 5 * spread(ms.SDS()) > 0


def test_calls_and_draws():
    prior = ms.Counting(prior_on("VP", three_gaussians(), [0, 0, 1]))
    conditions = ms.Conditions(torch.tensor([1]), null=torch.tensor([-1]))
    step(RSD(), FOUR, prior, generator())
    assert prior.calls == 4
    step(RSD(), FOUR, ms.Guided(prior, 3.0), generator(), conditions=conditions)
    assert prior.calls == 4 + 8
    together = step(RSD(), FOUR, prior, ms.Streams(3, 1, (0, 1, 2, 3)))
    for i in range(4):
        alone = step(RSD(), FOUR[[i]], prior, ms.Streams(3, 1, (i,)))
        assert torch.equal(alone.eps[0], together.eps[i]) and torch.equal(alone.t[0], together.t[i])


def test_bad_options_are_one_clear_line():
    for wrong in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="RSD repulsion must be >= 0 and finite, got"):
            RSD(repulsion=wrong)
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="RBF width must be positive and finite, got"):
            RBF(wrong)
