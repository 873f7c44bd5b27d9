"""Gaussian likelihood of a linear measurement, `y = A z + N(0, s^2)`: maximised exactly by one linear solve."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.diffusion.prediction import expand_like
from modeseek.operators.base import Operator, select_operator
from modeseek.operators.data_term import gaussian_log_prob, rows_like, select_data

_NO_NOISE = {torch.float64: 1e-6}  # noise that stands for none, over the root mean square of y
_CONTRADICTION = 1e-4  # relative distance of y from the range of the operator above which it contradicts it


@dataclass(frozen=True, eq=False)
class GaussianLikelihood:
    """Gaussian likelihood `log p(y | z) = -|A z - y|^2 / (2 s^2) - (e / 2) log(2 pi s^2)` of a linear measurement.

    `maximise` is one linear solve, exact: `center + r A' (I + r A A')^-1 (y - A center)`, `r = (h / s)^2`.
    `measured` checks the data and resolves a noise of 0.

    Attributes:
        operator: A.
        y: data, (b, *e), or (1, *e) for all rows.
        noise: s > 0, in units of y, (b,), or (1,) for all rows.
    """

    operator: Operator
    y: Float[Tensor, "n *e"]
    noise: Float[Tensor, "m"]

    @classmethod
    def measured(cls, operator: Operator, y: Float[Tensor, "n *e"], noise: float | Tensor) -> GaussianLikelihood:
        """Returns the likelihood of a measurement.

        Args:
            operator: A.
            y: data, (b, *e) or (1, *e), finite.
            noise: standard deviation of the noise, >= 0, one number or one per row. 0 keeps the data: the limit of
                little noise, 1e-6 of the root mean square of y in float64 and 1e-4 in float32.

        Raises:
            ValueError: data that are not finite, a negative noise, or a noise of 0 with data that no z gives.
        """
        s = check_noise(y, noise)
        if (s == 0).any():
            _check_consistent(operator, y)
        floor = _NO_NOISE.get(y.dtype, 1e-4) * y.square().mean().sqrt().clamp(min=1e-6)
        return cls(operator, y, torch.where(s == 0, floor, s))

    def log_prob(self, z: Float[Tensor, "b *d"]) -> Float[Tensor, "b"]:
        return gaussian_log_prob(self.operator(z) - rows_like(self.y, z), self.noise)

    def maximise(
        self, center: Float[Tensor, "b *d"], start: Float[Tensor, "b *d"], bandwidth: Float[Tensor, "b"]
    ) -> Float[Tensor, "b *d"]:
        """Returns the maximiser of `log p(y | z) - |z - center|^2 / (2 h^2)`."""
        ratio = (bandwidth / self.noise.to(center)) ** 2
        return center + self.operator.gain(rows_like(self.y, center) - self.operator(center), 1.0, ratio)

    def select(self, rows: Int[Tensor, "r"]) -> GaussianLikelihood:
        y, noise = select_data(self.y, rows), select_data(self.noise, rows)
        return GaussianLikelihood(select_operator(self.operator, rows), y, noise)

    def metric(self, bandwidth: Float[Tensor, "b"]) -> GaussianInnerProduct:
        return GaussianInnerProduct(self.operator, (bandwidth / self.noise.to(bandwidth)) ** 2)


@dataclass(frozen=True, eq=False)
class GaussianInnerProduct:
    """InnerProduct `I + r A'A` of a linear measurement, `r = (h / s)^2` per row."""

    operator: Operator
    ratio: Float[Tensor, "b"]

    def product(self, v: Float[Tensor, "b *d"]) -> Float[Tensor, "b *d"]:
        return v + expand_like(self.ratio, v) * self.operator.adjoint(self.operator(v))

    def solve(self, v: Float[Tensor, "b *d"]) -> Float[Tensor, "b *d"]:
        return self.operator.solve(v, 1.0, self.ratio)


def check_noise(y: Float[Tensor, "n *e"], noise: float | Tensor) -> Float[Tensor, "m"]:
    """Returns the noise of data, one number or one per row.

    Raises:
        ValueError: data that are not finite, a noise below 0 or not finite, or one of another number of rows.
    """
    if not y.isfinite().all():
        raise ValueError("y must be finite, got NaN or infinity; try a mask for what is missing")
    s = torch.as_tensor(noise, dtype=y.dtype, device=y.device)
    if s.ndim > 1 or not (s >= 0).all() or not s.isfinite().all():
        raise ValueError(f"noise must be at least 0 and finite, one number or one per row, got {noise}; try 0.05")
    s = s.reshape(-1)
    if len(s) != 1 and len(y) not in (1, len(s)):
        raise ValueError(f"noise must be one number or one per row of y ({len(y)}), got {len(s)} numbers")
    return s


def _check_consistent(operator: Operator, y: Float[Tensor, "n *e"]) -> None:
    """Raises ValueError unless some z has `A z = y`: the limit of regularised least squares reaches y."""
    data = y.double()
    pull = operator.adjoint(data)
    size = data.flatten(1).norm(dim=1).clamp(min=1e-30)
    gain = (pull.flatten(1).norm(dim=1) / size).square().clamp(min=1e-30)
    nearest = operator.gain(data, 1e-12 * gain, torch.ones_like(gain))
    distance = ((operator(nearest) - data).flatten(1).norm(dim=1) / size).max().item()
    if distance > _CONTRADICTION:
        raise ValueError(
            f"y must be data that the operator can give where noise is 0, got one at a relative distance of "
            f"{distance:.2g}; try noise=0.05, or data of 0 where a mask hides them"
        )
