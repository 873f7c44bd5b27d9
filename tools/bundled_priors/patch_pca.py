"""Fixed linear encoder of patch principal components, as weights of diffusers' tiny autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class PatchComponents:
    """First k principal components (Pearson 1901) of patches of p x p pixels in [-1, 1].

    A patch is a vector of 3 p^2 numbers in the order of `torch.pixel_unshuffle`: channel, row, column.

    Attributes:
        mean: mean patch.
        basis: orthonormal columns, largest variance first; the largest entry of each column is positive.
        spread: standard deviation along each component.
    """

    mean: Float[Tensor, "d"]
    basis: Float[Tensor, "d k"]
    spread: Float[Tensor, "k"]

    @property
    def scale(self) -> Float[Tensor, "k"]:
        """Scale `c spread^(-1/2)` of each component, c such that z has mean square 1: a partial whitening.

        Edges keep less variance than colours, so that noise hides them first, as in pixels.
        """
        root = self.spread.rsqrt()
        return root / (root * self.spread).square().mean().sqrt()


def patch_components(image: Float[Tensor, "n 3 h w"], patch: int, k: int) -> PatchComponents:
    """Principal components of non-overlapping patches of images in [0, 1], computed in float64."""
    rows = functional.pixel_unshuffle(2 * image.double() - 1, patch).movedim(1, -1).flatten(0, -2)
    mean = rows.mean(0)
    variance, basis = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
    variance, basis = variance.flip(0)[:k], basis.flip(1)[:, :k]
    sign = basis.gather(0, basis.abs().argmax(0, keepdim=True)).sign()
    return PatchComponents(mean.float(), (basis * sign).float(), variance.sqrt().float())


@torch.no_grad()
def write_encoder(vae: Any, components: PatchComponents) -> None:
    """Sets an `AutoencoderTiny` encoder to the linear map `scale basis^T (patch - mean)`.

    The first layer copies colours, each strided layer moves two neighbouring rows and columns into channels, the last
    layer is the basis. The encoder must have 3 p^2 channels and no blocks. All weights but the last bias are exact in
    half precision; the basis is rounded to it.

    Args:
        vae: autoencoder with scaling factor s, encodes z / s.
        components: principal components that define z.
    """
    first, *strided, last = vae.encoder.layers
    for weight in vae.encoder.parameters():
        weight.zero_()
    for colour in range(3):
        first.weight[colour, colour, 1, 1] = 1
    channels, width, offsets = 3, 1, [(0, 0)]  # offsets: position in a patch of this width of each channel of a colour
    for layer in strided:
        for c, down, right in product(range(channels), range(2), range(2)):
            layer.weight[4 * c + 2 * down + right, c, 1 + down, 1 + right] = 1
        offsets = [(y + width * down, x + width * right) for y, x in offsets for down in range(2) for right in range(2)]
        channels, width = 4 * channels, 2 * width
    flat = torch.tensor([y * width + x for y, x in offsets])
    order = (torch.arange(3)[:, None] * width**2 + flat).flatten()
    rows = (components.basis * components.scale / vae.config.scaling_factor).T
    rows = (2 * rows).half().float()  # the layers see pixels in [0, 1]
    last.weight[:, :, 1, 1] = rows[:, order]
    last.bias.copy_(-rows @ (components.mean + 1) / 2)
