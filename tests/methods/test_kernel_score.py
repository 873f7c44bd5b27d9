"""Kernel-score sampler against an independent recursion and against the exact product."""

from __future__ import annotations

import pytest
import torch
from cases_shift import SCHEDULES, gaussian, generator, prior_of, tensor, three_gaussians
from oracles_shift import F64, kernel_score_walk, level, posterior

import modeseek as ms

CENTERS = tensor([0.4, -0.6], [-2.5, 1.0], [1.0, -1.0])
H = tensor(0.3, 0.8, 1.5)
NOISE = torch.randn(3, 2, dtype=F64, generator=generator(9))


@pytest.mark.parametrize("interval", [(0.0, 1.0), (0.0, 0.53), (0.17, 1.0), (0.17, 0.53)])
@pytest.mark.parametrize(("schedule", "steps"), [("VP", 12), ("Cosine", 7), ("Flow", 12), ("VE", 12), ("VE", 1)])
def test_it_is_the_published_recursion(schedule, steps, interval):
    top = 0.998 if schedule in ("Cosine", "Flow") else 1.0  # entered short of pure noise
    times = [top * (1 - i / steps) for i in range(steps + 1)]
    noises = [s / a for a, s in (level(schedule, t) for t in times)]
    acting = [interval[0] <= t <= interval[1] or (t == top and interval[1] == 1) for t in times[:-1]]
    answer = ms.kernel_score(
        prior_of(three_gaussians(), SCHEDULES[schedule]), CENTERS, H, NOISE, steps, interval=interval, noise_scale=0.9
    )
    for i in range(3):
        start = 0.9 * noises[0] * NOISE[i]
        expected = kernel_score_walk(three_gaussians(), CENTERS[i], float(H[i]), start, noises, acting)
        assert torch.allclose(answer[i], expected, rtol=1e-6, atol=1e-8)


def test_interval_and_noise_scale_matter():
    prior = prior_of(three_gaussians())

    def walk(**options):
        return ms.kernel_score(prior, CENTERS, H, NOISE, 12, **options)

    late = walk(interval=(0.0, 0.3))
    for options in ({"interval": (0.0, 1.0)}, {"interval": (0.17, 0.3)}, {"interval": (0.0, 0.3), "noise_scale": 0.5}):
        assert (walk(**options) - late).norm() > 1e-3
    # at large noise the contraction forgets where the walk began
    assert torch.allclose(walk(), walk(noise_scale=0.5), rtol=0, atol=1e-9)


def test_where_the_kernel_never_acts_it_is_ddim():
    prior = prior_of(three_gaussians(), ms.VP())
    times = prior.grid(12)
    alpha, sigma = prior.schedule(times[:1])
    walked = ms.ddim(prior, sigma * NOISE, times)
    free = ms.kernel_score(prior, CENTERS, H, NOISE, 12, interval=(0.999, 1.0))
    contracted_once = ms.kernel_score(prior, CENTERS, H, NOISE, 12, interval=(0.9999, 0.99999))
    assert torch.allclose(contracted_once, walked, rtol=1e-9, atol=1e-10)
    assert not torch.allclose(free, walked, rtol=1e-3)  # its first step lies inside


@pytest.mark.parametrize("h", [0.3, 0.7, 1.5])
def test_its_bias_exceeds_the_products_at_equal_calls(h):
    n, steps, prior = 1500, 30, prior_of(three_gaussians(), ms.VE(0.002, 20.0))
    z = CENTERS.repeat_interleave(n, 0)
    target, cov = posterior(three_gaussians(), CENTERS, h)
    found = {}
    for name, method in {
        "kernel-score": ms.MSD(ms.Fixed(h), "kernel-score", steps),
        "product": ms.MSD(ms.Fixed(h), "product", steps // 2),  # Heun: 2 * 15 - 1 calls
    }.items():
        counted = ms.Counting(prior)
        state = method.init(z, counted)
        direction, _ = method.step(z, counted, state, progress=0.0, rng=generator())
        assert counted.calls / len(z) <= steps
        y = (z - direction.grad).reshape(3, n, 2)
        found[name] = (y.mean(1) - target).norm(dim=1), y.var(1).sum(1)
    error = (torch.einsum("bii->b", cov) / n).sqrt()
    assert (found["product"][0] <= 4 * error + 0.02 * h).all()
    assert (
        found["kernel-score"][0].max() >= 0.1 * h and found["kernel-score"][0].mean() > 3 * found["product"][0].mean()
    )
    # its samples contract, the product's keep the posterior's spread
    assert (found["kernel-score"][1] < 0.5 * torch.einsum("bii->b", cov)).all()
    assert (found["product"][1] > 0.8 * torch.einsum("bii->b", cov)).all()


def test_conditions_reach_the_prior():
    prior = prior_of(three_gaussians(), labels=[0, 0, 1])
    answer = ms.kernel_score(prior, CENTERS, H, NOISE, 6, torch.tensor([1, 0, -1]))
    for i, label in enumerate((1, 0, -1)):
        alone = ms.kernel_score(prior, CENTERS[i : i + 1], H[i : i + 1], NOISE[i : i + 1], 6, torch.tensor([label]))
        assert torch.allclose(answer[i], alone[0], rtol=0, atol=1e-12)
    assert (answer[0] - ms.kernel_score(prior, CENTERS, H, NOISE, 6)[0]).norm() > 1e-6


def test_a_wide_kernel_changes_nothing_and_a_narrow_one_everything():
    prior = prior_of(gaussian([1.0, 0.0], [[1.0, 0.0], [0.0, 1.0]]))
    times = prior.grid(10)
    free = ms.ddim(prior, prior.schedule(times[:1])[1] * NOISE, times)
    wide = ms.kernel_score(prior, CENTERS, torch.full((3,), 1e6, dtype=F64), NOISE, 10)
    narrow = ms.kernel_score(prior, CENTERS, torch.full((3,), 1e-6, dtype=F64), NOISE, 10)
    assert torch.allclose(wide, free, rtol=0, atol=1e-7) and torch.allclose(narrow, CENTERS, rtol=0, atol=1e-12)
