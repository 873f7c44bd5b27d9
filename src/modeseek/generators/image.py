"""Generators of free pixels and free latents: images as parameters, on one grid or an image pyramid."""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from modeseek.generators.base import BaseGenerator, View


class Image(BaseGenerator):
    """n images whose pixels are optimised directly, each one item.

    With `levels` L > 1 an image is the sum of L grids, each at half the resolution of the one before and upsampled
    bilinearly: optimizers with a step size per parameter (Adam) then move low frequencies as fast as detail. Initial
    pixels are in [0, 1]; they are never clipped, so that a gradient always reaches them.

    Args:
        pixels: initial images, (n, c, h, w); copied to the finest grid.
        levels: number of grids of the pyramid, >= 1; 1 is plain pixels.
    """

    def __init__(self, pixels: Float[Tensor, "n c h w"], levels: int = 1) -> None:
        super().__init__()
        if not isinstance(pixels, Tensor):
            raise TypeError(f"pixels must be a tensor (n, c, h, w), got {pixels!r:.40}; try torch.rand(1, 3, 64, 64)")
        if pixels.ndim != 4 or 0 in pixels.shape or not pixels.is_floating_point() or not pixels.isfinite().all():
            raise ValueError(
                f"pixels must be finite floating point (n, c, h, w), got {tuple(pixels.shape)} {pixels.dtype}"
            )
        if levels < 1 or min(pixels.shape[2:]) < 2 ** (levels - 1):
            raise ValueError(
                f"pyramid levels must be >= 1 and no more than the sides can be halved, got {levels} for "
                f"{tuple(pixels.shape[2:])}; use fewer levels"
            )
        self.pixels = nn.Parameter(pixels.detach().clone())
        n, c, h, w = pixels.shape
        self.coarser = nn.ParameterList(
            nn.Parameter(pixels.new_zeros(n, c, -(-h // 2**k), -(-w // 2**k))) for k in range(1, levels)
        )

    @property
    def n_items(self) -> int:
        return len(self.pixels)

    def forward(self, view: View) -> Float[Tensor, "n c h w"]:
        image = select_items(self.pixels, view)
        for parameter in self.coarser:
            grid = select_items(parameter, view)
            image = image + nn.functional.interpolate(grid, image.shape[2:], mode="bilinear", align_corners=False)
        return image


class Latent(BaseGenerator):
    """n latents optimised directly in the latent space of the prior, each one item, without a decoder.

    Args:
        z: initial latents, (n, *d); copied.
    """

    encodes: ClassVar[bool] = False

    def __init__(self, z: Float[Tensor, "n *d"]) -> None:
        super().__init__()
        if not isinstance(z, Tensor):
            raise TypeError(f"latents must be a tensor (n, *d), got {z!r:.40}; try torch.randn(1, *prior.shape)")
        if z.ndim < 2 or not z.is_floating_point() or not z.isfinite().all():
            raise ValueError(f"latents must be finite floating point (n, *d), got {tuple(z.shape)} {z.dtype}")
        self.z = nn.Parameter(z.detach().clone())

    @property
    def n_items(self) -> int:
        return len(self.z)

    def forward(self, view: View) -> Float[Tensor, "n *d"]:
        return select_items(self.z, view)


def select_items(rows: Float[Tensor, "n *d"], view: View) -> Float[Tensor, "m *d"]:
    """Returns the rows of a parameter that belong to the items of a view; no copy if those are all, in order."""
    return rows if view.items == tuple(range(len(rows))) else rows[list(view.items)]
