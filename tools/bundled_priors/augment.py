"""Image augmentation for the scene classifier: shift, zoom, blur, noise, light and colour."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

_SHIFT, _ZOOM = 0.12, 0.12  # largest shift, in half sides; largest relative change of size
_NOISE, _BLUR = 0.04, 1.0  # largest standard deviations: noise, in pixel values; blur, in pixels
_LIGHT, _TINT = 0.12, 0.04  # largest relative change: contrast, brightness and saturation; single channels


def augment(image: Float[Tensor, "b 3 s s"], rng: torch.Generator) -> Float[Tensor, "b 3 s s"]:
    """Augmented images for which the captions still hold; colours change too little to change their names.

    Shift and zoom, Gaussian blur on half of the images, varied light and saturation, noise on half of them.

    Args:
        image: images in [0, 1].
        rng: random generator on the CPU.
    """
    b = len(image)

    def uniform(*shape: int, bound: float) -> Tensor:
        return (bound * (2 * torch.rand(b, *shape, generator=rng) - 1)).to(image)

    theta = torch.zeros(b, 2, 3).to(image)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 + uniform(bound=_ZOOM)
    theta[:, :, 2] = uniform(2, bound=_SHIFT)
    grid = functional.affine_grid(theta, list(image.shape), align_corners=False)
    image = functional.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
    image = _blurred(image, uniform(bound=_BLUR).clamp(min=0))
    gray = image.mean(1, keepdim=True)
    image = gray + (1 + uniform(1, 1, 1, bound=_LIGHT)) * (image - gray)
    image = 0.5 + (1 + uniform(1, 1, 1, bound=_LIGHT)) * (image - 0.5) + uniform(1, 1, 1, bound=_LIGHT / 2)
    image = image * (1 + uniform(3, 1, 1, bound=_TINT))
    noise = torch.randn(image.shape, generator=rng).to(image)
    return (image + uniform(1, 1, 1, bound=_NOISE).clamp(min=0) * noise).clamp(0, 1)


def _blurred(image: Tensor, width: Tensor) -> Tensor:
    """Gaussian blur of five taps with a width per image; width 0 is the identity."""
    b, c = image.shape[:2]
    taps = torch.arange(-2.0, 3.0).to(image)
    kernel = torch.exp(-0.5 * (taps / width[:, None].clamp(min=1e-3)).square())
    kernel = (kernel / kernel.sum(-1, keepdim=True)).repeat_interleave(c, 0)[:, None]
    stacked = functional.pad(image, (2, 2, 2, 2), mode="replicate").reshape(
        1, b * c, *(side + 4 for side in image.shape[2:])
    )
    stacked = functional.conv2d(stacked, kernel[:, :, None, :], groups=b * c)
    return functional.conv2d(stacked, kernel[:, :, :, None], groups=b * c).view_as(image)
