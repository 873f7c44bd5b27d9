"""Pictures as a generator might draw the same scene: out of place, blurred, noisy, in slightly other light."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

_SHIFT, _ZOOM = 0.12, 0.12  # of half the side; of the size
_NOISE, _BLUR = 0.04, 1.0  # standard deviations: of values; in pixels
_LIGHT, _TINT = 0.12, 0.04  # of contrast, brightness and saturation; of single channels


def augment(image: Float[Tensor, "b 3 s s"], rng: torch.Generator) -> Float[Tensor, "b 3 s s"]:
    """Other pictures of which the same caption is true; colours change less than their names do.

    Shifted and zoomed, then half of them blurred by a Gaussian, light and saturation varied, noise on half.

    Args:
        image: in [0, 1].
        rng: on the CPU.
    """
    b = len(image)

    def even(*shape: int, reach: float) -> Tensor:
        return (reach * (2 * torch.rand(b, *shape, generator=rng) - 1)).to(image)

    theta = torch.zeros(b, 2, 3).to(image)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 + even(reach=_ZOOM)
    theta[:, :, 2] = even(2, reach=_SHIFT)
    grid = functional.affine_grid(theta, list(image.shape), align_corners=False)
    image = functional.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
    image = _blurred(image, even(reach=_BLUR).clamp(min=0))
    gray = image.mean(1, keepdim=True)
    image = gray + (1 + even(1, 1, 1, reach=_LIGHT)) * (image - gray)
    image = 0.5 + (1 + even(1, 1, 1, reach=_LIGHT)) * (image - 0.5) + even(1, 1, 1, reach=_LIGHT / 2)
    image = image * (1 + even(3, 1, 1, reach=_TINT))
    noise = torch.randn(image.shape, generator=rng).to(image)
    return (image + even(1, 1, 1, reach=_NOISE).clamp(min=0) * noise).clamp(0, 1)


def _blurred(image: Tensor, width: Tensor) -> Tensor:
    """Each by its own Gaussian of five taps; width 0 leaves it as it is."""
    b, c = image.shape[:2]
    taps = torch.arange(-2.0, 3.0).to(image)
    kernel = torch.exp(-0.5 * (taps / width[:, None].clamp(min=1e-3)).square())
    kernel = (kernel / kernel.sum(-1, keepdim=True)).repeat_interleave(c, 0)[:, None]
    flat = functional.pad(image, (2, 2, 2, 2), mode="replicate").reshape(
        1, b * c, *(side + 4 for side in image.shape[2:])
    )
    flat = functional.conv2d(flat, kernel[:, :, None, :], groups=b * c)
    return functional.conv2d(flat, kernel[:, :, :, None], groups=b * c).view_as(image)
