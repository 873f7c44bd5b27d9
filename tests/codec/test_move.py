"""Moves of images: closed forms of shift and scaling, exact copies, and their adjoint."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modeseek.codec import Move

F64 = torch.float64


def random_image(height: int = 7, width: int = 9, seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 3, height, width, dtype=F64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("down", "right"), list(itertools.product((-3, -1, 0, 2), (-2, 0, 1, 3))))
def test_a_single_bright_pixel_moves_by_exactly_the_shift(down, right):
    image = torch.zeros(1, 1, 9, 11, dtype=F64)
    image[0, 0, 4, 5] = 0.7
    moved = Move(down, right)(image)
    assert moved[0, 0].nonzero().tolist() == [[4 + down, 5 + right]] and moved.sum() == 0.7


@given(st.integers(-6, 6), st.integers(-8, 8))
def test_the_edge_is_repeated_where_pixels_come_in(down, right):
    """NumPy's edge padding, and a window of it."""
    image = random_image()
    padded = np.pad(image.numpy(), ((0, 0), (0, 0), (6, 6), (8, 8)), mode="edge")
    assert np.array_equal(Move(down, right)(image).numpy(), padded[..., 6 - down : 13 - down, 8 - right : 17 - right])


def test_an_image_that_does_not_move_is_returned_as_it_is():
    image = random_image()
    assert Move()(image) is image


def test_whole_pixels_are_copied_bit_for_bit():
    """Also values that no arithmetic would survive: a sum with weights of 0 would turn infinity into NaN."""
    image = torch.tensor([[1e-45, 3e38, float("inf")], [-0.0, 0.1, -float("inf")], [7.0, 1e30, 0.3]])[None, None]
    moved = Move(1, -1)(image)
    assert torch.equal(moved[0, 0, 1:, :2].view(torch.int32), image[0, 0, :2, 1:].view(torch.int32))


@pytest.mark.parametrize("move", [Move(2, -3), Move(-1, 2, 1.07), Move(0, 0, 0.93), Move(3, 1, 1.0)])
def test_the_gradient_is_the_adjoint(move):
    """`<M x, y> = <x, M' y>`, and finite differences: M is linear, so that one step of size 1 is exact."""
    x, y = random_image(seed=1).requires_grad_(), random_image(seed=2)
    (adjoint,) = torch.autograd.grad((move(x) * y).sum(), x)
    assert torch.allclose((move(x) * y).sum(), (x * adjoint).sum(), rtol=1e-13)
    for index in ((0, 0, 0, 0), (1, 2, 3, 4), (0, 1, 6, 8)):
        step = torch.zeros_like(y)
        step[index] = 1.0
        difference = ((move(x.detach() + step) - move(x.detach())) * y).sum()
        assert torch.allclose(difference, adjoint[index], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("move", [Move(0, 0, 1.04), Move(2, -1, 0.95), Move(-3, 3, 1.1)])
def test_scaling_is_exact_for_quadratics(move):
    """`out(i) = f(c + (i - c - shift) / factor)`: cubic convolution reproduces polynomials up to degree 2."""

    def polynomial(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return 0.3 + 0.2 * y - 0.1 * x + 0.01 * y * y - 0.02 * x * x + 0.015 * x * y

    rows, columns = np.mgrid[0:24, 0:30].astype(float)
    image = torch.from_numpy(polynomial(rows, columns))[None, None]
    source_rows = 11.5 + (rows - 11.5 - move.down) / move.factor
    source_columns = 14.5 + (columns - 14.5 - move.right) / move.factor
    inside = (source_rows >= 1) & (source_rows <= 22) & (source_columns >= 1) & (source_columns <= 28)
    difference = np.abs(move(image)[0, 0].numpy() - polynomial(source_rows, source_columns))
    assert inside.sum() > 400 and difference[inside].max() < 1e-11


def test_a_constant_image_stays_constant_when_it_is_scaled():
    for factor in (0.8, 0.96, 1.03):
        image = torch.full((1, 3, 12, 12), 0.4, dtype=F64)
        assert torch.allclose(Move(2, -2, factor)(image), image, rtol=1e-14)


def test_a_factor_above_one_enlarges():
    """The width of a bar at half its height."""
    image = torch.zeros(1, 1, 64, 64, dtype=F64)
    image[..., 16:48] = 1.0
    widths = [Move(0, 0, factor)(image)[0, 0, 0].sum().item() for factor in (0.9, 1.0, 1.1)]
    assert widths == pytest.approx([28.8, 32.0, 35.2], abs=0.05)


def test_a_shift_as_large_as_the_image_is_refused():
    for move in (Move(7, 0), Move(0, -9)):
        with pytest.raises(ValueError, match="smaller than the image of 7 x 9 pixels, got") as caught:
            move(random_image())
        assert "\n" not in str(caught.value)
