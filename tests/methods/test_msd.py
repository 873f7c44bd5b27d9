"""MSD: targets, estimators, noise, jitter and convergence."""

from __future__ import annotations

import math

import pytest
import torch
from cases_shift import SCHEDULES, components, gaussian, generator, prior_of, sample_mixture, tensor, three_gaussians
from oracles_shift import (
    F64,
    Mixture,
    gradient,
    kernel_sums,
    level,
    log_density,
    modes,
    noise_average,
    noised,
    posterior,
    posterior_by_quadrature,
)

import modeseek as ms

Z = tensor([0.4, -0.6], [-2.5, 1.0], [1.0, -1.0], [3.0, 3.0])


def step(method: ms.MSD, z=Z, prior=None, state=None, conditions=None, progress=0.0, rng=None):
    """One step, from the initial state unless another is given."""
    prior = prior_of(three_gaussians()) if prior is None else prior
    state = method.init(z, prior) if state is None else state
    rng = generator() if rng is None else rng
    return method.step(z, prior, state, conditions=conditions, progress=progress, rng=rng)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("h", [0.2, 1.0])
def test_the_denoiser_estimator_is_the_exact_target(h, schedule):
    expected = posterior_by_quadrature(three_gaussians(), Z, h)[0]
    direction, _ = step(ms.MSD(ms.Fixed(h)), prior=prior_of(three_gaussians(), schedule))
    assert torch.allclose(Z - direction.grad, expected, rtol=1e-8, atol=1e-9)
    data = sample_mixture(three_gaussians(), 100)
    direction, _ = step(ms.MSD(ms.Fixed(h)), prior=ms.Empirical(data, schedule))
    assert torch.allclose(Z - direction.grad, kernel_sums(data, Z, h)[0], rtol=0, atol=1e-10)


def test_its_direction_is_the_gradient_of_minus_h_squared_log_p_h():
    """I11: `(z - D(z; h)) / h^2 = -grad log (p * N(0, h^2))(z)`."""
    h = 0.7
    slope = torch.stack([gradient(lambda x: log_density(three_gaussians(), x[None], h)[0], z) for z in Z])
    direction, _ = step(ms.MSD(ms.Fixed(h)))
    assert torch.allclose(direction.grad / h**2, -slope, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("source", ["mixture", "empirical"])
def test_gradient_descent_with_rate_one_on_free_points_is_mean_shift(source):
    prior = prior_of(three_gaussians()) if source == "mixture" else ms.Empirical(sample_mixture(three_gaussians(), 100))
    points, h = ms.Points(Z), 0.5
    optimizer = torch.optim.SGD(points.parameters(), lr=1.0)
    run = ms.distill(points, prior, ms.MSD(ms.Fixed(h)), optimizer, steps=12, rng=generator())
    for k, _ in enumerate(run):
        expected = ms.mean_shift(prior, Z, h, tol=1e-14, max_steps=k + 2, accelerate=False)
        assert torch.allclose(points.z.detach(), expected.z, rtol=0, atol=1e-12)


def test_fixed_points_are_the_modes_of_p_h():
    h = 0.5
    true = modes(three_gaussians(), h, three_gaussians().means)
    direction, state = step(ms.MSD(ms.Fixed(h)), z=true)
    assert direction.grad.norm(dim=1).max() <= 1e-10
    assert ms.MSD(ms.Fixed(h)).done(state).all()
    elsewhere = modes(three_gaussians(), 2 * h, three_gaussians().means)
    assert (step(ms.MSD(ms.Fixed(h)), z=elsewhere)[0].grad.norm(dim=1) > 1e-3).any()


def test_guidance_mixes_the_targets_of_both_conditions():
    prior = prior_of(three_gaussians(), labels=[0, 0, 1])
    conditions = ms.Conditions(torch.tensor([0, 1, 1, 0]), null=torch.tensor([-1]))
    h, scale = 0.8, 3.0
    parts = {0: components(three_gaussians(), [0, 1]), 1: components(three_gaussians(), [2])}
    null = posterior(three_gaussians(), Z, h)[0]
    positive = torch.cat([posterior(parts[c], z[None], h)[0] for c, z in zip([0, 1, 1, 0], Z, strict=True)])
    direction, _ = step(ms.MSD(ms.Fixed(h)), prior=ms.Guided(prior, scale), conditions=conditions)
    assert torch.allclose(Z - direction.grad, null + scale * (positive - null), rtol=0, atol=1e-11)
    direction, _ = step(ms.MSD(ms.Fixed(h)), prior=prior, conditions=conditions)  # bare: its positive
    assert torch.allclose(Z - direction.grad, positive, rtol=0, atol=1e-11)


GAUSS = gaussian([1.0, -0.5], [[0.9, 0.3], [0.3, 0.4]])


@pytest.mark.slow
@pytest.mark.parametrize("sampler", [ms.heun, ms.dpmpp_2m], ids=["heun", "dpmpp_2m"])
@pytest.mark.parametrize("samples", [1, 4])
def test_the_product_estimator_has_the_mean_and_covariance_of_its_law(samples, sampler):
    n, h, z = 12_000, 0.8, tensor([0.4, -0.6])
    mean, cov = posterior(GAUSS, z, h)
    method = ms.MSD(ms.Fixed(h), "product", steps=48, samples=samples, sampler=sampler)
    grads = step(method, z=z.expand(n, 2), prior=prior_of(GAUSS))[0].grad
    expected, scale = (z - mean)[0], (cov[0] / samples).diagonal().sqrt()
    # the affine sampler has the exact mean; 48 steps of second order leave 1 % of the covariance
    assert ((grads.mean(0) - expected).abs() <= 4 * scale / n**0.5).all()
    error = ((torch.outer(scale, scale) ** 2 + (cov[0] / samples) ** 2) / n).sqrt()
    assert ((torch.cov(grads.T) - cov[0] / samples).abs() <= 4 * error + 0.01 * torch.outer(scale, scale)).all()


@pytest.mark.parametrize("h", [0.3, 0.8, 1.5])
def test_the_product_estimator_reaches_the_target_on_a_mixture(h):
    n = 4000
    mean, cov = posterior(three_gaussians(), Z, h)
    method = ms.MSD(ms.Fixed(h), "product", steps=32)
    for i in range(len(Z)):
        grads = step(method, z=Z[i].expand(n, 2))[0].grad
        # 4 standard errors, and 1 % of the posterior's spread for 32 Heun steps
        bound = (4 / n**0.5 + 0.01) * cov[i].diagonal().sqrt()
        assert ((grads.mean(0) - (Z[i] - mean[i])).abs() <= bound).all()


@pytest.mark.parametrize("steps", [1, 2, 16])
def test_an_antithetic_pair_has_the_exact_mean_on_a_gaussian(steps):
    method = ms.MSD(ms.Geometric(0.8, 0.4), "product", steps=steps, samples=2, noise="antithetic")
    for seed in range(3):
        direction, _ = step(method, prior=prior_of(GAUSS), rng=generator(seed))
        assert torch.allclose(Z - direction.grad, posterior(GAUSS, Z, 0.8)[0], rtol=0, atol=1e-10)
    single, _ = step(ms.MSD(ms.Fixed(0.8), "product", steps=16), prior=prior_of(GAUSS))
    assert (Z - single.grad - posterior(GAUSS, Z, 0.8)[0]).norm() > 0.1


def test_samples_keep_to_their_row_its_bandwidth_and_its_condition():
    two = gaussian([1.0, -0.5], [[0.9, 0.3], [0.3, 0.4]])
    other = gaussian([-3.0, 2.0], [[0.2, 0.0], [0.0, 0.5]])
    prior = ms.GaussianMixture(
        tensor(0.5, 0.5),
        torch.cat([two.means, other.means]),
        torch.cat([two.covs, other.covs]),
        labels=torch.tensor([0, 1]),
    )
    method = ms.MSD(
        ms.Adaptive(0.2, start=1.6, shrink=0.5, settle=0.3), "product", steps=2, samples=6, noise="antithetic"
    )
    conditions = ms.Conditions(torch.tensor([0, 1, 1, 1]))
    _, state = step(method, prior=prior, conditions=conditions)
    state = ms.methods.msd.MSDState(state.bandwidth, state.h, tensor(0.1, 1.0, 0.1, 1.0))
    direction, state = step(method, prior=prior, conditions=conditions, state=state)
    assert state.h.tolist() == [0.8, 1.6, 0.8, 1.6]
    for i, (part, h) in enumerate(((two, 0.8), (other, 1.6), (other, 0.8), (other, 1.6))):
        expected = posterior(part, Z[i : i + 1], h)[0][0]
        assert torch.allclose((Z - direction.grad)[i], expected, rtol=0, atol=1e-10)


def test_a_product_starts_from_its_own_noised_law():
    # under a flat prior q is N(c, h^2), seen through noise N(alpha c, alpha^2 h^2 + sigma^2)
    flat = gaussian([0.0, 0.0], [[1e12, 0.0], [0.0, 1e12]])
    h, noise = tensor(0.3, 1.0, 2.0, 4.0), torch.randn(8, 2, dtype=F64, generator=generator())
    for name, schedule in {"VE": ms.VE(0.01, 1.5), "VP": ms.VP()}.items():
        alpha, sigma = (1.0, 1.5) if name == "VE" else level("VP", 1.0)
        law = noised(Mixture(tensor(*[0.25] * 4), Z, h[:, None, None] ** 2 * torch.eye(2, dtype=F64)), alpha, sigma)
        started = ms.Product(prior_of(flat, schedule), Z, h).noise_center(noise)
        for i in range(8):
            std = law.covs[i // 2, 0, 0].sqrt()
            assert torch.allclose(started[i], law.means[i // 2] + std * noise[i], rtol=1e-9)


@pytest.mark.parametrize("estimator", ["product", "kernel-score"])
def test_common_noise_is_kept_along_the_run(estimator):
    options = {"steps": 4, "samples": 2, "interval": (0.0, 0.3)}
    common = ms.MSD(ms.Fixed(0.8), estimator, noise="common", **options)
    first, state = step(common, rng=generator(0))
    second, later = step(common, state=state, rng=generator(1))
    assert torch.equal(first.grad, second.grad) and torch.equal(state.noise, later.noise)
    assert state.noise.shape == (8, 2)
    fresh = ms.MSD(ms.Fixed(0.8), estimator, **options)
    first, state = step(fresh, rng=generator(0))
    second, _ = step(fresh, state=state, rng=generator(1))
    assert state.noise is None and (first.grad != second.grad).all()
    with pytest.raises(ValueError, match="common noise needs one batch shape"):
        step(common, z=Z[:2], state=ms.methods.msd.MSDState(None, None, None, later.noise))


def test_common_noise_makes_the_product_a_fixed_map_along_a_run():
    points = ms.Points(Z)
    method = ms.MSD(ms.Fixed(0.8), "product", steps=6, samples=4, noise="common")
    run = ms.distill(
        points,
        prior_of(three_gaussians()),
        method,
        torch.optim.SGD(points.parameters(), lr=1.0),
        steps=60,
        rng=generator(),
    )
    *_, last = run
    assert last.direction.grad.norm(dim=1).max() <= 1e-6  # it comes to rest, which fresh noise never would


@pytest.mark.parametrize("h", [0.4, 1.2])
def test_full_jitter_is_sds_with_weight_sigma_over_alpha(h):
    prior = prior_of(three_gaussians(), ms.VP())
    t = prior.schedule.t_of(torch.full((4,), -2 * math.log(h), dtype=F64))
    sds, _ = ms.SDS(lambda progress, n, rng: t, ms.weights.sigma_over_alpha).step(
        Z, prior, None, progress=0.0, rng=generator(3)
    )
    msd, _ = step(ms.MSD(ms.Fixed(h), jitter=1.0), prior=prior, rng=generator(3))
    assert torch.equal(sds.eps, msd.eps)
    assert torch.allclose(sds.grad, msd.grad, rtol=0, atol=1e-11)


@pytest.mark.parametrize("jitter", [0.3, 1.0])
def test_the_mean_under_jitter_is_that_of_its_definition(jitter):
    h, n, z = 0.7, 60_000, tensor([0.4, -0.6])
    expected = z[0] - noise_average(lambda noise: posterior(three_gaussians(), z + jitter * h * noise, h)[0])
    for given in (jitter, lambda progress: jitter * (1 - progress) * 2):
        grads = step(ms.MSD(ms.Fixed(h), jitter=given), z=z.expand(n, 2), progress=0.5)[0].grad
        error = grads.std(0) / n**0.5
        assert ((grads.mean(0) - expected).abs() <= 4 * error).all()
    plain = step(ms.MSD(ms.Fixed(h)), z=z)[0].grad[0]
    assert (plain - expected).norm() > 10 * error.norm()  # the test is sensitive


def test_no_jitter_draws_nothing():
    rng = generator()
    before = rng.get_state()
    direction, _ = step(ms.MSD(ms.Fixed(0.5), jitter=lambda progress: 0.0), rng=rng)
    assert direction.eps is None and torch.equal(rng.get_state(), before)


def test_jitter_moves_the_center_of_every_estimator():
    for estimator in ("product", "kernel-score"):
        method = ms.MSD(ms.Fixed(0.8), estimator, steps=4, samples=2, noise="antithetic", jitter=0.5)
        moved, _ = step(method, prior=prior_of(GAUSS))
        rng = generator()
        eps = torch.randn(4, 2, dtype=F64, generator=rng)
        assert torch.equal(moved.eps, eps)
        still = ms.MSD(ms.Fixed(0.8), estimator, steps=4, samples=2, noise="antithetic")
        expected, _ = step(still, z=Z + 0.4 * eps, prior=prior_of(GAUSS), rng=rng)
        assert torch.allclose(moved.grad, expected.grad - 0.4 * eps, rtol=0, atol=1e-12)


@pytest.mark.parametrize("first", ["denoiser", "product"])
def test_another_estimator_finishes_the_run(first):
    options = {"steps": 3, "samples": 2, "jitter": 0.5, "noise": "antithetic"}
    last = "product" if first == "denoiser" else "denoiser"
    method = ms.MSD(ms.Fixed(0.8), first, finish=last, finish_from=0.6, **options)
    for progress, estimator in ((0.0, first), (0.59, first), (0.6, last), (1.0, last)):
        prior, alone = ms.Counting(prior_of(three_gaussians())), ms.Counting(prior_of(three_gaussians()))
        found, _ = step(method, prior=prior, progress=progress)
        expected, _ = step(ms.MSD(ms.Fixed(0.8), estimator, **options), prior=alone, progress=progress)
        assert torch.equal(found.grad, expected.grad) and prior.calls == alone.calls
    assert ms.MSD(ms.Fixed(0.8)).finish is None
    whole, _ = step(ms.MSD(ms.Fixed(0.8), first, finish_from=0.0, **options))
    assert torch.equal(whole.grad, step(ms.MSD(ms.Fixed(0.8), first, **options))[0].grad), "none: one throughout"


def test_kernel_score_is_averaged_over_its_samples():
    method = ms.MSD(ms.Fixed(0.8), "kernel-score", steps=5, samples=3, interval=(0.1, 0.7), noise_scale=0.9)
    direction, _ = step(method)
    noise = torch.randn(12, 2, dtype=F64, generator=generator())
    widths = torch.full((12,), 0.8, dtype=F64)
    y = ms.kernel_score(
        prior_of(three_gaussians()), Z.repeat_interleave(3, 0), widths, noise, 5, interval=(0.1, 0.7), noise_scale=0.9
    )
    assert torch.allclose(Z - direction.grad, y.reshape(4, 3, 2).mean(1), rtol=0, atol=1e-12)


def test_shift_and_bandwidth_are_logged_and_kept():
    method = ms.MSD(ms.Fixed(0.8))
    direction, state = step(method)
    relative = direction.grad.norm(dim=1) / (0.8 * 2**0.5)
    assert torch.allclose(direction.logs["relative_shift"], relative, rtol=1e-12)
    assert direction.logs["bandwidth"].tolist() == [0.8] * 4
    assert torch.equal(state.relative_shift, direction.logs["relative_shift"]) and state.h.tolist() == [0.8] * 4
    assert direction.t is None and not direction.grad.requires_grad


def test_the_bandwidth_follows_progress_and_the_last_shift():
    method = ms.MSD(ms.Geometric(2.0, 0.2, hold=0.0))
    assert step(method, progress=0.5)[0].logs["bandwidth"].tolist() == pytest.approx([0.4**0.5] * 4)
    method = ms.MSD(ms.Adaptive(0.1, start=1.0, shrink=0.5, settle=0.3))
    mode = modes(three_gaussians(), 1.0, three_gaussians().means[:1])
    z = torch.cat([mode, Z[3:]])
    first, state = step(method, z=z)
    assert first.logs["bandwidth"].tolist() == [1.0, 1.0]
    second, _ = step(method, z=z, state=state)
    assert second.logs["bandwidth"].tolist() == [0.5, 1.0]  # only the settled row


def test_adaptive_starts_from_the_scale_of_the_prior():
    wide = gaussian([3.0, 1.0], [[4.0, 0.0], [0.0, 4.0]])
    prior = ms.Counting(prior_of(wide))
    direction, state = step(ms.MSD(ms.Adaptive(0.1)), prior=prior)
    assert direction.logs["bandwidth"].tolist() == pytest.approx([2.0] * 4)
    assert prior.calls == 16 * 4 + 4
    step(ms.MSD(ms.Adaptive(0.1)), prior=prior, state=state)
    assert prior.calls == 16 * 4 + 8  # measured once


def test_adaptive_measures_the_scale_under_conditions_per_row():
    prior = prior_of(three_gaussians(), labels=[0, 0, 1])
    conditions = ms.Conditions(torch.tensor([0, 1, 1, 0]), null=torch.tensor([-1]))
    for given in (prior, ms.Guided(prior, 2.0)):
        direction, _ = step(ms.MSD(ms.Adaptive(0.1)), prior=given, conditions=conditions)
        assert direction.grad.isfinite().all() and (direction.logs["bandwidth"] >= 0.1).all()


@pytest.mark.parametrize("items", [(0,), (0, 1), (0, 1, 2), (0, 1, 2, 3)])
def test_adaptive_measures_the_scale_from_any_streams(items):
    rows = Z if len(items) == 1 else Z[: len(items)]
    direction, _ = step(ms.MSD(ms.Adaptive(0.1)), z=rows, rng=ms.Streams(1, 0, items))
    assert direction.grad.isfinite().all()


def test_adaptive_begins_alike_for_four_items_and_for_singles():
    together, _ = step(ms.MSD(ms.Adaptive(0.1)), rng=ms.Streams(1, 0, (0, 1, 2, 3)))
    for i in range(4):
        alone, _ = step(ms.MSD(ms.Adaptive(0.1)), z=Z[i : i + 1], rng=ms.Streams(1, 0, (i,)))
        assert torch.allclose(alone.grad[0], together.grad[i], rtol=0, atol=1e-12)


def test_rows_are_done_at_the_last_bandwidth_when_their_shift_is_within_tol():
    method = ms.MSD(ms.Adaptive(0.3, start=1.0), tol=1e-3)
    state = ms.methods.msd.MSDState(None, tensor(0.3, 0.3, 0.31, 0.31), tensor(9e-4, 1.1e-3, 9e-4, 1.1e-3))
    assert method.done(state).tolist() == [True, False, False, False]
    with pytest.raises(ValueError, match="needs the state after a step"):
        method.done(method.init(Z, prior_of(three_gaussians())))


def test_a_whole_run_ends_done_at_modes():
    points, method = ms.Points(Z), ms.MSD(ms.Adaptive(0.4))
    optimizer = torch.optim.SGD(points.parameters(), lr=1.0)
    *_, last = ms.distill(points, prior_of(three_gaussians()), method, optimizer, steps=200, rng=generator())
    assert method.done(last.state).all()
    assert ms.certify(prior_of(three_gaussians()), points.z.detach(), 0.4).is_mode.all()


SAMPLERS = {"heun": (ms.heun, 2 * 5 - 1), "ddim": (ms.ddim, 5), "dpmpp_2m": (ms.dpmpp_2m, 5)}


@pytest.mark.parametrize(("sampler", "calls"), SAMPLERS.values(), ids=SAMPLERS)
def test_calls_of_the_product(sampler, calls):
    prior = ms.Counting(prior_of(three_gaussians(), labels=[0, 0, 1]))
    method = ms.MSD(ms.Fixed(0.5), "product", steps=5, samples=3, sampler=sampler)
    step(method, prior=prior)
    assert prior.calls == 4 * 3 * calls
    prior.calls = 0
    conditions = ms.Conditions(torch.tensor([1]), null=torch.tensor([-1]))
    step(method, prior=ms.Guided(prior, 2.0), conditions=conditions)
    assert prior.calls == 2 * 4 * 3 * calls


def test_calls_of_the_others():
    prior = ms.Counting(prior_of(three_gaussians(), labels=[0, 0, 1]))
    conditions = ms.Conditions(torch.tensor([1]), null=torch.tensor([-1]))
    for method, calls in ((ms.MSD(ms.Fixed(0.5)), 4), (ms.MSD(ms.Fixed(0.5), "kernel-score", 7, 3), 4 * 3 * 7)):
        for given, factor in ((prior, 1), (ms.Guided(prior, 2.0), 2)):
            prior.calls = 0
            step(method, prior=given, conditions=conditions)
            assert prior.calls == factor * calls


BAD = {
    "estimator": ({"estimator": "products"}, "estimator must be .*, got 'products'"),
    "noise": ({"noise": "antithetical"}, "noise must be .*, got 'antithetical'"),
    "finish": ({"finish": "products"}, "finish must be .*, got 'products'"),
    "finish from": ({"finish_from": 1.5}, r"finish_from must be in \[0, 1\], got 1.5"),
    "steps": ({"steps": 0}, "steps >= 1"),
    "samples": ({"samples": 0}, "samples >= 1"),
    "odd pairs": ({"noise": "antithetic", "samples": 3}, "samples must be even .*, got 3"),
    "jitter": ({"jitter": 1.5}, "jitter must be in .*, got 1.5"),
    "negative jitter": ({"jitter": -0.1}, "jitter must be in"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD)
def test_bad_options_are_one_clear_line(options, message, unchecked):
    with pytest.raises(ValueError, match=message) as error:
        ms.MSD(ms.Fixed(1.0), **options)
    assert "\n" not in str(error.value)
