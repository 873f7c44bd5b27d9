"""Operators of measurements against dense matrices: adjoints, closed-form solves, batches, and invalid input."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from modeseek.operators import Blur, Composition, Downsample, Linear, Mask, Matrix, Operator, Physics, check_adjoint
from modeseek.operators.conjugate_gradients import conjugate_gradients

G = torch.Generator().manual_seed(0)
IMAGE = (2, 8, 12)
MATRIX = torch.randn(3, 5, generator=G, dtype=torch.float64)
KERNEL = torch.rand(3, 4, generator=G, dtype=torch.float64)
MASK = (torch.rand(8, 12, generator=G) > 0.4).double() * torch.rand(2, 8, 12, generator=G, dtype=torch.float64)


class LookAlike:
    """Object with the two methods of `deepinv.physics.LinearPhysics`."""

    def A(self, x: Tensor) -> Tensor:  # noqa: N802 - deepinv's name
        return x @ MATRIX.mT

    def A_adjoint(self, y: Tensor) -> Tensor:  # noqa: N802 - deepinv's name
        return y @ MATRIX


OPERATORS: dict[str, tuple[Operator, tuple[int, ...]]] = {
    "mask": (Mask(MASK), IMAGE),
    "mask of one channel": (Mask(MASK[0] > 0), IMAGE),
    "blur": (Blur(KERNEL), IMAGE),
    "gaussian blur": (Blur.gaussian(0.8), IMAGE),
    "downsample": (Downsample(4), IMAGE),
    "blur and downsample": (Downsample(2, Blur(KERNEL)), IMAGE),
    "matrix": (Matrix(MATRIX), (5,)),
    "tall matrix": (Matrix(MATRIX.mT.contiguous()), (3,)),
    "linear": (Linear(lambda x: x @ MATRIX.mT, lambda y: y @ MATRIX, (5,), check=True), (5,)),
    "derived adjoint": (Linear(lambda x: x.flip(-1).cumsum(-1)[..., ::2], shape=IMAGE, check=True), IMAGE),
    "composition": (Composition(Mask(MASK[:, ::2, ::2] > 0), Downsample(2)), IMAGE),
    "physics": (Physics(LookAlike()), (5,)),
}


def dense(operator: Operator, shape: tuple[int, ...]) -> Tensor:
    """The matrix of an operator, one column per unit vector."""
    d = torch.Size(shape).numel()
    return operator(torch.eye(d, dtype=torch.float64).reshape(d, *shape)).flatten(1).mT


@pytest.mark.parametrize("name", OPERATORS)
def test_adjoint_and_solve_are_those_of_the_matrix(name: str) -> None:
    operator, shape = OPERATORS[name]
    matrix = dense(operator, shape)
    x = torch.randn(4, *shape, generator=G, dtype=torch.float64)
    y = operator(x)
    assert torch.allclose(y.flatten(1), x.flatten(1) @ matrix.mT, atol=1e-13)
    assert torch.allclose(operator.adjoint(y).flatten(1), y.flatten(1) @ matrix, atol=1e-12)
    assert operator.adjoint(y).shape == x.shape
    check_adjoint(operator, shape, 1e-12)
    a, b = torch.tensor([[1.0, 0.3, 2.0, 5.0], [0.1, 4.0, 30.0, 1e3]], dtype=torch.float64)
    normal = matrix.mT @ matrix
    expected = torch.linalg.solve(
        a[:, None, None] * torch.eye(len(normal)).double() + b[:, None, None] * normal, x.flatten(1)
    )
    assert torch.allclose(operator.solve(x, a, b).flatten(1), expected, rtol=1e-9, atol=1e-10)
    gained = operator.gain(y, a, b).flatten(1)
    rhs = b[:, None] * (y.flatten(1) @ matrix)
    assert torch.allclose(a[:, None] * gained + b[:, None] * (gained @ normal), rhs, rtol=1e-8, atol=1e-8)
    assert torch.allclose(operator.solve(x, 0.3, 4.0)[1].flatten(), expected[1], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", OPERATORS)
def test_a_batch_gives_what_its_rows_give(name: str) -> None:
    operator, shape = OPERATORS[name]
    x = torch.randn(3, *shape, generator=G, dtype=torch.float64)
    b = torch.tensor([0.1, 2.0, 50.0], dtype=torch.float64)
    together = operator.solve(x, 1.0, b)
    for row in range(3):
        alone = operator.solve(x[row : row + 1], 1.0, b[row : row + 1])
        assert torch.allclose(together[row], alone[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", OPERATORS)
def test_the_dtype_is_that_of_the_image(name: str) -> None:
    operator, shape = OPERATORS[name]
    if name in ("linear", "physics"):
        return  # functions of a float64 matrix
    x = torch.randn(2, *shape, generator=G)
    assert operator(x).dtype == operator.adjoint(operator(x)).dtype == operator.solve(x, 1.0, 2.0).dtype == x.dtype
    assert operator.gain(operator(x), 1.0, 2.0).dtype == x.dtype


@pytest.mark.parametrize("name", ["mask", "blur", "downsample", "blur and downsample", "matrix", "composition"])
def test_the_gain_of_data_that_are_kept_is_accurate_in_single_precision(name: str) -> None:
    operator, shape = OPERATORS[name]
    x = torch.randn(2, *shape, generator=G, dtype=torch.float64)
    if name == "mask":
        x = x * (MASK > 0.1)
    expected, rough = operator.gain(operator(x), 1.0, 1e5), operator.gain(operator(x).float(), 1.0, 1e5)
    assert torch.allclose(rough.double(), expected, atol=5e-3 if name == "blur" else 1e-4)


def test_a_downsampling_of_block_means_is_its_blur_and_every_pixel() -> None:
    x = torch.randn(1, *IMAGE, generator=G, dtype=torch.float64)
    kernel = torch.zeros(3, 3, dtype=torch.float64)
    kernel[:2, :2] = 0.25  # circular convolution flips the kernel: pixels i and i + 1
    box = Downsample(2, Blur(kernel))
    assert torch.allclose(box(x), Downsample(2)(x), atol=1e-14)


def test_a_blur_is_a_circular_convolution() -> None:
    x = torch.zeros(1, 1, 6, 6, dtype=torch.float64)
    x[0, 0, 0, 2] = 1
    kernel = torch.arange(9, dtype=torch.float64).reshape(3, 3)
    blurred = Blur(kernel)(x)[0, 0]
    assert torch.allclose(blurred.roll(1, 0)[:3, 1:4], kernel, atol=1e-14) and blurred.sum() == pytest.approx(36)
    assert Blur.gaussian(2.0).kernel.sum().item() == pytest.approx(1)


def test_conjugate_gradients_stop_at_zero_and_refuse_what_they_cannot_solve() -> None:
    assert torch.equal(conjugate_gradients(lambda x: 2 * x, torch.zeros(2, 3)), torch.zeros(2, 3))
    values = torch.logspace(0, 12, 30, dtype=torch.float64)
    with pytest.raises(ValueError, match="conjugate gradients must converge in 5 products, got a relative residual"):
        conjugate_gradients(lambda x: values * x, torch.ones(1, 30).double(), max_iterations=5)
    with pytest.raises(ValueError, match="must be finite"):
        conjugate_gradients(lambda x: x, torch.tensor([[float("nan")]]))


INVALID = [
    (lambda: Mask(torch.zeros(4, 4)), "mask must be finite and measure something, got one that is 0 everywhere"),
    (lambda: Mask(torch.ones(4, 5))(torch.ones(1, 3, 4, 4)), r"mask must fit an item of shape \(3, 4, 4\), got \(4,"),
    (lambda: Blur(torch.zeros(3, 3)), "kernel must be a finite matrix that is not 0 everywhere"),
    (lambda: Blur(torch.ones(3)), "kernel must be a finite matrix"),
    (lambda: Blur.gaussian(0.0), "sigma must be positive and finite, in pixels, got 0.0; try 1.5"),
    (lambda: Blur(torch.ones(9, 9))(torch.ones(1, 3, 8, 8)), r"kernel must fit the image, got 9 x 9 .*\(3, 8, 8\)"),
    (lambda: Downsample(0), "factor must be a whole number >= 1, got 0; try 4"),
    (lambda: Downsample(3)(torch.ones(1, 3, 8, 9)), r"factor must divide the height and width of the image, got 3"),
    (lambda: Downsample(4)(torch.ones(1, 8)), "factor must divide"),
    (lambda: Matrix(torch.zeros(2, 3)), r"matrix must be finite, of two axes and not 0 everywhere, got shape \(2, 3\)"),
    (lambda: Matrix(torch.ones(2, 3))(torch.ones(1, 4)), r"as many columns as an item has numbers, got \(2, 3\) for"),
    (lambda: Linear(lambda x: x), "shape must be that of an item where the adjoint is derived or checked, got none"),
    (lambda: Linear(lambda x: 2 * x, lambda y: y, (3,), check=True), "adjoint must satisfy <A x, y> = <x, A' y>, got"),
    (lambda: Linear(lambda x: x[:, :2], lambda y: y, (3,), check=True), r"adjoint must map \(2,\) to \(3,\), got"),
]  # fmt: skip


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("make", "words"), INVALID)
def test_invalid_input_is_one_line(make: object, words: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=words):
        make()


def test_physics_without_an_adjoint_is_refused() -> None:
    with pytest.raises(TypeError, match="physics must have the methods A and A_adjoint, got object without A and"):
        Physics(object())
