"""Muon against singular value decompositions and a written-out AdamW, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.bundled_priors.muon import Muon, orthogonalize, split_parameters


def _quintic(s: torch.Tensor) -> torch.Tensor:
    """Five rounds on singular values alone."""
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return s


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([(6, 40), (40, 6), (12, 12), (12, 17), (1, 5)]))
def test_a_step_keeps_singular_vectors_and_evens_their_values(seed: int, shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    wanted = u @ torch.diag(_quintic(s / s.square().sum().sqrt())) @ v
    assert torch.allclose(orthogonalize(matrix), wanted, atol=0.05)  # products in bfloat16
    assert ((torch.linalg.svdvals(orthogonalize(matrix))[s > 0.1 * s.max()] - 0.95).abs() < 0.35).all()


def test_a_badly_scaled_long_matrix_stays_bounded() -> None:
    rng = torch.Generator().manual_seed(0)
    left, right = torch.randn(24, 24, generator=rng), torch.randn(24, 300, generator=rng)
    matrix = left @ torch.diag(torch.logspace(0, -6, 24)) @ right
    assert torch.linalg.svdvals(orthogonalize(matrix)).max() < 2  # 8 where the small product is in bfloat16


def test_momentum_decay_and_size_of_a_matrix_step() -> None:
    rng = torch.Generator().manual_seed(1)
    p = torch.nn.Parameter(torch.randn(4, 2, 3, 3, generator=rng, dtype=torch.float64))
    muon = Muon([p], [], lr=0.1, stretch=2.0, momentum=0.9, decay=0.05)
    held, expected = torch.zeros_like(p), p.detach().clone()
    for _ in range(3):
        gradient = torch.randn(p.shape, generator=rng, dtype=torch.float64)
        p.grad = gradient.clone()
        muon.step()
        held = 0.9 * held + gradient
        u, s, v = torch.linalg.svd((gradient + 0.9 * held).reshape(4, 18), full_matrices=False)
        even = u @ torch.diag(_quintic(s / s.norm())) @ v
        expected = expected * (1 - 0.1 * 0.05) - 0.1 * 2.0 * 0.2 * math.sqrt(18) * even.reshape(p.shape)
        assert torch.allclose(p.detach(), expected, atol=0.02)
        expected = p.detach().clone()


def test_what_is_no_matrix_is_moved_by_adamw() -> None:
    rng = torch.Generator().manual_seed(2)
    start = torch.randn(7, generator=rng, dtype=torch.float64)
    p, q = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    muon = Muon([], [p], lr=0.01, betas=(0.8, 0.95), decay=0.1)
    adam = torch.optim.AdamW([q], lr=0.01, betas=(0.8, 0.95), weight_decay=0.1)
    for _ in range(5):
        p.grad = q.grad = torch.randn(7, generator=rng, dtype=torch.float64)
        muon.step()
        adam.step()
    assert torch.allclose(p, q, atol=1e-12)


def test_threads_and_a_resumed_state_change_nothing() -> None:
    def run(threads: int, resumed: bool) -> torch.Tensor:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            rng = torch.Generator().manual_seed(3)
            ps = [torch.nn.Parameter(torch.randn(5, 9, generator=rng)) for _ in range(3)]
            muon = Muon(ps[:2], ps[2:], lr=0.1)
            for step in range(4):
                if step == 2 and resumed:
                    held = muon.state_dict()
                    muon = Muon(ps[:2], ps[2:], lr=0.1)
                    muon.load_state_dict(held)
                for p in ps:
                    p.grad = torch.randn(p.shape, generator=rng)
                muon.step()
            return torch.stack([p.detach() for p in ps])
        finally:
            torch.set_num_threads(before)

    plain = run(1, False)
    assert torch.equal(plain, run(2, False))
    assert torch.equal(plain, run(1, True))


def test_a_network_is_split_by_axes_and_by_name() -> None:
    net = torch.nn.ModuleDict({"conv_in": torch.nn.Conv2d(3, 4, 3), "body": torch.nn.Linear(4, 4)})
    matrices, others = split_parameters(net, plain=("conv_in",))
    assert [tuple(p.shape) for p in matrices] == [(4, 4)]
    assert len(others) == 3
    with pytest.raises(ValueError, match="listing it among others"):
        Muon(others, matrices, lr=0.1)
