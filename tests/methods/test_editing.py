"""Edits: DDS and PDS against Gaussians, the posterior's own algebra, and the authors' numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from cases import one_line, scaled_linear_table
from cases_shift import SCHEDULES, generator, prior_of, tensor, three_gaussians
from oracles_shift import F64, Mixture, level, moved
from torch import Tensor

import modeseek as ms
from modeseek.codec import Identity
from modeseek.generators.base import Rendering, View
from modeseek.methods.base import RenderContext
from modeseek.methods.dds import DDS
from modeseek.methods.pds import PDS
from modeseek.priors.base import select_conditions

FROM, TO = (-1.0, 0.36), (1.5, 0.49)
NULL = torch.tensor([-1])
SOURCE, POINTS = tensor([-0.8], [-1.3], [0.2], [-1.0]), tensor([0.4], [-0.6], [3.0], [1.5])
TIMES = (0.1, 0.3, 0.5, 0.8)
CONDITIONS = ms.Conditions(torch.tensor([1]), source=torch.tensor([0]))


@dataclass(frozen=True)
class PerRow:
    """A separate time for each row."""

    t: tuple[float, ...]

    def __call__(self, progress: float, n: int, rng: ms.Rng) -> Tensor:
        return torch.tensor(self.t, dtype=F64)


def two_class_prior(schedule: str, alike: bool = False) -> ms.GaussianMixture:
    """Class 0 and class 1, a Gaussian each."""
    variances = [TO[1] if alike else FROM[1], TO[1]]
    law = Mixture(tensor(0.5, 0.5), tensor([FROM[0]], [TO[0]]), tensor(*([[v]] for v in variances)))
    return prior_of(law, SCHEDULES[schedule], [0, 1])


def step(method, prior, z: Tensor = POINTS, rng=None, conditions=CONDITIONS, context=None) -> ms.Direction:
    rng = generator() if rng is None else rng
    return method.step(z, prior, method.init(z, prior), conditions=conditions, progress=0.5, rng=rng, context=context)[
        0
    ]


def slope(part: tuple[float, float], alpha: float, sigma: float) -> float:
    """eps_hat = slope (z_t - alpha mean)."""
    return sigma / (alpha**2 * part[1] + sigma**2)


@pytest.mark.parametrize("schedule", ["VP", "Flow", "Cosine"])
def test_dds_between_gaussians(schedule: str) -> None:
    d = step(DDS(SOURCE, PerRow(TIMES), ms.sigma_squared, scale=1.0), two_class_prior(schedule))
    for i, t in enumerate(TIMES):
        alpha, sigma = level(schedule, t)
        n, z, source = float(d.eps[i, 0]), float(POINTS[i, 0]), float(SOURCE[i, 0])
        target = slope(TO, alpha, sigma) * (alpha * (z - TO[0]) + sigma * n)
        origin = slope(FROM, alpha, sigma) * (alpha * (source - FROM[0]) + sigma * n)
        assert float(d.grad[i, 0]) == pytest.approx(sigma**2 * (target - origin), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("schedule", ["VP", "Flow"])
def test_dds_has_the_mean_and_the_variance_of_the_closed_form(schedule: str) -> None:
    n, times = 20_000, (0.2, 0.7)
    z, source = (tensor(*x).repeat_interleave(n)[:, None] for x in ((0.4, 3.0), (-0.8, 0.2)))
    method = DDS(source, PerRow(tuple(t for t in times for _ in range(n))), scale=1.0)
    for alike in (False, True):
        grads = step(method, two_class_prior(schedule, alike), z).grad[:, 0].split(n)
        for t, x, y, got in zip(times, (0.4, 3.0), (-0.8, 0.2), grads, strict=True):
            alpha, sigma = level(schedule, t)
            k, j = slope(TO, alpha, sigma), slope((FROM[0], TO[1] if alike else FROM[1]), alpha, sigma)
            mean = alpha * (k * (x - TO[0]) - j * (y - FROM[0]))
            deviation = abs(k - j) * sigma  # none where both are equally wide: the noise cancels
            assert abs(float(got.mean()) - mean) <= 4 * deviation / math.sqrt(n) + 1e-12
            assert abs(float(got.var()) - deviation**2) <= 4 * deviation**2 * math.sqrt(2 / n) + 1e-12


@pytest.mark.parametrize(
    "method", [DDS(), DDS(scale=1.0), PDS(), PDS(coefficients="exact")], ids=["dds", "plain", "pds", "exact"]
)
def test_an_edit_into_itself_is_nothing(method) -> None:
    prior = prior_of(three_gaussians(), labels=[0, 0, 1])
    z = torch.randn(4, 2, generator=generator(1), dtype=F64)
    same = ms.Conditions(torch.tensor([1, 0, 1, 0]), null=NULL, source=torch.tensor([1, 0, 1, 0]))
    assert (step(method, prior, z, conditions=same).grad == 0).all()
    other = ms.Conditions(torch.tensor([1, 0, 1, 0]), null=NULL, source=torch.tensor([0]))
    grad = step(method, prior, z, conditions=other).grad
    assert (grad[[0, 2]] != 0).any(1).all() and (grad[[1, 3]] == 0).all()


def test_the_source_is_where_the_run_began_and_stays_there() -> None:
    prior, method = two_class_prior("VP"), DDS(times=PerRow(TIMES), scale=1.0)
    state = method.init(SOURCE, prior)
    for seed in (0, 1):
        d, state = method.step(POINTS, prior, state, conditions=CONDITIONS, progress=0.5, rng=generator(seed))
        fixed = step(DDS(SOURCE, PerRow(TIMES), scale=1.0), prior, rng=generator(seed))
        assert torch.equal(d.grad, fixed.grad)
    assert torch.equal(state.source, SOURCE)


def test_guidance_of_both_branches_shares_the_baseline() -> None:
    prior, s = prior_of(three_gaussians(), labels=[0, 0, 1]), 6.0
    z, source = torch.randn(2, 4, 2, generator=generator(1), dtype=F64)
    positive, origin = torch.tensor([1, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    conditions = ms.Conditions(positive, null=NULL, source=origin)
    d = step(DDS(source, PerRow(TIMES), scale=s), prior, z, conditions=conditions)
    t = torch.tensor(TIMES, dtype=F64)
    alpha, sigma = (x[:, None] for x in prior.schedule(t))
    sides = []
    for x, label in ((z, positive), (source, origin)):
        z_t = alpha * x + sigma * d.eps
        base, plain = prior(z_t, t, NULL).eps, prior(z_t, t, label).eps
        sides.append(base + s * (plain - base))
    assert torch.allclose(d.grad, sides[0] - sides[1], rtol=0, atol=1e-11)
    assert torch.allclose(d.prediction.eps, sides[0], rtol=0, atol=1e-11)


@pytest.mark.parametrize("schedule", ["VP", "Flow", "Cosine"])
def test_exact_pds_matches_the_stochastic_latents(schedule: str) -> None:
    """(z_s - mu) / spread of both sides, literally: noised at both levels, mu by conditioning Gaussians on z_t."""
    gap = 0.004
    method = PDS(SOURCE, PerRow(TIMES), scale=1.0, coefficients="exact", step_size=gap)
    d = step(method, two_class_prior(schedule))
    for i, t in enumerate(TIMES):
        (alpha, sigma), (alpha_s, sigma_s) = level(schedule, t), level(schedule, moved(schedule, t, -gap))
        n_s, latents = 0.37, []  # whatever the noise at s: it is the same on both sides
        for z, part in ((float(POINTS[i, 0]), TO), (float(SOURCE[i, 0]), FROM)):
            z_t, z_s = alpha * z + sigma * float(d.eps[i, 0]), alpha_s * z + sigma_s * n_s
            z_hat = part[0] + alpha * part[1] / (alpha**2 * part[1] + sigma**2) * (z_t - alpha * part[0])
            # z_s given z_t and z: prior N(alpha_s z, sigma_s^2), decoded as z_t = r z_s + N(0, sigma^2 - r^2 sigma_s^2)
            r = alpha / alpha_s
            noise = sigma**2 - r**2 * sigma_s**2
            precision = 1 / sigma_s**2 + r**2 / noise
            mu = (alpha_s * z_hat / sigma_s**2 + r * z_t / noise) / precision
            latents.append((z_s - mu) * math.sqrt(precision))
        assert float(d.grad[i, 0]) == pytest.approx(latents[0] - latents[1], rel=1e-6)


@pytest.mark.parametrize("schedule", ["VP", "Flow", "Cosine"])
def test_exact_pds_is_dds_with_a_weight(schedule: str) -> None:
    prior = two_class_prior(schedule)
    exact = PDS(SOURCE, PerRow(TIMES), scale=1.0, coefficients="exact")
    pds, dds = (step(m, prior) for m in (exact, DDS(SOURCE, PerRow(TIMES), scale=1.0)))
    ratio = (pds.grad / dds.grad)[:, 0]
    for i, t in enumerate(TIMES):
        (alpha, sigma), (alpha_s, sigma_s) = level(schedule, t), level(schedule, moved(schedule, t, -0.002))
        assert float(ratio[i]) == pytest.approx(math.sqrt((alpha_s * sigma / alpha / sigma_s) ** 2 - 1), rel=1e-6)
    assert (pds.logs["psi"] == 0).all()


def test_the_authors_coefficients() -> None:
    """Stride 2 with the betas of stride 1, at four training steps of Stable Diffusion."""
    schedule = ms.schedules.Discrete.from_alphas_cumprod(torch.tensor(scaled_linear_table()))
    t = torch.tensor([50, 200, 500, 950], dtype=F64) / 999
    psi, chi = PDS(coefficients="official", step_size=0.002).weights(schedule, t)
    assert psi.tolist() == pytest.approx([0.66425, 0.14049, 0.03224, 0.004882], rel=3e-3)  # a table, not its limit
    assert chi.tolist() == pytest.approx([0.15431, 0.09194, 0.08212, 0.10724], rel=3e-3)
    # and what they do
    prior = two_class_prior("VP")
    d = step(PDS(SOURCE, PerRow(TIMES), scale=1.0), prior)  # the default
    dds = step(DDS(SOURCE, PerRow(TIMES), scale=1.0), prior)
    psi, chi = d.logs["psi"][:, None], d.logs["chi"][:, None]
    assert (psi > 0).all() and torch.allclose(d.grad, psi * (POINTS - SOURCE) + chi * dds.grad, rtol=0, atol=1e-11)


@pytest.mark.parametrize("method", [DDS(torch.zeros(1, dtype=F64)), PDS(torch.zeros(1, dtype=F64))], ids=["dds", "pds"])
def test_a_batch_is_its_items_alone_and_calls(method) -> None:
    z = torch.randn(4, 2, generator=generator(1), dtype=F64)
    conditions = ms.Conditions(torch.tensor([0, 1, 1, 0]), null=NULL, source=torch.tensor([1, 0, 1, 0]))
    counted = ms.Counting(prior_of(three_gaussians(), labels=[0, 0, 1]))
    whole = step(method, counted, z, ms.Streams(3, 1, (0, 1, 2, 3)), conditions)
    assert counted.calls == 4 * 4
    for i in range(4):
        alone = step(
            method, counted, z[i : i + 1], ms.Streams(3, 1, (i,)), select_conditions(conditions, torch.tensor([i]))
        )
        assert torch.equal(alone.eps[0], whole.eps[i]) and torch.equal(alone.t[0], whole.t[i])
        assert torch.allclose(alone.grad[0], whole.grad[i], rtol=1e-12, atol=1e-12)
    counted.calls = 0
    step(type(method)(scale=1.0), counted, z, conditions=conditions)
    assert counted.calls == 4 * 2


def test_a_source_may_be_rendered_for_every_scene() -> None:
    view = View((0, 1, 2, 3))
    context = RenderContext(view, Rendering(view, POINTS), POINTS, Identity(), torch.arange(4), torch.arange(4))
    prior = two_class_prior("VP")
    moving = DDS(lambda where: SOURCE[where.item], PerRow(TIMES), scale=1.0)
    fixed = step(DDS(SOURCE, PerRow(TIMES), scale=1.0), prior)
    assert torch.equal(step(moving, prior, context=context).grad, fixed.grad)
    with pytest.raises(ValueError, match="a source function needs a context") as error:
        step(moving, prior)
    one_line(error.value)


@pytest.mark.parametrize("method", [DDS, PDS])
def test_mistakes(method, unchecked: None) -> None:
    prior, name = prior_of(three_gaussians(), labels=[0, 0, 1]), method.__name__
    z = torch.zeros(2, 2, dtype=F64)
    for conditions in (None, ms.Conditions(torch.tensor([1]), null=NULL)):
        with pytest.raises(ValueError, match=f"{name} needs the conditions positive, source: got") as error:
            step(method(), prior, z, conditions=conditions)
        one_line(error.value)
    with pytest.raises(ValueError, match="guidance needs a baseline"):
        step(method(), prior, z)
    with pytest.raises(TypeError, match=f"{name} guides by itself"):
        method().init(z, ms.Guided(prior))
    for shape in ((3, 2), (2, 2, 2), (3,)):
        with pytest.raises(ValueError, match=r"source must broadcast to z \(2, 2\), got") as error:
            step(method(torch.zeros(shape)), prior, z)
        one_line(error.value)


def test_mistakes_of_pds(unchecked: None) -> None:
    with pytest.raises(ValueError, match="'exact' or 'official'"):
        PDS(coefficients="derived")
    with pytest.raises(ValueError, match="step_size in"):
        PDS(step_size=0.0)
    assert step(PDS(SOURCE, PerRow((0.001, 0.1, 0.1, 0.1)), scale=1.0), two_class_prior("VP")).grad.isfinite().all()
    with pytest.raises(ValueError, match="needs sigma > 0 at t - step_size and alpha > 0 at t"):
        step(PDS(SOURCE, PerRow((0.0, 0.1, 0.1, 0.1)), scale=1.0), two_class_prior("Flow"))
    with pytest.raises(ValueError, match="needs sigma > 0 at t - step_size and alpha > 0 at t"):
        step(PDS(SOURCE, PerRow((1.0, 0.1, 0.1, 0.1)), scale=1.0), two_class_prior("Flow"))


def test_rows_of_conditions_keep_their_source() -> None:
    conditions = ms.Conditions(torch.arange(4), null=NULL, source=torch.arange(4, 8))
    assert select_conditions(conditions, torch.tensor([2, 2, 0])).source.tolist() == [6, 6, 4]
    assert select_conditions(ms.Conditions(torch.arange(4)), torch.tensor([1])).source is None
