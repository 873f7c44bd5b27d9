"""SDS: its mean, its variance and its draws."""

from __future__ import annotations

import pytest
import torch
from cases_shift import SCHEDULES, gaussian, generator, prior_of, tensor, three_gaussians
from oracles_shift import F64, gradient, level, log_density, noise_average, noised

import modeseek as ms

Z = tensor(0.4, -0.6)
WEIGHTS = {
    ms.sigma_squared: lambda a, s: s**2,
    ms.weights.unit_weight: lambda a, s: 1.0,
    ms.weights.alpha_sigma_squared: lambda a, s: a * s**2,
    ms.weights.sigma_over_alpha: lambda a, s: s / a,
}


def at(t: float, weight=ms.sigma_squared) -> ms.SDS:
    """SDS at one noise level."""
    return ms.SDS(ms.noise_levels.Annealed(t, t), weight)


def directions(prior, method, z: torch.Tensor, n: int, seed: int = 0, conditions=None) -> ms.Direction:
    """n independent directions at one point."""
    rows = z.expand(n, *z.shape)
    return method.step(rows, prior, None, conditions=conditions, progress=0.0, rng=generator(seed))[0]


@pytest.mark.parametrize("weight", WEIGHTS, ids=lambda w: w.__name__)
@pytest.mark.parametrize(("schedule", "t"), [("VP", 0.15), ("VP", 0.6), ("Cosine", 0.4), ("Flow", 0.5), ("VE", 0.35)])
def test_its_mean_climbs_the_noise_averaged_log_density(schedule, t, weight):
    """I2: `E[eps(z_t) - n] = -(sigma / alpha) grad E[log p_t(alpha z + sigma n)]`, within 4 standard errors."""
    alpha, sigma = level(schedule, t)
    law = noised(three_gaussians(), alpha, sigma)
    slope = gradient(lambda x: noise_average(lambda n: log_density(law, alpha * x + sigma * n)), Z)
    expected = -WEIGHTS[weight](alpha, sigma) * sigma / alpha * slope
    n = 60_000
    grads = directions(prior_of(three_gaussians(), SCHEDULES[schedule]), at(t, weight), Z, n).grad
    error = grads.std(0) / n**0.5
    # times are drawn in float32: the level is off by 1e-7
    assert ((grads.mean(0) - expected).abs() <= 4 * error + 1e-5 * expected.abs()).all()
    assert (error < 0.25 * expected.norm()).all()  # the test is sensitive


@pytest.mark.parametrize("weight", WEIGHTS, ids=lambda w: w.__name__)
@pytest.mark.parametrize("t", [0.1, 0.4, 0.8])
def test_mean_and_covariance_on_a_gaussian(t, weight):
    """I3 and I4: mean `w sigma alpha C^-1 (z - mu)`, covariance `w^2 (sigma^2 C^-1 - 1)^2`."""
    mixture = gaussian([1.0, -0.5], [[0.5, 0.2], [0.2, 0.3]])
    alpha, sigma = level("VP", t)
    w, inverse = WEIGHTS[weight](alpha, sigma), torch.linalg.inv(noised(mixture, alpha, sigma).covs[0])
    mean = w * sigma * alpha * inverse @ (Z - mixture.means[0])
    root = w * (sigma**2 * inverse - torch.eye(2, dtype=F64))
    cov = root @ root
    n = 40_000
    grads = directions(prior_of(mixture), at(t, weight), Z, n).grad
    scale = cov.diagonal().sqrt()
    assert ((grads.mean(0) - mean).abs() <= 4 * scale / n**0.5 + 1e-5 * mean.abs()).all()
    # an entry of a sample covariance has standard error sqrt((c_ii c_jj + c_ij^2) / n)
    error = ((torch.outer(scale, scale) ** 2 + cov**2) / n).sqrt()
    assert ((torch.cov(grads.T) - cov).abs() <= 4 * error).all()
    flipped = root + 2 * w * torch.eye(2, dtype=F64)  # eps + n: the same mean
    assert ((flipped @ flipped - cov).abs().diagonal() > 8 * error.diagonal()).all()  # the test is sensitive


def test_what_it_used_is_what_it_says():
    prior, z = prior_of(three_gaussians()), torch.randn(6, 2, dtype=F64, generator=generator(1))
    direction, state = ms.SDS().step(z, prior, None, progress=0.0, rng=generator())
    alpha, sigma = prior.schedule(direction.t)
    z_t = alpha[:, None] * z + sigma[:, None] * direction.eps
    assert state is None and direction.t.dtype == F64
    assert torch.equal(direction.prediction.z_t, z_t)
    expected = (sigma**2)[:, None] * (prior.at(z_t, alpha, sigma).eps - direction.eps)
    assert torch.allclose(direction.grad, expected, rtol=0, atol=1e-14)
    assert len(direction.t.unique()) == 6 and torch.equal(direction.logs["t"], direction.t)
    assert not direction.grad.requires_grad


def test_stein_holds_between_its_draws_and_its_predictions():
    """I9 with phi = log p_t: `E[n log p_t(z_t)] = sigma E[score] = -E[eps]`."""
    n, t = 200_000, 0.5
    direction = directions(prior_of(three_gaussians()), at(t), Z, n)
    alpha, sigma = level("VP", t)
    phi = log_density(noised(three_gaussians(), alpha, sigma), direction.prediction.z_t)
    gap = direction.eps * phi[:, None] + direction.prediction.eps
    assert (gap.mean(0).abs() <= 4 * gap.std(0) / n**0.5).all()
    assert (direction.prediction.eps.mean(0).abs() > 40 * gap.std(0) / n**0.5).any()  # the test is sensitive


def test_on_a_flow_it_is_the_velocity_residual_up_to_one_minus_sigma():
    """I6: `v - (n - z) = (eps - n) / (1 - sigma)`."""
    t = 0.3
    direction = directions(prior_of(three_gaussians(), ms.Flow()), at(t, ms.weights.unit_weight), Z, 50)
    residual = direction.prediction.flow - (direction.eps - Z)
    assert torch.allclose(residual, direction.grad / (1 - direction.t[:, None]), rtol=1e-12, atol=1e-13)


def test_uniform_weight_in_variance_exploding_coordinates_is_sjc():
    """I10: SDS with w = 1 is `eps - n` of SJC at noise sigma / alpha."""
    alpha, sigma = level("VP", 0.6)
    preserving = directions(prior_of(three_gaussians(), ms.VP()), at(0.6, ms.weights.unit_weight), Z, 40)
    noise = preserving.eps
    h = torch.full((40,), sigma / alpha, dtype=F64)
    exploded = prior_of(three_gaussians()).at(Z + h[:, None] * noise, torch.ones_like(h), h)
    assert torch.allclose(preserving.grad, exploded.eps - noise, rtol=0, atol=1e-5)


def test_a_reconstruction_weight_makes_it_a_reconstruction():
    """I1: with weight sigma / alpha the direction is `z - E[z | z_t]`."""
    direction = directions(prior_of(three_gaussians()), at(0.5, ms.weights.sigma_over_alpha), Z, 20)
    assert torch.allclose(direction.grad, Z - direction.prediction.z, rtol=0, atol=1e-12)


def test_guidance_scales():
    prior = prior_of(three_gaussians(), labels=[0, 0, 1])
    conditions = ms.Conditions(torch.tensor([1]), null=torch.tensor([-1]))

    def direction(prior, conditions):
        return directions(prior, at(0.5), Z, 30, conditions=conditions).grad

    null = direction(prior, ms.Conditions(torch.tensor([-1])))
    positive = direction(prior, ms.Conditions(torch.tensor([1])))
    assert torch.allclose(direction(ms.Guided(prior, 0.0), conditions), null, rtol=0, atol=1e-13)
    assert torch.allclose(direction(prior, None), null, rtol=0, atol=1e-13)
    assert torch.equal(direction(ms.Guided(prior, 1.0), conditions), positive)
    assert torch.allclose(
        direction(ms.Guided(prior, 7.5), conditions), null + 7.5 * (positive - null), rtol=0, atol=1e-11
    )


def test_four_items_draw_and_go_what_four_singles_do():
    prior, z = prior_of(three_gaussians()), torch.randn(4, 2, dtype=F64, generator=generator(1))
    together, _ = ms.SDS().step(z, prior, None, progress=0.3, rng=ms.Streams(5, 2, (0, 1, 2, 3)))
    for i in range(4):
        alone, _ = ms.SDS().step(z[i : i + 1], prior, None, progress=0.3, rng=ms.Streams(5, 2, (i,)))
        assert torch.equal(alone.eps[0], together.eps[i]) and torch.equal(alone.t[0], together.t[i])
        assert torch.allclose(alone.grad[0], together.grad[i], rtol=0, atol=1e-12)


def test_calls():
    prior = ms.Counting(prior_of(three_gaussians(), labels=[0, 0, 1]))
    directions(prior, ms.SDS(), Z, 7)
    assert prior.calls == 7
    conditions = ms.Conditions(torch.tensor([1]), null=torch.tensor([-1]))
    directions(ms.Guided(prior, 7.5), ms.SDS(), Z, 7, conditions=conditions)
    assert prior.calls == 7 + 14


def test_images_and_float32():
    prior = ms.Empirical(torch.rand(20, 1, 4, 4, generator=generator()))
    direction, _ = ms.SDS().step(torch.rand(3, 1, 4, 4), prior, None, progress=0.0, rng=generator())
    assert direction.grad.shape == (3, 1, 4, 4) and direction.grad.dtype == torch.float32
    assert direction.grad.isfinite().all()
