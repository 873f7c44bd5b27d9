"""Protocol of linear measurement operators, and what those without a closed form share."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.operators.conjugate_gradients import conjugate_gradients
from modeseek.rng import Streams, randn

Scale = float | Float[Tensor, "b"]
"""Positive number: one for all rows, or one per row."""


@runtime_checkable
class Operator(Protocol):
    """Linear operator A of a measurement `y = A x + noise`, row by row: x (b, *d) to y (b, *e)."""

    def __call__(self, x: Float[Tensor, "b *d"]) -> Float[Tensor, "b *e"]:
        """Returns `A x`."""
        ...

    def adjoint(self, y: Float[Tensor, "b *e"]) -> Float[Tensor, "b *d"]:
        """Returns `A' y`, with `<A x, y> = <x, A' y>`."""
        ...

    def solve(self, rhs: Float[Tensor, "b *d"], a: Scale, b: Scale) -> Float[Tensor, "b *d"]:
        """Returns the x with `(a I + b A'A) x = rhs`, for a > 0 and b > 0."""
        ...

    def gain(self, residual: Float[Tensor, "b *e"], a: Scale, b: Scale) -> Float[Tensor, "b *d"]:
        """Returns `b A' (a I + b A A')^-1 residual = (a I + b A'A)^-1 b A' residual`, the Kalman gain.

        It is accurate where b / a is large, where `solve` amplifies the rounding of what A does not see.
        """
        ...


@runtime_checkable
class RowOperator(Protocol):
    """Operator with data of each row, beside `Operator`; others treat all rows alike."""

    def select(self, rows: Int[Tensor, "r"]) -> Operator:
        """Returns the operator of some rows."""
        ...


def select_operator(operator: Operator, rows: Int[Tensor, "r"]) -> Operator:
    """Returns the operator of some rows, which is the operator itself where all rows are treated alike."""
    return operator.select(rows) if isinstance(operator, RowOperator) else operator


class IterativeOperator:
    """Base class of operators without a closed form: `solve` and `gain` by conjugate gradients.

    Two applications of A and A' an iteration; to a relative residual of 1e-12 in float64 and 1e-6 in float32.
    """

    def solve(self: Operator, rhs: Float[Tensor, "b *d"], a: Scale, b: Scale) -> Float[Tensor, "b *d"]:
        first, second = per_row(a, rhs), per_row(b, rhs)
        return conjugate_gradients(lambda x: first * x + second * self.adjoint(self(x)), rhs)

    def gain(self: Operator, residual: Float[Tensor, "b *e"], a: Scale, b: Scale) -> Float[Tensor, "b *d"]:
        ratio = per_row(a, residual) / per_row(b, residual)
        return self.adjoint(conjugate_gradients(lambda y: ratio * y + self(self.adjoint(y)), residual))


def per_row(scale: Scale, x: Float[Tensor, "b *d"]) -> Tensor:
    """Returns a scale as a tensor that multiplies the rows of x."""
    return torch.as_tensor(scale, dtype=x.dtype, device=x.device).reshape(-1, *(1,) * (x.ndim - 1))


def check_adjoint(operator: Operator, shape: tuple[int, ...], tolerance: float = 1e-6) -> None:
    """Checks `<A x, y> = <x, A' y>` on random float64 points x of a shape and y of that of `A x`.

    Raises:
        ValueError: the two differ by more than the tolerance, relative to `|A x| |y| + |x| |A' y|`.
    """
    streams, like = Streams(0, use="adjoint"), torch.empty(0, dtype=torch.float64)
    x = randn((1, *shape), streams, like)
    image = operator(x)
    y = randn(tuple(image.shape), streams, like)
    back = operator.adjoint(y)
    if back.shape != x.shape:
        raise ValueError(
            f"adjoint must map {tuple(image.shape[1:])} to {shape}, got {tuple(back.shape[1:])}; try adjoint=None"
        )
    left, right = (image * y).sum(), (x * back).sum()
    scale = image.norm() * y.norm() + x.norm() * back.norm()
    if not (left - right).abs() <= tolerance * scale:
        raise ValueError(
            f"adjoint must satisfy <A x, y> = <x, A' y>, got {left.item():.6g} and {right.item():.6g}; "
            "try adjoint=None, which derives it"
        )
