"""Circular blur: the operator of deblurring."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from modeseek.operators.base import Scale, per_row


@dataclass(frozen=True, eq=False)
class Blur:
    """Circular convolution of each channel of an image with a kernel; the image continues periodically at its edges.

    `A x = F^-1 (K F x)` with the two-dimensional Fourier transform F, so that `solve` divides by `a + b |K|^2` exactly.
    Cost: two transforms each, O(n log n) for n pixels.

    Attributes:
        kernel: point spread function, (kh, kw), its centre at (kh // 2, kw // 2), no larger than the image; one that
            sums to 1 keeps the brightness.
    """

    kernel: Float[Tensor, "kh kw"]

    def __post_init__(self) -> None:
        if (
            self.kernel.ndim != 2
            or not self.kernel.numel()
            or not self.kernel.isfinite().all()
            or not (self.kernel != 0).any()
        ):
            raise ValueError(
                f"kernel must be a finite matrix that is not 0 everywhere, got shape {tuple(self.kernel.shape)}; "
                "try ms.Blur.gaussian(1.5)"
            )

    @classmethod
    def gaussian(cls, sigma: float) -> Blur:
        """Returns the blur by a Gaussian of standard deviation sigma > 0, pixels, cut off at 3 sigma, of sum 1.

        Raises:
            ValueError: sigma not positive and finite.
        """
        if not 0 < sigma < math.inf:
            raise ValueError(f"sigma must be positive and finite, in pixels, got {sigma}; try 1.5")
        reach = max(1, math.ceil(3 * sigma))
        x = torch.arange(-reach, reach + 1, dtype=torch.float64)
        profile = (-0.5 * (x / sigma) ** 2).exp()
        profile = profile / profile.sum()
        return cls(profile[:, None] * profile)

    def __call__(self, x: Float[Tensor, "b *c h w"]) -> Float[Tensor, "b *c h w"]:
        return _filter(x, self.transfer(x))

    def adjoint(self, y: Float[Tensor, "b *c h w"]) -> Float[Tensor, "b *c h w"]:
        return _filter(y, self.transfer(y).conj())

    def solve(self, rhs: Float[Tensor, "b *c h w"], a: Scale, b: Scale) -> Float[Tensor, "b *c h w"]:
        return _filter(rhs, 1 / (per_row(a, rhs) + per_row(b, rhs) * self.transfer(rhs).abs() ** 2))

    def gain(self, residual: Float[Tensor, "b *c h w"], a: Scale, b: Scale) -> Float[Tensor, "b *c h w"]:
        transfer, ratio = self.transfer(residual), per_row(a, residual) / per_row(b, residual)
        return _filter(residual, transfer.conj() / (ratio + transfer.abs() ** 2))

    def transfer(self, x: Tensor) -> Complex[Tensor, "h w"]:
        """Returns K, the Fourier transform of the kernel on the grid of x.

        Raises:
            ValueError: x is no image, or is smaller than the kernel.
        """
        (kh, kw), size = self.kernel.shape, x.shape[-2:]
        if x.ndim < 3 or kh > size[0] or kw > size[1]:
            raise ValueError(
                f"kernel must fit the image, got {kh} x {kw} for an item of shape {tuple(x.shape[1:])}; "
                "try a smaller kernel"
            )
        padded = torch.zeros(*size, dtype=x.dtype, device=x.device)
        padded[:kh, :kw] = self.kernel.to(x)
        return torch.fft.fft2(padded.roll((-(kh // 2), -(kw // 2)), (0, 1)))


def _filter(x: Tensor, response: Tensor) -> Tensor:
    return torch.fft.ifft2(torch.fft.fft2(x) * response).real
