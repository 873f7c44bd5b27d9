"""Targets of directions: `grad = w (z - target)` with the weight that a direction states, on exact priors."""

from __future__ import annotations

import pytest
import torch
from cases_methods import MEANS, NULL, POSITIVE, PerRow, Z, class_prior, eps_of, label_conditions, levels, step
from cases_shift import SCHEDULES, prior_of, three_gaussians
from oracles_shift import posterior

import modeseek as ms

WEIGHTS = {
    "sigma-squared": (ms.sigma_squared, lambda alpha, sigma: sigma**2),
    "cubic": (lambda alpha, sigma: 0.3 + alpha**3 + 2 * sigma, lambda alpha, sigma: 0.3 + alpha**3 + 2 * sigma),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("weight", "formula"), WEIGHTS.values(), ids=WEIGHTS)
def test_the_target_of_sds_is_the_posterior_mean_at_the_noised_point(weight, formula, schedule):
    alpha, sigma = levels(schedule)
    direction = step(ms.SDS(PerRow(), weight), prior_of(three_gaussians(), SCHEDULES[schedule]), Z)
    w = formula(alpha, sigma) * alpha / sigma
    assert torch.allclose(direction.weight, w[:, 0], rtol=1e-9)
    for i, h in enumerate((sigma / alpha)[:, 0].tolist()):
        target = posterior(three_gaussians(), (Z + h * direction.eps)[i : i + 1], h)[0][0]
        found = Z[i] - direction.grad[i] / direction.weight[i]
        assert torch.allclose(found, target, rtol=1e-8, atol=1e-8 * (1 + h))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_target_of_sdi_is_its_prediction(schedule):
    method = ms.SDI(PerRow(), scale=1.0, inversion_scale=1.0, inversion_steps=3)
    direction = step(method, class_prior(schedule), Z, conditions=label_conditions())
    assert direction.weight.tolist() == [1.0] * 4
    alpha, sigma = levels(schedule)
    eps = eps_of(POSITIVE, direction.prediction.z_t, alpha, sigma)
    target = (direction.prediction.z_t - sigma * eps) / alpha
    assert torch.allclose(Z - direction.grad, target, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_target_of_ism_is_as_far_as_its_noises_differ(schedule):
    method = ms.methods.ISM(PerRow(), scale=1.0, gap=0.0)
    direction = step(method, class_prior(schedule), Z, conditions=label_conditions())
    alpha, sigma = levels(schedule)
    p = direction.prediction
    difference = eps_of(POSITIVE, p.z_t, alpha, sigma) - eps_of(NULL, p.z_t, alpha, sigma)  # gap 0: at the same point
    target = Z - direction.grad / direction.weight[:, None]
    assert torch.allclose(target, Z - sigma / alpha * difference, rtol=1e-6, atol=1e-7)
    assert (target - Z).abs().max() > 1e-2


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(("weight", "formula"), WEIGHTS.values(), ids=WEIGHTS)
def test_the_target_of_vsd_is_as_far_as_its_scores_differ(weight, formula, schedule):
    """phi exact for particles in one point: its noise is the drawn one, and the target is that of SDS."""
    method = ms.VSD(PerRow(), scale=1.0, weight=weight, auxiliary=ms.methods.ExactAuxiliary(), updates=0)
    z = MEANS[:1].expand(4, 2) + 0.3
    direction = step(method, class_prior(schedule), z, conditions=label_conditions())
    alpha, sigma = levels(schedule)
    assert torch.allclose(direction.weight, (formula(alpha, sigma) * alpha / sigma)[:, 0], rtol=1e-9)
    z_t = alpha * z + sigma * direction.eps
    target = (z_t - sigma * eps_of(POSITIVE, z_t, alpha, sigma)) / alpha
    assert torch.allclose(z - direction.grad / direction.weight[:, None], target, rtol=1e-7, atol=1e-6)


def test_clamped_entries_have_the_clamped_target():
    sds = ms.SDS(PerRow())
    plain, clamped = step(sds, class_prior(), Z), step(ms.methods.Debiased(sds, 0.05), class_prior(), Z)
    assert torch.equal(plain.weight, clamped.weight) and torch.equal(clamped.grad, plain.grad.clamp(-0.05, 0.05))
    assert not torch.equal(plain.grad, clamped.grad)
