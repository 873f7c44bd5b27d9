"""Masks of their own for each row, against the same rows one by one."""

from __future__ import annotations

import pytest
import torch

from modeseek.operators import Composition, Downsample, GaussianLikelihood, Mask, RowMask
from modeseek.operators.base import select_operator

G = torch.Generator().manual_seed(0)
MASKS = (torch.rand(3, 1, 8, 12, generator=G) > 0.4).double()
X = torch.randn(3, 2, 8, 12, generator=G, dtype=torch.float64)


def test_each_row_has_the_mask_of_its_own() -> None:
    operator, a, b = RowMask(MASKS), torch.tensor([1.0, 2.0, 0.5]).double(), 0.7
    single = [Mask(mask) for mask in MASKS]
    for k, one in enumerate(single):
        row = X[k : k + 1]
        assert torch.equal(operator(X)[k], one(row)[0]) and torch.equal(operator.adjoint(X)[k], one.adjoint(row)[0])
        assert torch.equal(operator.solve(X, a, b)[k], one.solve(row, a[k].item(), b)[0])
        assert torch.equal(operator.gain(X, a, b)[k], one.gain(row, a[k].item(), b)[0])


def test_a_likelihood_keeps_the_masks_of_its_rows() -> None:
    y = MASKS * torch.randn(3, 2, 8, 12, generator=G, dtype=torch.float64)
    rows = torch.tensor([2, 0, 2])
    for operator in (RowMask(MASKS), Composition(RowMask(MASKS), Mask(torch.ones(8, 12)))):
        whole = GaussianLikelihood.measured(operator, y, 0.3)
        assert torch.equal(whole.select(rows).log_prob(X[rows]), whole.log_prob(X)[rows])
        h = torch.full((3,), 0.5, dtype=torch.float64)
        assert torch.allclose(whole.select(rows).maximise(X[rows], X[rows], h), whole.maximise(X, X, h)[rows])


def test_operators_of_all_rows_are_their_own_selection() -> None:
    operator = Downsample(2)
    assert select_operator(operator, torch.tensor([0])) is operator


@pytest.mark.usefixtures("unchecked")
def test_other_shapes_are_refused() -> None:
    for shape in ((2, 2, 8, 12), (3, 2, 8, 10), (3, 8, 12)):
        with pytest.raises(ValueError, match=r"a mask per row must fit \(.*, got \(3, 1, 8, 12\)"):
            RowMask(MASKS)(torch.ones(shape))
