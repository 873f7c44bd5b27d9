"""Linear operators of other code: functions, matrices, compositions, and physics objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.operators.base import IterativeOperator, Operator, Scale, check_adjoint, per_row, select_operator


class Linear(IterativeOperator):
    """Linear operator of two functions; `solve` by conjugate gradients.

    Args:
        forward: linear map x (b, *d) to y (b, *e), row by row, without a constant.
        adjoint: its adjoint, y to x; None derives it by automatic differentiation, and needs `shape`.
        shape: shape of an item x, without the batch axis.
        check: whether to check the adjoint by the dot-product test (`check_adjoint`), in float64; needs `shape`.

    Raises:
        ValueError: no shape where one is needed, or an adjoint that is not that of forward.
    """

    def __init__(
        self,
        forward: Callable[[Tensor], Tensor],
        adjoint: Callable[[Tensor], Tensor] | None = None,
        shape: tuple[int, ...] | None = None,
        check: bool = False,
    ) -> None:
        self._forward = forward
        if shape is None:
            if adjoint is None or check:
                raise ValueError(
                    "shape must be that of an item where the adjoint is derived or checked, got none; try "
                    "shape=prior.shape"
                )
        elif adjoint is None:
            adjoint = _derived(forward, shape)
        self._adjoint = adjoint
        if check and shape is not None:
            check_adjoint(self, shape)

    def __call__(self, x: Float[Tensor, "b *d"]) -> Float[Tensor, "b *e"]:
        return self._forward(x)

    def adjoint(self, y: Float[Tensor, "b *e"]) -> Float[Tensor, "b *d"]:
        return self._adjoint(y)


def _derived(forward: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    """Returns the adjoint of a linear map on items of a shape, by one backward pass."""

    def adjoint(y: Tensor) -> Tensor:
        with torch.enable_grad():
            x = y.new_zeros(len(y), *shape).requires_grad_()
            return torch.autograd.grad(forward(x), x, y, create_graph=y.requires_grad)[0]

    return adjoint


@dataclass(frozen=True, eq=False)
class Matrix:
    """Matrix as an operator on vectors; `solve` by its singular value decomposition, computed once.

    Attributes:
        matrix: A, (e, d), not 0 everywhere.
    """

    matrix: Float[Tensor, "e d"]

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or not self.matrix.isfinite().all() or not (self.matrix != 0).any():
            raise ValueError(
                f"matrix must be finite, of two axes and not 0 everywhere, got shape {tuple(self.matrix.shape)}"
            )

    def __call__(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b e"]:
        if x.ndim != 2 or x.shape[1] != self.matrix.shape[1]:
            raise ValueError(
                f"matrix must have as many columns as an item has numbers, got {tuple(self.matrix.shape)} for "
                f"{tuple(x.shape[1:])}"
            )
        return x @ self.matrix.to(x).mT

    def adjoint(self, y: Float[Tensor, "b e"]) -> Float[Tensor, "b d"]:
        return y @ self.matrix.to(y)

    def solve(self, rhs: Float[Tensor, "b d"], a: Scale, b: Scale) -> Float[Tensor, "b d"]:
        return (rhs - self.gain(rhs @ self.matrix.to(rhs).mT, a, b)) / per_row(a, rhs)

    def gain(self, residual: Float[Tensor, "b e"], a: Scale, b: Scale) -> Float[Tensor, "b d"]:
        left, values, right = (part.to(residual) for part in self._decomposition)
        ratio = per_row(a, residual) / per_row(b, residual)
        return ((residual @ left) * (values / (ratio + values**2))) @ right

    @cached_property
    def _decomposition(self) -> tuple[Tensor, Tensor, Tensor]:
        return torch.linalg.svd(self.matrix.double(), full_matrices=False)


@dataclass(frozen=True, eq=False)
class Composition(IterativeOperator):
    """Composition `A = outer inner` of two operators; `solve` by conjugate gradients.

    A masked blur takes hundreds to thousands of products, or fails, where noise is far below the bandwidth; `Measured`
    with `decode` solves less exactly and needs none of them.

    `Downsample(factor, Blur(kernel))` has a closed form; other orders and operators do not.

    Attributes:
        outer: operator that is applied last.
        inner: operator that is applied first.
    """

    outer: Operator
    inner: Operator

    def __call__(self, x: Float[Tensor, "b *d"]) -> Float[Tensor, "b *e"]:
        return self.outer(self.inner(x))

    def adjoint(self, y: Float[Tensor, "b *e"]) -> Float[Tensor, "b *d"]:
        return self.inner.adjoint(self.outer.adjoint(y))

    def select(self, rows: Int[Tensor, "r"]) -> Composition:
        """Returns the composition for some rows."""
        return Composition(select_operator(self.outer, rows), select_operator(self.inner, rows))


@dataclass(frozen=True, eq=False)
class Physics(IterativeOperator):
    """Linear physics of another library as an operator: its `A` and `A_adjoint`, as those of `deepinv.physics`.

    deepinv is not needed and not imported: any object with these two methods, on batches, will do. Its noise model is
    not read: pass the standard deviation to `Measured`. `solve` by conjugate gradients.

    Attributes:
        physics: object with `A(x)` and `A_adjoint(y)`, linear, on batches.
    """

    physics: Any

    def __post_init__(self) -> None:
        missing = [name for name in ("A", "A_adjoint") if not callable(getattr(self.physics, name, None))]
        if missing:
            raise TypeError(
                f"physics must have the methods A and A_adjoint, got {type(self.physics).__name__} without "
                f"{' and '.join(missing)}; try ms.Linear(forward, adjoint)"
            )

    def __call__(self, x: Float[Tensor, "b *d"]) -> Float[Tensor, "b *e"]:
        return self.physics.A(x)

    def adjoint(self, y: Float[Tensor, "b *e"]) -> Float[Tensor, "b *d"]:
        return self.physics.A_adjoint(y)
