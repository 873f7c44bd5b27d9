"""Distances of restored images to the true ones: PSNR, SSIM, and between features."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

_WINDOW = 7  # side of the windows of SSIM, pixels
_LEAST = 1e-10  # mean squared error below which PSNR is 100


def psnr(image: Float[Tensor, "n c h w"], truth: Float[Tensor, "n c h w"]) -> Float[Tensor, "n"]:
    """Peak signal-to-noise ratio of images in [0, 1], `-10 log10 MSE`, in decibels; at most 100."""
    return decibels((image - truth).square().mean((1, 2, 3)))


def decibels(error: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Peak signal-to-noise ratio of mean squared errors of pixels in [0, 1], `-10 log10 MSE`; at most 100."""
    return -10 * error.clamp(min=_LEAST).log10()


def ssim(image: Float[Tensor, "n c h w"], truth: Float[Tensor, "n c h w"]) -> Float[Tensor, "n"]:
    """Structural similarity of images in [0, 1] (Wang et al. 2004), mean over windows of 7 x 7 pixels and channels.

    With unbiased variances and constants 0.01 and 0.03, as `skimage.metrics.structural_similarity` computes it. At most
    1, for equal images.

    Raises:
        ValueError: images smaller than a window.
    """
    if min(image.shape[2:]) < _WINDOW:
        raise ValueError(f"SSIM needs images of at least {_WINDOW} pixels a side, got {tuple(image.shape[2:])}")
    x, y = image.double(), truth.double()
    count = _WINDOW**2

    def mean(values: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(values, _WINDOW, 1)

    a, b = mean(x), mean(y)
    unbiased = count / (count - 1)
    variance_x, variance_y = (unbiased * (mean(v * v) - m * m) for v, m in ((x, a), (y, b)))
    covariance = unbiased * (mean(x * y) - a * b)
    c1, c2 = 0.01**2, 0.03**2
    share = (2 * a * b + c1) * (2 * covariance + c2) / ((a * a + b * b + c1) * (variance_x + variance_y + c2))
    return share.mean((1, 2, 3)).to(image)


def relative_distance(features: Float[Tensor, "n d"], truth: Float[Tensor, "n d"]) -> Float[Tensor, "n"]:
    """Distance of features over the norm of those of the true image."""
    return (features - truth).norm(dim=1) / truth.norm(dim=1).clamp(min=torch.finfo(truth.dtype).tiny)
