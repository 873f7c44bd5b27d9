"""Debiased: clamped and unchanged entries of the direction."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from cases_methods import (
    NAMES,
    PerRow,
    Z,
    branch_sum,
    check_batch,
    class_prior,
    count_calls,
    label_conditions,
    levels,
    one_line,
    step,
)

import modeseek as ms
from modeseek.methods.csd import CSD
from modeseek.methods.debiased import Debiased
from modeseek.ramp import Ramp


@dataclass(frozen=True)
class Fixed:
    """A method that answers what it is given and counts in its state."""

    references, guides = (), False
    grad: torch.Tensor

    def init(self, z, prior):
        return 3

    def step(self, z, prior, state, *, conditions=None, progress, rng, context=None):
        return ms.Direction(self.grad, grad_image=100 * self.grad, logs={"h": z[:, 0]}), state + 1


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_every_entry_is_clamped_to_a_bound_that_rises(progress):
    grad = torch.tensor([[-30.0, 2.5], [0.1, 7.0], [9.0, -1.0], [3.8, -3.8]], dtype=Z.dtype)
    method = Debiased(Fixed(grad), Ramp(2.0, 8.0))
    state = method.init(Z, class_prior())
    direction, after = method.step(Z, class_prior(), state, progress=progress, rng=torch.Generator())
    c = 2 + 6 * progress
    expected = torch.tensor([[max(-c, min(c, x)) for x in row] for row in grad.tolist()], dtype=Z.dtype)
    assert torch.equal(direction.grad, expected) and (state, after) == (3, 4)
    assert torch.equal(direction.grad_image, 100 * grad) and torch.equal(direction.logs["h"], Z[:, 0])
    share = [sum(abs(x) > c for x in row) / 2 for row in grad.tolist()]
    assert direction.logs["held_back"].tolist() == share


def test_the_bound_never_falls_and_is_what_was_asked_for():
    bounds = [Debiased(ms.SDS()).bound(i / 20) for i in range(21)]
    assert bounds[0] == 2.0 and bounds[-1] == pytest.approx(8.0)
    assert all(b > a for a, b in zip(bounds, bounds[1:], strict=False))
    assert Debiased(ms.SDS(), 0.5).bound(0.7) == 0.5


@pytest.mark.parametrize("schedule", NAMES)
def test_around_sds_it_clamps_the_closed_form_and_draws_the_same(schedule):
    inner = ms.SDS(PerRow(), ms.weights.unit_weight)
    direction = step(Debiased(inner, 0.4), class_prior(schedule), Z.repeat(50, 1), conditions=label_conditions())
    mean, factor = (part.repeat(50, 1) for part in branch_sum({0: 1.0}, -1.0, *levels(schedule)))
    free = mean + factor * direction.eps
    assert torch.allclose(direction.grad, free.clamp(-0.4, 0.4), rtol=0, atol=1e-9)
    assert (free.abs() > 0.4).any() and (free.abs() < 0.4).any()
    plain = step(inner, class_prior(schedule), Z.repeat(50, 1), conditions=label_conditions())
    assert torch.equal(plain.eps, direction.eps) and torch.equal(plain.t, direction.t)
    wide = step(Debiased(inner, 1e9), class_prior(schedule), Z.repeat(50, 1), conditions=label_conditions())
    assert torch.equal(wide.grad, plain.grad)


def test_what_is_not_finite_is_not_hidden():
    grad = torch.full_like(Z, float("nan"))
    assert step(Debiased(Fixed(grad)), class_prior(), Z).grad.isnan().all()


@pytest.mark.parametrize(
    "method", [Debiased(ms.SDS(), 0.3), Debiased(CSD(), 0.1), Debiased(ms.MSD(ms.Fixed(0.7)), 0.2)]
)
def test_a_batch_goes_as_its_items_do_and_costs_the_same(method):
    check_batch(method, class_prior(), label_conditions())
    assert count_calls(method, conditions=label_conditions()) == count_calls(
        method.method, conditions=label_conditions()
    )


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan"), Ramp(1.0, -1.0)])
def test_a_bound_that_is_not_positive_is_refused(threshold):
    with pytest.raises(ValueError, match="Debiased needs a positive threshold, got") as error:
        Debiased(ms.SDS(), threshold)
    one_line(error.value)
