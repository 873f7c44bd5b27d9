"""PFD against closed-form flows of Gaussians, a Runge-Kutta integration of a mixture, and SDI."""

from __future__ import annotations

import math

import pytest
import torch
from cases_methods import (
    MEANS,
    NAMES,
    NULL,
    POSITIVE,
    VARIANCES,
    PerRow,
    Z,
    check_batch,
    class_prior,
    count_calls,
    label_conditions,
    levels,
    one_line,
    step,
)
from cases_shift import SCHEDULES, generator, prior_of, three_gaussians
from oracles_shift import F64, posterior
from torch import Tensor

import modeseek as ms
from modeseek.methods.pfd import PFD

CONDITIONS = label_conditions(negative=None)
FROM_NULL_TO_POSITIVE = {"inversion_scale": 0.0, "scale": 1.0}  # flows of one Gaussian each


def spread(label: int, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Standard deviation of the noised class."""
    return (alpha**2 * VARIANCES[label] + sigma**2).sqrt()


def flowed(schedule: str, times: tuple[float, ...] = PerRow().t) -> Tensor:
    """z_hat by exact flows: up under the null class, down under the positive one."""
    alpha, sigma = levels(schedule, times)
    z_t = alpha * MEANS[NULL] + spread(NULL, alpha, sigma) * (Z - MEANS[NULL]) / VARIANCES[NULL].sqrt()
    down = VARIANCES[POSITIVE].sqrt() / spread(POSITIVE, alpha, sigma)
    return MEANS[POSITIVE] + down * (z_t - alpha * MEANS[POSITIVE])


def grad(schedule: str, times: PerRow | None = None, **options) -> Tensor:
    method = PFD(times or PerRow(), **FROM_NULL_TO_POSITIVE | options)
    return step(method, class_prior(schedule), Z, conditions=CONDITIONS).grad


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["Flow", "Cosine", "VP"])
def test_between_gaussians_it_converges_to_the_exact_flows_at_first_order(schedule: str) -> None:
    expected = Z - flowed(schedule)
    errors = [
        float((grad(schedule, inversion_steps=n, steps=n, sampler=ms.ddim) - expected).norm()) for n in (80, 160, 320)
    ]
    assert errors[-1] <= 0.02 * float(expected.norm())
    for coarse, fine in zip(errors[:-1], errors[1:], strict=True):
        assert 1.6 <= coarse / fine <= 2.2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "least", "most"), [(ms.ddim, 1.7, 2.3), (ms.dpmpp_2m, 2.3, 4.5), (ms.heun, 3.5, 4.5)]
)
def test_the_reverse_flow_converges_as_its_sampler(sampler, least: float, most: float) -> None:
    """At a fixed z_t, so that the inversion's error cancels; DPM-Solver++ loses order where the log-SNR diverges."""
    walk = [grad("Cosine", inversion_steps=3, steps=n, sampler=sampler) for n in (64, 128, 256)]
    assert least <= float((walk[0] - walk[1]).norm() / (walk[1] - walk[2]).norm()) <= most
    finest = grad("Cosine", inversion_steps=3, steps=1000, sampler=ms.heun)
    assert float((walk[-1] - finest).norm()) <= (0.02 if sampler is ms.ddim else 2e-4) * float(finest.norm())


def test_from_high_noise_it_is_the_optimal_transport_map_between_the_gaussians() -> None:
    high = (0.9999,) * 4
    share = (VARIANCES[POSITIVE] / VARIANCES[NULL]).sqrt()
    transported = MEANS[POSITIVE] + share * (Z - MEANS[NULL])
    assert torch.allclose(flowed("Flow", high), transported, rtol=0, atol=1e-3)
    got = grad("Flow", PerRow(high), inversion_steps=800, steps=800, sampler=ms.ddim)
    assert torch.allclose(got, Z - transported, rtol=0, atol=0.02)


def test_equal_flows_undo_each_other() -> None:
    """On a mixture whose flow is nonlinear, the direction falls with the step size, not to SDI's."""
    prior = prior_of(three_gaussians(), SCHEDULES["Cosine"])
    norms = [float(step(PFD(PerRow(), inversion_steps=n, steps=n), prior, Z).grad.norm()) for n in (50, 100, 200)]
    sdi = float(step(ms.SDI(PerRow(), inversion_steps=200), prior, Z).grad.norm())
    assert norms[-1] < 0.1 * sdi
    assert norms[0] / norms[1] > 1.5 and norms[1] / norms[2] > 1.5


@pytest.mark.slow
def test_a_guided_flow_of_a_mixture_agrees_with_runge_kutta() -> None:
    """`dx/dh = eps` in x = z_t / alpha, h = sigma / alpha, with eps from the oracle's posterior."""
    mixture, scale = three_gaussians(), 2.5
    prior = prior_of(mixture, SCHEDULES["Flow"], [0, 1, 1])
    conditions = ms.Conditions(torch.tensor([1]), null=torch.tensor([-1]))
    part = type(mixture)(mixture.weights[1:] / mixture.weights[1:].sum(), mixture.means[1:], mixture.covs[1:])
    t, rows = 0.6, torch.tensor([[0.4, -0.6], [1.0, 0.2]], dtype=F64)
    direction = step(
        PFD(PerRow((t, t)), scale, inversion_scale=scale, inversion_steps=1, steps=400), prior, rows,
        conditions=conditions,
    )  # fmt: skip

    def eps(x: Tensor, h: float) -> Tensor:
        base, plain = ((x - posterior(m, x, h)[0]) / h for m in (mixture, part))
        return base + scale * (plain - base)

    x, h, n = rows, t / (1 - t), 400
    # the one inversion step starts at sigma = 0, where eps is 0 by its limit: z_t = alpha z
    width = h / n
    for k in range(n - 1):
        at = h - k * width
        a = eps(x, at)
        b = eps(x - width / 2 * a, at - width / 2)
        c = eps(x - width / 2 * b, at - width / 2)
        d = eps(x - width * c, at - width)
        x = x - width / 6 * (a + 2 * b + 2 * c + d)
    x = x - width * eps(x, width)
    assert torch.allclose(rows - direction.grad, x, rtol=0, atol=2e-4)


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize("conditions", [None, CONDITIONS], ids=["plain", "guided"])
@pytest.mark.parametrize("eta", [0.0, 0.3])
def test_one_step_is_sdi_bit_for_bit(schedule: str, conditions, eta: float) -> None:
    options = {"inversion_steps": 4, "inversion_scale": -6.5, "scale": 3.0, "inversion_eta": eta}
    ours, sdi = (
        step(method, class_prior(schedule), Z, generator(2), conditions=conditions)
        for method in (PFD(PerRow(), steps=1, **options), ms.SDI(PerRow(), **options))
    )
    assert torch.equal(ours.grad, sdi.grad) and torch.equal(ours.weight, sdi.weight)


def test_a_batch_is_its_items_alone() -> None:
    for prior, conditions in ((class_prior(), CONDITIONS), (class_prior("VE"), None)):
        check_batch(PFD(inversion_steps=3, steps=3), prior, conditions)


def test_calls_and_times() -> None:
    assert count_calls(PFD(inversion_steps=3, steps=4)) == 4 * 7
    assert count_calls(PFD(inversion_steps=3, steps=4), conditions=CONDITIONS) == 4 * 14
    assert count_calls(PFD(inversion_steps=3, steps=4, sampler=ms.heun)) == 4 * 10
    early, late = (PFD().times(progress, 4000, generator()) for progress in (0.0, 0.9))
    assert early.max() > 0.95 and 0.65 < late.max() <= 0.7 and math.isclose(late.min(), 0.02, abs_tol=5e-3)


def test_mistakes(unchecked: None) -> None:
    with pytest.raises(ValueError, match="PFD steps must be >= 1, got 0; try 10") as error:
        PFD(steps=0)
    one_line(error.value)
    with pytest.raises(ValueError, match="PFD needs inversion_steps >= 1") as error:
        PFD(inversion_steps=0)
    one_line(error.value)
    with pytest.raises(TypeError, match="PFD guides by itself"):
        PFD().init(Z, ms.Guided(class_prior()))
