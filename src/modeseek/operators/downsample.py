"""Reduction of the resolution of an image: the operator of super-resolution."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.operators.base import Scale, per_row
from modeseek.operators.blur import Blur


@dataclass(frozen=True, eq=False)
class Downsample:
    """Down-sampling by a whole factor f: the mean of each f x f block of pixels, or each f-th pixel of a blurred image.

    `solve` is exact. The block means satisfy `A A' = I / f^2`. With a blur, `A A'` is a circular convolution of the
    small image, whose transfer function is the mean of `|K|^2` over the f^2 frequencies that fold onto each of its own,
    and `(a I + b A'A)^-1 = (I - b A' (a I + b A A')^-1 A) / a` (Zhao et al. 2016, arXiv 1510.00143).

    Attributes:
        factor: f >= 1; it divides the height and width of the image.
        blur: blur before every f-th pixel is taken, from the first pixel on; None is the mean of blocks (area mean).
    """

    factor: int
    blur: Blur | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.factor, int) or self.factor < 1:
            raise ValueError(f"factor must be a whole number >= 1, got {self.factor}; try 4")

    def __call__(self, x: Float[Tensor, "b *c h w"]) -> Float[Tensor, "b *c p q"]:
        f, (height, width) = self.factor, x.shape[-2:]
        if x.ndim < 3 or height % f or width % f:
            raise ValueError(
                f"factor must divide the height and width of the image, got {f} for an item of shape "
                f"{tuple(x.shape[1:])}; try a common divisor"
            )
        if self.blur is not None:
            return self.blur(x)[..., ::f, ::f]
        return x.reshape(*x.shape[:-2], height // f, f, width // f, f).mean((-3, -1))

    def adjoint(self, y: Float[Tensor, "b *c p q"]) -> Float[Tensor, "b *c h w"]:
        f = self.factor
        if self.blur is None:
            return y.repeat_interleave(f, -2).repeat_interleave(f, -1) / f**2
        x = y.new_zeros(*y.shape[:-2], y.shape[-2] * f, y.shape[-1] * f)
        x[..., ::f, ::f] = y
        return self.blur.adjoint(x)

    def solve(self, rhs: Float[Tensor, "b *c h w"], a: Scale, b: Scale) -> Float[Tensor, "b *c h w"]:
        return (rhs - self.gain(self(rhs), a, b)) / per_row(a, rhs)

    def gain(self, residual: Float[Tensor, "b *c p q"], a: Scale, b: Scale) -> Float[Tensor, "b *c h w"]:
        ratio = per_row(a, residual) / per_row(b, residual)
        if self.blur is None:
            return self.adjoint(residual / (ratio + 1 / self.factor**2))
        folded = self._folded(self.blur, residual)
        return self.adjoint(torch.fft.ifft2(torch.fft.fft2(residual) / (ratio + folded)).real)

    def _folded(self, blur: Blur, y: Tensor) -> Float[Tensor, "p q"]:
        """Returns the transfer function of `A A'`, the mean of `|K|^2` over the frequencies that fold onto each."""
        f, (height, width) = self.factor, y.shape[-2:]
        power = blur.transfer(y.new_empty(1, 1, f * height, f * width)).abs() ** 2
        return power.reshape(f, power.shape[0] // f, f, power.shape[1] // f).mean((0, 2))
