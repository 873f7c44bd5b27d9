"""SDI against the closed form of the probability flow and its own recursion."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from cases_shift import SCHEDULES, gaussian, generator, prior_of, tensor, three_gaussians
from oracles_shift import F64, inversion_moments, level

import modeseek as ms

MEAN, STD = 1.5, 0.7
Z = tensor([0.4], [-0.6], [3.0], [1.5])


@dataclass(frozen=True)
class PerRow:
    """A separate time for each row."""

    t: tuple[float, ...]

    def __call__(self, progress: float, n: int, rng: ms.Rng) -> torch.Tensor:
        return torch.tensor(self.t, dtype=F64)


def line(schedule="VP") -> ms.GaussianMixture:
    """N(1.5, 0.7^2)."""
    return prior_of(gaussian([MEAN], [[STD**2]]), SCHEDULES[schedule])


def direction(prior, z=Z, conditions=None, seed=0, **options) -> torch.Tensor:
    """SDI's gradient."""
    return ms.SDI(**options).step(z, prior, None, conditions=conditions, progress=0.0, rng=generator(seed))[0].grad


@pytest.mark.parametrize(("schedule", "t"), [("VP", 0.3), ("VP", 0.9), ("Cosine", 0.6), ("Flow", 0.7)])
def test_on_a_gaussian_it_converges_to_the_closed_form_at_first_order(schedule, t):
    alpha, sigma = level(schedule, t)
    expected = (1 - alpha * STD / (alpha**2 * STD**2 + sigma**2) ** 0.5) * (Z - MEAN)
    errors = []
    for steps in (100, 200, 400):
        answer = direction(line(schedule), times=PerRow((t,) * 4), inversion_steps=steps)
        errors.append(float((answer - expected).norm()))
    assert errors[-1] <= 0.02 * float(expected.norm())
    # halving the step halves the error, up to terms of second order; VP's noise grows as sqrt(t) from t = 0: this makes
    # it log(n) / n: ratios 2 log(n) / log(2 n)
    for coarse, fine in zip(errors[:-1], errors[1:], strict=True):
        assert (1.7 if schedule == "VP" else 1.9) <= coarse / fine <= 2.1


@pytest.mark.parametrize("steps", [1, 2, 10])
@pytest.mark.parametrize("schedule", ["VP", "Cosine", "Flow", "VE"])
def test_each_inversion_step_is_a_ddim_step_up(schedule, steps):
    t = 0.55
    levels = [level(schedule, t * i / steps) for i in range(steps + 1)]
    answer = direction(line(schedule), times=PerRow((t,) * 4), inversion_steps=steps)
    alpha, sigma = levels[-1]
    for z, got in zip(Z[:, 0].tolist(), answer[:, 0].tolist(), strict=True):
        z_t = float(inversion_moments(MEAN, STD, z, levels, 0.0)[0])
        z_hat = MEAN + alpha * STD**2 / (alpha**2 * STD**2 + sigma**2) * (z_t - alpha * MEAN)
        assert got == pytest.approx(z - z_hat, rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_ancestral_noise_has_the_mean_and_variance_of_its_recursion(eta):
    n, t, steps = 60_000, 0.7, 8
    levels = [level("VP", t * i / steps) for i in range(steps + 1)]
    alpha, sigma = levels[-1]
    mean, variance = inversion_moments(MEAN, STD, 0.4, levels, eta).tolist()
    gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
    grads = direction(
        line(), torch.full((n, 1), 0.4, dtype=F64), times=PerRow((t,) * n), inversion_steps=steps, inversion_eta=eta
    )[:, 0]
    expected = 0.4 - (MEAN + gain * (mean - alpha * MEAN))
    assert abs(float(grads.mean()) - expected) <= 4 * gain * (variance / n) ** 0.5
    assert abs(float(grads.var()) - gain**2 * variance) <= 4 * gain**2 * variance * (2 / n) ** 0.5
    assert variance > 1e-3


def test_without_eta_nothing_is_drawn():
    rng = generator()
    before = rng.get_state()
    ms.SDI().step(Z, line(), None, progress=0.5, rng=rng)
    assert torch.equal(rng.get_state(), before)


def test_every_row_walks_to_its_own_time():
    t = (0.05, 0.3, 0.6, 0.95)
    prior = prior_of(three_gaussians())
    z = torch.randn(4, 2, dtype=F64, generator=generator(1))
    method = ms.SDI(PerRow(t))
    together, _ = method.step(z, prior, None, progress=0.0, rng=generator())
    assert together.t.tolist() == list(t)
    for i in range(4):
        alone = direction(prior, z[i : i + 1], times=PerRow(t[i : i + 1]))
        assert torch.allclose(together.grad[i], alone[0], rtol=0, atol=1e-12)
    # evaluated exactly at the inverted level
    alpha, sigma = prior.schedule(torch.tensor(t, dtype=F64))
    assert torch.equal(together.prediction.alpha, alpha) and torch.equal(together.prediction.sigma, sigma)
    assert torch.allclose(together.grad, z - together.prediction.z, rtol=0, atol=0)


def test_prediction_and_inversion_have_guidance_scales_of_their_own():
    prior = prior_of(three_gaussians(), labels=[0, 0, 1])
    conditions = ms.Conditions(torch.tensor([1]), null=torch.tensor([-1]))
    z, t, steps = torch.randn(4, 2, dtype=F64, generator=generator(1)), 0.5, 6
    got = direction(
        prior, z, conditions, times=PerRow((t,) * 4), inversion_steps=steps, scale=3.0, inversion_scale=-2.0
    )
    times = torch.linspace(t, 0, steps + 1, dtype=F64)
    z_t = ms.invert(ms.Guided(prior, -2.0), z, times, conditions)
    z_hat = ms.Guided(prior, 3.0)(z_t, torch.full((4,), t, dtype=F64), conditions).z
    assert torch.allclose(got, z - z_hat, rtol=0, atol=1e-12)
    # without conditions both are unguided
    z_t = ms.invert(prior, z, times)
    assert torch.allclose(
        direction(prior, z, times=PerRow((t,) * 4), inversion_steps=steps),
        z - prior(z_t, torch.full((4,), t, dtype=F64)).z,
        rtol=0,
        atol=1e-12,
    )


def test_calls():
    prior = ms.Counting(prior_of(three_gaussians(), labels=[0, 0, 1]))
    z = torch.zeros(3, 2, dtype=F64)
    direction(prior, z, inversion_steps=7)
    assert prior.calls == 3 * 8
    prior.calls = 0
    direction(prior, z, ms.Conditions(torch.tensor([1]), null=torch.tensor([-1])), inversion_steps=7)
    assert prior.calls == 3 * 16


def test_a_guided_prior_is_refused_wherever_it_hides():
    bare = prior_of(three_gaussians(), labels=[0, 0, 1])
    conditions = ms.Conditions(torch.tensor([1]), null=torch.tensor([-1]))
    z = torch.zeros(1, 2, dtype=F64)
    for prior in (
        ms.Guided(bare),
        ms.Counting(ms.Guided(bare)),
        ms.Counting(ms.Counting(ms.priors.AutoGuidance(bare, bare))),
    ):
        with pytest.raises(TypeError, match="SDI guides by itself: got a (Guided|AutoGuidance) prior"):
            ms.SDI().init(z, prior)
        with pytest.raises(TypeError, match="SDI guides by itself"):
            ms.SDI().step(z, prior, None, conditions=conditions, progress=0.0, rng=generator())
    assert ms.SDI().init(z, ms.Counting(bare)) is None


@pytest.mark.parametrize("options", [{"inversion_steps": 0}, {"inversion_eta": -0.1}, {"inversion_eta": 1.1}])
def test_bad_options_are_one_clear_line(options):
    with pytest.raises(ValueError, match="SDI needs inversion_steps >= 1.*, got") as error:
        ms.SDI(**options)
    assert "\n" not in str(error.value)
