"""Protocol of data terms: log-likelihoods log p(y | z) of a measurement, and their inner maximisation."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor


@runtime_checkable
class DataTerm(Protocol):
    """Data term: the log-likelihood `log p(y | z)` of a measurement y; rows are independent."""

    def log_prob(self, z: Float[Tensor, "b *d"]) -> Float[Tensor, "b"]:
        """Returns `log p(y | z)` of each row."""
        ...

    def maximise(
        self, center: Float[Tensor, "b *d"], start: Float[Tensor, "b *d"], bandwidth: Float[Tensor, "b"]
    ) -> Float[Tensor, "b *d"]:
        """Returns points at which `log p(y | z) - |z - center|^2 / (2 h^2)` is no lower than at `start`."""
        ...

    def select(self, rows: Int[Tensor, "r"]) -> DataTerm:
        """Returns the term of some rows; what all rows share stays."""
        ...

    def metric(self, bandwidth: Float[Tensor, "b"]) -> InnerProduct | None:
        """Returns `I - h^2 Hessian of log p(y | z)` where it is the same for every z, else None."""
        ...


def rows_like(y: Float[Tensor, "n *e"], z: Float[Tensor, "b *d"]) -> Float[Tensor, "n *e"]:
    """Returns data with the dtype and on the device of z.

    Raises:
        ValueError: neither one row nor as many as z.
    """
    if len(y) not in (1, len(z)):
        raise ValueError(
            f"y must have one row or as many as z, got {len(y)} for {len(z)} points; try y[:1], one for all"
        )
    return y.to(z)


def gaussian_log_prob(residual: Float[Tensor, "b *e"], noise: Float[Tensor, "m"]) -> Float[Tensor, "b"]:
    """Returns `-|residual|^2 / (2 s^2) - (e / 2) log(2 pi s^2)` of each row, s one number or one per row."""
    flat, s = residual.flatten(1), noise.to(residual)
    return -0.5 * (flat.square().sum(1) / s**2 + flat.shape[1] * (2 * math.pi * s**2).log())


def select_data(data: Float[Tensor, "n *e"], rows: Int[Tensor, "r"]) -> Float[Tensor, "k *e"]:
    """Returns the rows of data, or the one row that stands for all."""
    return data if len(data) == 1 else data[rows]


@runtime_checkable
class InnerProduct(Protocol):
    """Symmetric positive definite linear map B on points, and its inverse; row by row."""

    def product(self, v: Float[Tensor, "b *d"]) -> Float[Tensor, "b *d"]:
        """Returns `B v`."""
        ...

    def solve(self, v: Float[Tensor, "b *d"]) -> Float[Tensor, "b *d"]:
        """Returns `B^-1 v`."""
        ...
