"""UCM: the inversion step by step and in the limit, and the progress at which it begins."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases_methods import (
    MEANS,
    NAMES,
    NULL,
    POSITIVE,
    VARIANCES,
    PerRow,
    Velocity,
    Z,
    class_prior,
    eps_of,
    label_conditions,
    levels,
    per_signal,
    step,
)
from cases_shift import generator
from scipy.integrate import solve_ivp

import modeseek as ms
from modeseek.methods.rfds import RFDS
from modeseek.methods.ucm import UCM


def inverted(steps: int, solver: str, label: int = POSITIVE) -> torch.Tensor:
    """The walk from Z to noise with the velocities of one class."""
    z, width, v = Z, 1 / steps, Velocity(label)
    for k in range(steps):
        slope = v(z, k * width)
        z = z + width * (v(z + width / 2 * slope, (k + 0.5) * width) if solver == "midpoint" else slope)
    return z


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize(("solver", "steps"), [("euler", 3), ("midpoint", 2), ("euler", 1)])
def test_ucm_walks_the_flow_whatever_the_schedule_and_looks_back_guided(schedule, solver, steps):
    method = UCM(PerRow(), ms.sigma_squared, 4.0, inversion_steps=steps, solver=solver)
    direction = step(method, class_prior(schedule), Z, conditions=label_conditions(negative=None))
    n = inverted(steps, solver)
    assert torch.allclose(direction.eps, n, rtol=0, atol=1e-11)
    alpha, sigma = levels(schedule)
    z_t = alpha * Z + sigma * n
    eps = 4 * eps_of(POSITIVE, z_t, alpha, sigma) - 3 * eps_of(NULL, z_t, alpha, sigma)
    expected = sigma**2 * per_signal(alpha, sigma) * (eps - n)
    assert torch.allclose(direction.grad, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2)])
def test_ucm_s_inversion_converges_to_the_closed_form_at_its_order(solver, order):
    """I7 at alpha = 0: the noise of z is `(z - mean) / std`. Guided, it is what an eighth-order integrator says."""

    def guided(s: float, flat: np.ndarray) -> np.ndarray:
        z = torch.from_numpy(flat).reshape(4, 2)
        return (1.5 * Velocity(POSITIVE)(z, s) - 0.5 * Velocity(NULL)(z, s)).flatten().numpy()

    far = solve_ivp(guided, (0.0, 1.0), Z.flatten().numpy(), method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
    ends = {1.0: (Z - MEANS[POSITIVE]) / VARIANCES[POSITIVE].sqrt(), 1.5: torch.from_numpy(far).reshape(4, 2)}
    for scale, exact in ends.items():
        errors = []
        for steps in (32, 64):
            method = UCM(PerRow(), scale=1.0, inversion_scale=scale, inversion_steps=steps, solver=solver)
            n = step(method, class_prior("Flow"), Z, conditions=label_conditions(negative=None)).eps
            errors.append(float((n - exact).norm()))
        assert errors[-1] < 0.1 * float(exact.norm())
        for coarse, fine in zip(errors[:-1], errors[1:], strict=True):
            # of one Gaussian, the midpoint rule's second-order term cancels between both ends
            assert 2**order * 0.85 <= coarse / fine <= 2**order * (1.15 if scale > 1 else 2.3)


def test_ucm_is_rfds_until_its_time_has_come():
    method = UCM(PerRow(), scale=3.0, since=0.5)
    guided = ms.Guided(class_prior(), 3.0)
    early = step(method, class_prior(), Z, conditions=label_conditions(negative=None), progress=0.49)
    rfds = step(RFDS(PerRow()), guided, Z, conditions=label_conditions(negative=None), progress=0.49)
    assert torch.equal(early.eps, rfds.eps) and torch.allclose(early.grad, rfds.grad, rtol=0, atol=1e-11)
    for progress in (0.5, 1.0):
        rng = generator()
        before = rng.get_state()
        late = step(method, class_prior(), Z, rng, conditions=label_conditions(negative=None), progress=progress)
        assert torch.allclose(late.eps, inverted(3, "euler"), rtol=0, atol=1e-11)
        assert torch.equal(rng.get_state(), before)
