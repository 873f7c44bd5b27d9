"""A prediction is the same however its network is parametrised, at every level."""

from __future__ import annotations

import pytest
import torch
from cases import F64, SCHEDULES, full, generator, mixture, one_line, points
from hypothesis import given
from hypothesis import strategies as st

import modeseek as ms

Prediction = ms.Prediction


def noised_point(alpha: float, sigma: float, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Returns a noised point with its level, z and eps, (4, 2, 3)."""
    z, eps = torch.randn(2, 4, 2, 3, generator=generator(seed), dtype=F64)
    return alpha * z + sigma * eps, full(4, alpha), full(4, sigma), z, eps


@given(alpha=st.floats(1e-2, 1), sigma=st.floats(1e-2, 100))
def test_every_parametrisation_agrees(alpha: float, sigma: float) -> None:
    z_t, a, s, z, eps = noised_point(alpha, sigma)
    built = [
        Prediction.from_z_and_eps(z_t, a, s, z, eps),
        Prediction.from_z(z_t, a, s, z),
        Prediction.from_eps(z_t, a, s, eps),
        Prediction.from_v(z_t, a, s, alpha * eps - sigma * z),
        Prediction.from_flow(z_t, a, s, eps - z),
    ]
    slack = 1e-13 * (1 + 1 / alpha) * (1 + 1 / sigma) * (1 + sigma)
    for p in built:
        for got, want in [
            (p.z, z),
            (p.eps, eps),
            (p.v, alpha * eps - sigma * z),
            (p.flow, eps - z),
            (p.score * sigma, -eps),
        ]:
            assert (got - want).abs().max() <= 20 * slack
        assert torch.equal(p.clamped, torch.zeros(4, dtype=torch.bool))


@pytest.mark.parametrize(("alpha", "sigma"), [(0.0, 1.0), (1.0, 0.0)])
def test_v_and_flow_give_both_halves_at_the_ends(alpha: float, sigma: float) -> None:
    z_t, a, s, z, eps = noised_point(alpha, sigma)
    for p in (
        Prediction.from_v(z_t, a, s, alpha * eps - sigma * z),
        Prediction.from_flow(z_t, a, s, eps - z),
    ):
        assert torch.allclose(p.z, z, rtol=0, atol=1e-15)
        assert torch.allclose(p.eps, eps, rtol=0, atol=1e-15)


def test_from_z_at_the_ends() -> None:
    z_t, a, s, z, eps = noised_point(0.0, 1.0)
    assert torch.equal(Prediction.from_z(z_t, a, s, z).eps, eps)
    z_t, a, s, z, _ = noised_point(1.0, 0.0)
    p = Prediction.from_z(z_t, a, s, z)
    assert torch.equal(p.eps, torch.zeros_like(z))
    z_t.requires_grad_()
    Prediction.from_z(z_t, a, s, z).eps.sum().backward()
    assert z_t.grad is not None and z_t.grad.isfinite().all()


def test_levels_may_differ_by_row() -> None:
    a, s = torch.tensor([1.0, 0.6, 0.0], dtype=F64), torch.tensor([0.0, 0.8, 1.0], dtype=F64)
    z, eps = torch.randn(2, 3, 5, generator=generator(), dtype=F64)
    z_t = a[:, None] * z + s[:, None] * eps
    p = Prediction.from_v(z_t, a, s, a[:, None] * eps - s[:, None] * z)
    assert torch.allclose(p.z, z, rtol=0, atol=1e-15) and torch.allclose(p.eps, eps, rtol=0, atol=1e-15)


def test_eps_gives_no_z_without_signal() -> None:
    z_t, _, s, _, eps = noised_point(0.0, 1.0)
    a = torch.tensor([0.5, 0.0, 0.5, 0.5], dtype=F64)
    with pytest.raises(ValueError, match="alpha = 0") as caught:
        Prediction.from_eps(z_t, a, s, eps)
    one_line(caught.value)


@pytest.mark.parametrize("name", [*SCHEDULES])
def test_tilt_adds_to_the_score_and_keeps_both_halves_consistent(name: str) -> None:
    prior = mixture("plane", SCHEDULES[name])
    z_t, drift = points(5, 2), points(5, 2, seed=1)
    p = prior(z_t, full(5, 0.6))
    q = p.tilt(drift)
    assert torch.allclose(q.score, p.score + drift, rtol=1e-12, atol=1e-12)
    again = q.alpha[:, None] * q.z + q.sigma[:, None] * q.eps
    assert torch.allclose(again, z_t, rtol=0, atol=1e-10)
    assert q.z_t is p.z_t and q.clamped is p.clamped


def test_tilt_without_signal_takes_only_a_silent_drift() -> None:
    z_t, a, s, z, eps = noised_point(0.0, 1.0)
    p = Prediction.from_z_and_eps(z_t, a, s, z, eps)
    assert torch.equal(p.tilt(torch.zeros_like(z)).z, z)
    with pytest.raises(ValueError, match="alpha = 0") as caught:
        p.tilt(torch.ones_like(z))
    one_line(caught.value)


def test_clamped_is_kept() -> None:
    z_t, a, s, z, eps = noised_point(0.6, 0.8)
    clamped = torch.tensor([True, False, True, False])
    for p in (
        Prediction.from_z(z_t, a, s, z, clamped),
        Prediction.from_eps(z_t, a, s, eps, clamped),
        Prediction.from_v(z_t, a, s, eps, clamped),
        Prediction.from_flow(z_t, a, s, eps, clamped),
    ):
        assert torch.equal(p.clamped, clamped)
        assert torch.equal(p.tilt(z).clamped, clamped)
