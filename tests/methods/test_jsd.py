"""Joint score distillation: energies whose gradient is known, on Gaussians."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from cases import one_line
from cases_shift import SCHEDULES, gaussian, generator, prior_of, tensor, three_gaussians
from oracles_shift import F64, level
from torch import Tensor

import modeseek as ms
from modeseek.codec import RangeCodec
from modeseek.generators.base import Rendering, View
from modeseek.methods.base import RenderContext
from modeseek.methods.jsd import JSD

MEAN, VARIANCE, TARGET, STRENGTH = 1.5, 0.49, -0.7, 2.0
NULL = torch.tensor([-1])
POINTS = tensor([0.4], [-0.6], [3.0], [1.5])


@dataclass(frozen=True)
class PerRow:
    """A separate time for each row."""

    t: tuple[float, ...]

    def __call__(self, progress: float, n: int, rng: ms.Rng) -> Tensor:
        return torch.tensor(self.t, dtype=F64)


TIMES = (0.1, 0.3, 0.5, 0.8)


def spring_energy(z: Tensor, context: object) -> Tensor:
    """Each row alone."""
    return 0.5 * (z - TARGET).square().flatten(1).sum(1)


def agreement_energy(z: Tensor, context: object) -> Tensor:
    """Neighbours in one number: rows 0 and 1, 2 and 3."""
    return 0.5 * (z[::2] - z[1::2]).square().sum()


def line(schedule: str = "VP") -> ms.GaussianMixture:
    return prior_of(gaussian([MEAN], [[VARIANCE]]), SCHEDULES[schedule])


def step(method: JSD, prior, z: Tensor = POINTS, rng=None, **options) -> ms.Direction:
    return method.step(z, prior, None, progress=0.5, rng=generator() if rng is None else rng, **options)[0]


def gains(schedule: str, t: float) -> tuple[float, float, float, float]:
    """alpha, sigma, and eps_hat = k (z_t - alpha m), z_hat = m + j (z_t - alpha m)."""
    alpha, sigma = level(schedule, t)
    total = alpha**2 * VARIANCE + sigma**2
    return alpha, sigma, sigma / total, alpha * VARIANCE / total


@pytest.mark.parametrize("schedule", ["VP", "Flow", "Cosine"])
@pytest.mark.parametrize("jacobian", [False, True])
def test_a_spring_on_a_gaussian(schedule: str, jacobian: bool) -> None:
    method = JSD(spring_energy, STRENGTH, times=PerRow(TIMES), jacobian=jacobian)
    d = step(method, line(schedule))
    for i, t in enumerate(TIMES):
        alpha, sigma, k, j = gains(schedule, t)
        n, point = float(d.eps[i, 0]), float(POINTS[i, 0])
        z_t = alpha * point + sigma * n
        eps, z = k * (z_t - alpha * MEAN), MEAN + j * (z_t - alpha * MEAN)
        slope = (z - TARGET) * (j if jacobian else 1 / alpha)
        want = sigma**2 * (eps + sigma * STRENGTH * slope - n)
        assert float(d.grad[i, 0]) == pytest.approx(want, rel=1e-9, abs=1e-9)
        assert float(d.logs["energy"][i]) == pytest.approx(0.5 * (z - TARGET) ** 2, rel=1e-9)
    assert not d.grad.requires_grad and not d.prediction.z.requires_grad


@pytest.mark.parametrize("schedule", ["VP", "Flow"])
def test_differentiated_it_is_the_noise_of_the_tilted_density(schedule: str) -> None:
    """p_t exp(-strength E(z_hat)) of a Gaussian and a spring is a Gaussian: precision and mean by adding exponents."""
    d = step(JSD(spring_energy, STRENGTH, times=PerRow(TIMES), jacobian=True), line(schedule))
    for i, t in enumerate(TIMES):
        alpha, sigma, k, j = gains(schedule, t)
        z_t = alpha * float(POINTS[i, 0]) + sigma * float(d.eps[i, 0])
        precision = k / sigma + STRENGTH * j**2
        centre = (k / sigma * alpha * MEAN - STRENGTH * j * (MEAN - j * alpha * MEAN - TARGET)) / precision
        assert float(d.prediction.eps[i, 0]) == pytest.approx(sigma * precision * (z_t - centre), rel=1e-9)
        # z answers for the same density
        assert float(alpha * d.prediction.z[i, 0] + sigma * d.prediction.eps[i, 0]) == pytest.approx(z_t, rel=1e-9)


@pytest.mark.parametrize("schedule", ["VP", "Flow"])
def test_mean_and_variance(schedule: str) -> None:
    n, times, points = 20_000, (0.2, 0.7), (0.4, 3.0)
    z = tensor(*points).repeat_interleave(n)[:, None]
    d = step(JSD(spring_energy, STRENGTH, times=PerRow(tuple(t for t in times for _ in range(n)))), line(schedule), z)
    for t, point, got in zip(times, points, d.grad[:, 0].split(n), strict=True):
        alpha, sigma, k, j = gains(schedule, t)
        push = sigma * STRENGTH / alpha
        away = alpha * (point - MEAN)
        mean = sigma**2 * (k * away + push * (MEAN + j * away - TARGET))
        variance = (sigma**2 * ((k + push * j) * sigma - 1)) ** 2
        assert abs(float(got.mean()) - mean) <= 4 * math.sqrt(variance / n)
        assert abs(float(got.var()) - variance) <= 4 * variance * math.sqrt(2 / n)


def test_an_energy_of_pairs_pulls_the_views_together_and_moves_nothing_else() -> None:
    times = PerRow((0.4,) * 4)
    joint, apart = (step(JSD(agreement_energy, s, times=times), line()) for s in (STRENGTH, 0.0))
    alpha, sigma, k, j = gains("VP", 0.4)
    z_t = alpha * POINTS + sigma * apart.eps
    z = MEAN + j * (z_t - alpha * MEAN)
    gap = z - z[[1, 0, 3, 2]]
    assert torch.allclose(joint.grad - apart.grad, sigma**2 * sigma * STRENGTH / alpha * gap, rtol=1e-9, atol=1e-12)
    assert torch.allclose(joint.logs["energy"].sum(), 0.25 * gap.square().sum(), rtol=1e-9)


def test_without_strength_or_before_it_begins_it_is_sds_of_a_guided_prior() -> None:
    z, prior = torch.randn(4, 2, generator=generator(1), dtype=F64), prior_of(three_gaussians(), labels=[0, 0, 1])
    conditions = ms.Conditions(torch.tensor([0, 1, 1, 0]), null=NULL)
    sds, _ = ms.SDS(PerRow(TIMES)).step(
        z, ms.Guided(prior, 5.0), None, conditions=conditions, progress=0.5, rng=generator()
    )
    for options in ({"strength": 0.0}, {"begin": 0.6}):
        d = step(JSD(spring_energy, times=PerRow(TIMES), scale=5.0, **options), prior, z, conditions=conditions)
        assert torch.allclose(d.grad, sds.grad, rtol=0, atol=1e-12)
    acting = step(JSD(spring_energy, times=PerRow(TIMES), scale=5.0, begin=0.5), prior, z, conditions=conditions)
    # the energy sees the unconditional prediction
    base = prior(acting.prediction.z_t, acting.t)
    extra = acting.prediction.sigma * 5.0 / acting.prediction.alpha
    want = sds.grad + (acting.prediction.sigma**2 * extra)[:, None] * (base.z - TARGET)
    assert torch.allclose(acting.grad, want, rtol=1e-10, atol=1e-10)


def test_an_energy_of_pixels_receives_pixels() -> None:
    image = torch.rand(2, 1, 3, 3, generator=generator(1), dtype=F64)
    prior = ms.Empirical(2 * torch.rand(20, 1, 3, 3, generator=generator(2), dtype=F64) - 1)
    codec, view = RangeCodec(), View((0, 1))
    context = RenderContext(view, Rendering(view, image), image, codec, torch.tensor([0, 1]), torch.tensor([0, 1]))
    decoded = []

    def bright(pixels: Tensor, where: RenderContext | None) -> Tensor:
        decoded.append(pixels.detach())
        assert where is context
        return pixels.flatten(1).sum(1)

    times = PerRow((0.3, 0.7))
    z = codec.encode(image)
    joint = step(JSD(bright, STRENGTH, sees="image", times=times), prior, z, context=context)
    apart = step(JSD(bright, 0.0, sees="image", times=times), prior, z, context=context)
    alpha, sigma = apart.prediction.alpha, apart.prediction.sigma
    assert torch.allclose(decoded[0], (apart.prediction.z + 1) / 2, rtol=0, atol=1e-12)
    want = (sigma**3 * STRENGTH / alpha / 2).reshape(-1, 1, 1, 1).expand_as(z)
    assert torch.allclose(joint.grad - apart.grad, want, rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match="needs a context to decode with, got none"):
        step(JSD(bright, sees="image", times=times), prior, z)


def test_a_batch_is_its_items_alone_and_calls() -> None:
    z, labels = torch.randn(4, 2, generator=generator(1), dtype=F64), torch.tensor([0, 1, 1, 0])
    counted = ms.Counting(prior_of(three_gaussians(), labels=[0, 0, 1]))
    for jacobian in (False, True):
        method = JSD(spring_energy, scale=4.0, jacobian=jacobian, times=ms.Uniform(0.1, 0.9))
        counted.calls = 0
        whole = step(method, counted, z, ms.Streams(3, 1, (0, 1, 2, 3)), conditions=ms.Conditions(labels, null=NULL))
        assert counted.calls == 4 * 2
        for i in range(4):
            conditions = ms.Conditions(labels[i : i + 1], null=NULL)
            alone = step(method, counted, z[i : i + 1], ms.Streams(3, 1, (i,)), conditions=conditions)
            assert torch.equal(alone.eps[0], whole.eps[i]) and torch.equal(alone.t[0], whole.t[i])
            assert torch.allclose(alone.grad[0], whole.grad[i], rtol=1e-12, atol=1e-12)
    counted.calls = 0
    step(JSD(spring_energy), counted, z)
    step(JSD(spring_energy, scale=1.0), counted, z, conditions=ms.Conditions(labels))
    assert counted.calls == 2 * 4


def test_mistakes(unchecked: None) -> None:
    for wrong, message in (
        ({"sees": "depth"}, "JSD sees must be 'z' or 'image'"),
        ({"strength": -1.0}, "JSD needs strength >= 0"),
        ({"begin": 1.1}, "JSD needs strength >= 0"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            JSD(spring_energy, **wrong)
        one_line(error.value)
    with pytest.raises(ValueError, match="must be differentiable in its input") as error:
        step(JSD(lambda z, context: z.detach().sum(1), times=PerRow(TIMES)), line())
    one_line(error.value)
    with pytest.raises(TypeError, match="JSD guides by itself"):
        JSD(spring_energy).init(POINTS, ms.Guided(line()))
    with pytest.raises(ValueError, match="guidance needs a baseline"):
        prior = prior_of(three_gaussians(), labels=[0, 0, 1])
        step(JSD(spring_energy), prior, torch.zeros(1, 2, dtype=F64), conditions=ms.Conditions(torch.tensor([1])))
