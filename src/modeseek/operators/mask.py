"""Masks: the operators of inpainting."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.operators.base import Scale, per_row


@dataclass(frozen=True, eq=False)
class Mask:
    """Mask operator `A x = mask * x`: what it hides is 0 in y. `solve` divides by `a + b mask^2`, exactly.

    Attributes:
        mask: 1 (or True) where x is measured and 0 where it is not, or factors between; of the shape of an item or of
            one that broadcasts to it, as (h, w) for images (c, h, w).
    """

    mask: Tensor

    def __post_init__(self) -> None:
        if not self.mask.isfinite().all() or not (self.mask != 0).any():
            raise ValueError(
                "mask must be finite and measure something, got one that is 0 everywhere or not finite; "
                "try 1 where the image is known"
            )

    def __call__(self, x: Float[Tensor, "b *d"]) -> Float[Tensor, "b *d"]:
        return self._like(x) * x

    def adjoint(self, y: Float[Tensor, "b *d"]) -> Float[Tensor, "b *d"]:
        return self._like(y) * y

    def solve(self, rhs: Float[Tensor, "b *d"], a: Scale, b: Scale) -> Float[Tensor, "b *d"]:
        return rhs / (per_row(a, rhs) + per_row(b, rhs) * self._like(rhs) ** 2)

    def gain(self, residual: Float[Tensor, "b *d"], a: Scale, b: Scale) -> Float[Tensor, "b *d"]:
        mask = self._like(residual)
        return mask * residual / (per_row(a, residual) / per_row(b, residual) + mask**2)

    def _like(self, x: Tensor) -> Tensor:
        mask, shape = self.mask, tuple(x.shape[1:])
        fits = mask.ndim <= len(shape) and all(m in (1, n) for m, n in zip(mask.shape[::-1], shape[::-1], strict=False))
        if not fits:
            raise ValueError(
                f"mask must fit an item of shape {shape}, got {tuple(mask.shape)}; try its height and width"
            )
        return mask.to(device=x.device, dtype=x.dtype if x.is_floating_point() else torch.float64)


@dataclass(frozen=True, eq=False)
class RowMask(Mask):
    """Mask operator with a mask of its own for each row, such as photographs that show other parts each.

    Attributes:
        mask: 1 (or True) where x is measured and 0 where it is not, or factors between; (b, *d), where each axis but
            the first may be 1.
    """

    def select(self, rows: Int[Tensor, "r"]) -> RowMask:
        """Returns the masks of some rows."""
        return RowMask(self.mask[rows.to(self.mask.device)])

    def _like(self, x: Tensor) -> Tensor:
        mask = self.mask
        fits = mask.ndim == x.ndim and len(mask) == len(x)
        if not fits or any(m not in (1, n) for m, n in zip(mask.shape[1:], x.shape[1:], strict=True)):
            raise ValueError(
                f"a mask per row must fit {tuple(x.shape)}, got {tuple(mask.shape)}; try one of shape (b, 1, h, w)"
            )
        return mask.to(device=x.device, dtype=x.dtype if x.is_floating_point() else torch.float64)
