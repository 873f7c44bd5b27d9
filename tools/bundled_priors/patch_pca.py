"""A fixed linear encoder: principal components of small patches, in the layers of diffusers' tiny autoencoder."""

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
    """The k directions along which patches of p x p pixels vary most (Pearson 1901), pixels in [-1, 1].

    A patch is a vector of 3 p^2 numbers in the order of `torch.pixel_unshuffle`: channel, row, column.

    Attributes:
        mean: of patches.
        basis: orthonormal columns, the largest variance first; the largest entry of a column is positive.
        spread: standard deviation along each.
    """

    mean: Float[Tensor, "d"]
    basis: Float[Tensor, "d k"]
    spread: Float[Tensor, "k"]

    @property
    def scale(self) -> Float[Tensor, "k"]:
        """`c spread^(-1/2)`, c so that z has mean square 1: between pixels' own variances and none at all.

        Edges then keep less variance than colours, so that noise hides them first, as it does in pixels.
        """
        root = self.spread.rsqrt()
        return root / (root * self.spread).square().mean().sqrt()


def patch_components(image: Float[Tensor, "n 3 h w"], patch: int, k: int) -> PatchComponents:
    """Those of pictures in [0, 1], each cut into patches that do not overlap; computed in float64."""
    rows = functional.pixel_unshuffle(2 * image.double() - 1, patch).movedim(1, -1).flatten(0, -2)
    mean = rows.mean(0)
    variance, basis = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
    variance, basis = variance.flip(0)[:k], basis.flip(1)[:, :k]
    sign = basis.gather(0, basis.abs().argmax(0, keepdim=True)).sign()
    return PatchComponents(mean.float(), (basis * sign).float(), variance.sqrt().float())


@torch.no_grad()
def write_encoder(vae: Any, components: PatchComponents) -> None:
    """Makes an `AutoencoderTiny` encode `scale basis^T (patch - mean)`, with nothing nonlinear in it.

    Its first layer copies colours, each strided one moves two neighbouring rows and columns into channels, the last
    one is the basis. It must have 3 p^2 channels and no blocks. All but the last bias are numbers that half precision
    holds as they are; the basis is rounded to such.

    Args:
        vae: of scaling factor s; what it encodes is z / s.
        told: what z shall be.
    """
    first, *strided, last = vae.encoder.layers
    for weight in vae.encoder.parameters():
        weight.zero_()
    for colour in range(3):
        first.weight[colour, colour, 1, 1] = 1
    channels, width, places = 3, 1, [(0, 0)]  # places: where in a patch of that width each channel of a colour lies
    for layer in strided:
        for c, down, right in product(range(channels), range(2), range(2)):
            layer.weight[4 * c + 2 * down + right, c, 1 + down, 1 + right] = 1
        places = [(y + width * down, x + width * right) for y, x in places for down in range(2) for right in range(2)]
        channels, width = 4 * channels, 2 * width
    flat = torch.tensor([y * width + x for y, x in places])
    order = (torch.arange(3)[:, None] * width**2 + flat).flatten()
    rows = (components.basis * components.scale / vae.config.scaling_factor).T
    rows = (2 * rows).half().float()  # the layers see pixels in [0, 1]
    last.weight[:, :, 1, 1] = rows[:, order]
    last.bias.copy_(-rows @ (components.mean + 1) / 2)
