"""ISM against its own recursion and the closed form of the probability flow."""

from __future__ import annotations

import math

import pytest
import torch
from cases_methods import (
    MEANS,
    NAMES,
    NEGATIVE,
    NULL,
    POSITIVE,
    TIMES,
    VARIANCES,
    PerRow,
    Z,
    check_batch,
    class_prior,
    count_calls,
    eps_of,
    label_conditions,
    levels,
    one_line,
    step,
)
from cases_shift import generator
from oracles_shift import F64, at_clock, level, moved

import modeseek as ms
from modeseek.methods.ism import ISM
from modeseek.ramp import Ramp


def recursion(schedule: str, gap: float, stride: float, scale: float, pos: int, null: int) -> torch.Tensor:
    """`eps_scale(z_t, t) - eps_null(z_s, s)`, one row after the other."""

    def numbers(t: float) -> tuple[torch.Tensor, torch.Tensor]:
        alpha, sigma = level(schedule, t)
        return torch.tensor(alpha, dtype=F64), torch.tensor(sigma, dtype=F64)

    answers = []
    for z, t in zip(Z, TIMES, strict=True):
        s, grid = moved(schedule, t, -gap), [at_clock(schedule, k * stride) for k in range(int(2 / stride) + 1)]
        stops = [stop for stop in grid if stop < s - 1e-9] + [s, t]
        x = numbers(stops[0])[0] * z if stops[0] > 0 else z
        for t_from, t_to in zip(stops[:-1], stops[1:], strict=True):
            alpha, sigma = numbers(t_from)
            back = eps_of(null, x, alpha, sigma)
            signal = (x - sigma * back) / alpha
            alpha, sigma = numbers(t_to)
            x = alpha * signal + sigma * back
        ahead = (1 - scale) * eps_of(null, x, alpha, sigma) + scale * eps_of(pos, x, alpha, sigma)
        answers.append(ahead - back)
    return torch.stack(answers)


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize(("gap", "stride", "scale"), [(0.04, 0.2, 7.5), (0.1, 0.07, 1.0), (0.04, 1.0, 0.0)])
def test_every_row_walks_to_its_own_level_and_one_step_further(schedule, gap, stride, scale):
    _, sigma = levels(schedule)
    direction = step(
        ISM(PerRow(), ms.sigma_squared, scale, gap, stride),
        class_prior(schedule),
        Z,
        conditions=label_conditions(negative=None),
    )
    expected = sigma**2 * recursion(schedule, gap, stride, scale, POSITIVE, NULL)
    assert torch.allclose(direction.grad, expected, rtol=1e-9, atol=1e-10)
    assert torch.equal(direction.t, torch.tensor(TIMES, dtype=F64)) and direction.eps is None
    assert direction.prediction.z_t.shape == Z.shape


def test_a_negative_prompt_is_the_baseline_at_t_and_nothing_to_the_inversion():
    direction = step(ISM(PerRow(), ms.weights.unit_weight), class_prior(), Z, conditions=label_conditions())
    z_t, alpha, sigma = direction.prediction.z_t, *levels("VP")
    ahead = 7.5 * eps_of(POSITIVE, z_t, alpha, sigma) - 6.5 * eps_of(NEGATIVE, z_t, alpha, sigma)
    plain = step(ISM(PerRow(), ms.weights.unit_weight), class_prior(), Z, conditions=label_conditions(negative=None))
    assert torch.equal(z_t, plain.prediction.z_t)
    null = 7.5 * eps_of(POSITIVE, z_t, alpha, sigma) - 6.5 * eps_of(NULL, z_t, alpha, sigma)
    assert torch.allclose(direction.grad - plain.grad, ahead - null, rtol=0, atol=1e-10)


def test_its_weight_is_sigma_over_alpha_and_rows_below_the_gap_start_at_the_image():
    alpha, sigma = levels("VP")
    direction = step(ISM(PerRow(), gap=0.3), class_prior(), Z, conditions=label_conditions(negative=None))
    assert torch.allclose(direction.grad, sigma / alpha * recursion("VP", 0.3, 0.2, 7.5, POSITIVE, NULL), atol=1e-9)
    assert direction.logs["s"][0] == 0
    # the first row: z_t = alpha z, and no noise is predicted in a clean image
    z_t = alpha[0] * Z[0]
    ahead = (1 - 7.5) * eps_of(NULL, z_t, alpha[0], sigma[0]) + 7.5 * eps_of(POSITIVE, z_t, alpha[0], sigma[0])
    assert torch.allclose(direction.grad[0], (sigma / alpha)[0] * ahead, rtol=0, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["Cosine", "Flow"])
def test_it_converges_to_the_closed_form_of_the_probability_flow_at_first_order(schedule):
    """I7: along the exact flow `eps = sigma / sqrt(alpha^2 v + sigma^2) (z - mean) / sqrt(v)`."""

    def along(t: float) -> torch.Tensor:
        alpha, sigma = level(schedule, t)
        return sigma / (alpha**2 * VARIANCES[POSITIVE] + sigma**2).sqrt()

    unit = (Z - MEANS[POSITIVE]) / VARIANCES[POSITIVE].sqrt()
    errors = []
    for width in (0.01, 0.005, 0.0025):
        method = ISM(PerRow(), ms.weights.unit_weight, 1.0, width, width)
        grad = step(method, class_prior(schedule), Z, conditions=label_conditions(null=POSITIVE, negative=None)).grad
        slope = torch.stack([along(t) - along(moved(schedule, t, -width)) for t in TIMES]) / width
        errors.append(float((grad / width - slope * unit).norm()) / float((slope * unit).norm()))
    assert errors[-1] < 0.03
    for coarse, fine in zip(errors[:-1], errors[1:], strict=True):
        assert 1.7 <= coarse / fine <= 2.3


def test_without_gap_and_guidance_it_goes_nowhere():
    for schedule in NAMES:
        direction = step(
            ISM(scale=1.0, gap=0.0), class_prior(schedule), Z, conditions=label_conditions(null=POSITIVE, negative=None)
        )
        assert direction.grad.abs().max() <= 1e-10
        assert step(ISM(gap=0.0), class_prior(schedule), Z).grad.abs().max() <= 1e-10
    assert (
        step(ISM(scale=3.0, gap=0.0), class_prior(), Z, conditions=label_conditions(negative=None)).grad.abs().max()
        > 0.1
    )


def test_the_gap_may_move_along_the_run_and_nothing_but_time_is_drawn():
    method = ISM(PerRow(), gap=Ramp(0.1, 0.05, 0.5))
    for progress, gap in ((0.0, 0.1), (0.25, 0.075), (0.8, 0.05)):
        s = step(method, class_prior(), Z, conditions=label_conditions(negative=None), progress=progress).logs["s"]
        assert s.tolist() == pytest.approx([t - gap for t in TIMES])
    rng = generator()
    before = rng.get_state()
    step(method, class_prior(), Z, rng, conditions=label_conditions(negative=None))
    assert torch.equal(rng.get_state(), before)


@pytest.mark.parametrize("method", [ISM(), ISM(ms.Uniform(), stride=0.13, gap=0.3)])
@pytest.mark.parametrize("schedule", ["VP", "Flow"])
def test_a_batch_goes_as_its_items_do(method, schedule):
    check_batch(method, class_prior(schedule), None)
    check_batch(method, class_prior(schedule), label_conditions())
    check_batch(method, class_prior(schedule), ms.Conditions(torch.tensor([0, 2, 1, 0]), torch.tensor([1, -1, 0, 2])))


def test_calls():
    """Rows at their s are not evaluated again: ceil(s / stride) calls to reach s, one at s, two at t."""
    walk = sum(math.ceil((t - 0.04) / 0.2) for t in TIMES)
    assert walk == 1 + 2 + 4 + 5
    method = ISM(PerRow(), gap=0.04)
    assert count_calls(method, conditions=label_conditions(negative=None)) == walk + 4 + 8
    assert count_calls(method) == walk + 4 + 4
    assert count_calls(ISM(PerRow(), gap=0.04, scale=1.0), conditions=label_conditions(negative=None)) == walk + 4 + 4
    assert count_calls(ISM(PerRow((0.05,)), gap=0.3), conditions=label_conditions(negative=None)) == 4 + 8


def test_bad_use_is_one_clear_line():
    for options in ({"stride": 0.0}, {"stride": 1.1}, {"gap": -0.1}, {"gap": 1.5}):
        with pytest.raises(ValueError, match="ISM needs stride in .*got") as error:
            ISM(**options)
        one_line(error.value)
    with pytest.raises(ValueError, match="ISM gap must be in .*, got 2 at progress 1") as error:
        step(ISM(gap=Ramp(0.1, 2.0)), class_prior(), Z, progress=1.0)
    one_line(error.value)
    with pytest.raises(
        ValueError, match="ISM needs the conditions positive, null: got Conditions without null"
    ) as error:
        step(ISM(), class_prior(), Z, conditions=label_conditions(null=None, negative=None))
    one_line(error.value)
    with pytest.raises(TypeError, match="ISM guides by itself"):
        step(ISM(), ms.Guided(class_prior()), Z, conditions=label_conditions(negative=None))
