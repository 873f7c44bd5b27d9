"""Muon on the weights of a network, against singular value decompositions in float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.bundled_priors.muon import DECAY, BatchedMuon, orthogonalize, split_parameters


def _even(matrix: torch.Tensor) -> torch.Tensor:
    """The matrix after five rounds of Jordan et al.'s quintic on its singular values."""
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    s = s / s.norm()
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return u @ torch.diag(s) @ v


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([(6, 40), (40, 6), (12, 12), (4, 2, 3, 3), (1, 5)]))
def test_momentum_decay_and_size_of_a_step(seed: int, shape: tuple[int, ...]) -> None:
    rng = torch.Generator().manual_seed(seed)
    p = torch.nn.Parameter(torch.randn(shape, generator=rng, dtype=torch.float64))
    muon = BatchedMuon([p], stretch=2.0, momentum=0.9)
    held, lr, rows = torch.zeros_like(p), 0.1, shape[0]
    for _ in range(3):
        (group,) = muon.param_groups
        group["lr"].fill_(lr)
        before, gradient = p.detach().clone(), torch.randn(shape, generator=rng, dtype=torch.float64)
        p.grad = gradient.clone()
        muon.step()
        held = 0.9 * held + 0.1 * gradient
        even = _even((0.1 * gradient + 0.9 * held).reshape(rows, -1)).reshape(shape)
        size = lr * 2.0 * 0.2 * math.sqrt(max(rows, p.numel() // rows))
        expected = before * (1 - lr * DECAY) - size * even
        assert torch.allclose(p.detach(), expected, atol=0.08 * size)  # its products are in bfloat16


def test_without_a_gradient_only_the_decay_is_left() -> None:
    p, still = torch.nn.Parameter(torch.ones(2, 3, 1)), torch.nn.Parameter(torch.ones(2, 3))
    muon = BatchedMuon([p, still], stretch=2.0)
    muon.param_groups[0]["lr"].fill_(0.5)
    p.grad = torch.zeros(2, 3, 1)
    muon.step()
    assert torch.allclose(p, torch.full((2, 3, 1), 1 - 0.5 * DECAY)) and torch.equal(still, torch.ones(2, 3))


def test_a_badly_scaled_long_matrix_stays_bounded() -> None:
    rng = torch.Generator().manual_seed(0)
    left, right = torch.randn(24, 24, generator=rng), torch.randn(24, 300, generator=rng)
    p = torch.nn.Parameter(torch.zeros(24, 300))
    p.grad = left @ torch.diag(torch.logspace(0, -6, 24)) @ right
    muon = BatchedMuon([p])
    muon.param_groups[0]["lr"].fill_(1.0)
    muon.step()
    assert torch.linalg.svdvals(p.detach()).max() / (0.2 * math.sqrt(300)) < 2


def test_threads_and_a_resumed_state_change_nothing() -> None:
    def run(threads: int, resumed: bool) -> torch.Tensor:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            rng = torch.Generator().manual_seed(3)
            ps = [torch.nn.Parameter(torch.randn(5, 9, generator=rng)) for _ in range(3)]
            muon = BatchedMuon(ps)
            for step in range(4):
                muon.param_groups[0]["lr"].fill_(0.1)
                if step == 2 and resumed:
                    held = muon.state_dict()
                    muon = BatchedMuon(ps)
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
    for weights in (others, [torch.zeros(4, 5).T]):
        with pytest.raises(ValueError, match="try AdamW"):
            BatchedMuon(weights)


def test_batches_of_equal_shapes_are_torchs_muon():
    """Ten matrices of three shapes beside `torch.optim.Muon`, one by one; both multiply in bfloat16."""
    rng = torch.Generator().manual_seed(5)
    shapes = [(6, 9)] * 4 + [(9, 6)] * 3 + [(8, 8)] * 2 + [(4, 3, 3, 3)]
    start = [torch.randn(shape, generator=rng) for shape in shapes]
    ours = [torch.nn.Parameter(p.clone()) for p in start]
    theirs = [torch.nn.Parameter(p.flatten(1).clone()) for p in start]
    muon, lr, stretch = BatchedMuon(ours, stretch=2.0), 0.05, 2.0
    muon.param_groups[0]["lr"].fill_(lr)
    torchs = torch.optim.Muon(
        theirs, lr=lr * stretch, weight_decay=DECAY / stretch, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    for step in range(5):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn(p.shape, generator=rng)
            q.grad = p.grad.flatten(1).clone()
        if step == 3:
            ours[0].grad = theirs[0].grad = None
        muon.step()
        torchs.step()
    for p, q in zip(ours, theirs, strict=True):
        size = lr * stretch * 0.2 * math.sqrt(max(q.shape))
        assert (p.detach().flatten(1) - q.detach()).abs().max() < 5 * 0.02 * size  # roundings of bfloat16, five steps
        assert (p.detach() - start[[*map(id, ours)].index(id(p))]).abs().max() > size


def test_a_batch_is_orthogonalized_matrix_by_matrix():
    rng = torch.Generator().manual_seed(6)
    matrices = torch.randn(3, 5, 12, generator=rng) * torch.tensor([1.0, 1e-3, 1e3])[:, None, None]
    for batch in (matrices, matrices.mT):
        for matrix, even in zip(batch, orthogonalize(batch), strict=True):
            assert torch.allclose(even, _even(matrix.double()).float(), atol=0.08)
    assert orthogonalize(torch.zeros(2, 3, 4)).abs().max() == 0
