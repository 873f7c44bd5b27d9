"""Image statistics without a network: saturation, clipping, sharpness."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def saturation(image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n"]:
    """Mean HSV saturation, `1 - min / max` over the channels, in [0, 1]; 0 for black."""
    high, low = image.amax(1), image.amin(1)
    return torch.where(high > 0, (high - low) / high.clamp(min=1e-12), 0.0).mean((1, 2))


def clipped_fraction(image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n"]:
    """Share of channel values that are 0 or 255 in 8 bits, in [0, 1]."""
    levels = (255 * image).round()
    return ((levels <= 0) | (levels >= 255)).to(image.dtype).mean((1, 2, 3))


def sharpness(image: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n"]:
    """Root mean square of the Laplacian of the luma, from edges and noise alike; 0 below 3 x 3 pixels."""
    if min(image.shape[2:]) < 3:
        return image.new_zeros(len(image))
    luma = (image * image.new_tensor(_LUMA)[:, None, None]).sum(1)
    inner = luma[:, 1:-1, 1:-1]
    around = luma[:, :-2, 1:-1] + luma[:, 2:, 1:-1] + luma[:, 1:-1, :-2] + luma[:, 1:-1, 2:]
    return (around - 4 * inner).square().mean((1, 2)).sqrt()


def edges_on_grid(image: Float[Tensor, "n c h w"], period: int) -> Float[Tensor, "n"]:
    """Mean absolute step between neighbouring pixels across the lines of a grid, over that elsewhere.

    The lines lie between pixels k - 1 and k where `period` divides k, rows and columns alike: the borders of the
    patches of an encoder. 1 where edges do not follow the grid; `period` is at least 2 and below both sides.
    """
    if not 2 <= period < min(image.shape[2:]):
        raise ValueError(
            f"the period of a grid must be at least 2 and below the image's sides {tuple(image.shape[2:])}, got "
            f"{period}; try the encoder's patch side"
        )
    on, off = [], []
    for axis in (2, 3):
        steps = image.diff(dim=axis).abs().mean((1, 5 - axis))  # (n, sides - 1)
        grid = torch.arange(1, image.shape[axis], device=image.device) % period == 0
        on.append(steps[:, grid])
        off.append(steps[:, ~grid])
    return torch.cat(on, 1).mean(1) / torch.cat(off, 1).mean(1).clamp(min=1e-12)
