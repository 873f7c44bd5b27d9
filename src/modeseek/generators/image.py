"""Free pixels: every picture its own parameters, on one grid or on a pyramid of them."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from modeseek.generators.base import View
from modeseek.rng import Rng


class Image(nn.Module):
    """n pictures whose pixels are optimised directly, each one item.

    With `levels` L > 1 a picture is the sum of L grids, each half as fine as the one before and enlarged bilinearly:
    optimizers with a step per parameter (Adam) then move broad structure as fast as detail. Pixels are in [0, 1] where
    they start; nothing clips them, so that a gradient always reaches them.

    Args:
        pixels: (n, c, h, w), the starts; copied, onto the finest grid.
        levels: grids of the pyramid; 1 is plain pixels.
    """

    def __init__(self, pixels: Float[Tensor, "n c h w"], levels: int = 1) -> None:
        super().__init__()
        if pixels.ndim != 4 or 0 in pixels.shape or not pixels.is_floating_point() or not pixels.isfinite().all():
            raise ValueError(
                f"pixels are finite and floating point (n, c, h, w): got {tuple(pixels.shape)} {pixels.dtype}; fix them"
            )
        if levels < 1 or min(pixels.shape[2:]) < 2 ** (levels - 1):
            raise ValueError(
                f"a pyramid has at least one level, and no more than its sides can be halved: got {levels} for "
                f"{tuple(pixels.shape[2:])}; lower it"
            )
        self.pixels = nn.Parameter(pixels.detach().clone())
        n, c, h, w = pixels.shape
        self.coarser = nn.ParameterList(
            nn.Parameter(pixels.new_zeros(n, c, -(-h // 2**k), -(-w // 2**k))) for k in range(1, levels)
        )

    def view(self, n: int, rng: Rng) -> View:
        """All pictures; n must be their number."""
        return View(items=item_indices(self.pixels, n))

    def forward(self, view: View) -> Float[Tensor, "n c h w"]:
        image = select_items(self.pixels, view)
        for rows in self.coarser:
            grid = select_items(rows, view)
            image = image + nn.functional.interpolate(grid, image.shape[2:], mode="bilinear", align_corners=False)
        return image


class Latent(nn.Module):
    """n latents optimised directly in the prior's own space, each one item; no decoder stands in the way.

    Args:
        z: (n, *d), the starts; copied.
    """

    def __init__(self, z: Float[Tensor, "n *d"]) -> None:
        super().__init__()
        if z.ndim < 2 or not z.is_floating_point() or not z.isfinite().all():
            raise ValueError(f"latents are finite and floating point (n, *d): got {tuple(z.shape)} {z.dtype}; fix them")
        self.z = nn.Parameter(z.detach().clone())

    def view(self, n: int, rng: Rng) -> View:
        """All latents; n must be their number."""
        return View(items=item_indices(self.z, n))

    def forward(self, view: View) -> Float[Tensor, "n *d"]:
        return select_items(self.z, view)


def item_indices(rows: Sequence[object] | Tensor, n: int) -> tuple[int, ...]:
    """Numbers of all items; ValueError where n is not how many there are."""
    if n != len(rows):
        raise ValueError(f"{len(rows)} pictures are {len(rows)} items: got batch={n}; match them")
    return tuple(range(n))


def select_items(rows: Float[Tensor, "n *d"], view: View) -> Float[Tensor, "m *d"]:
    """A parameter's rows that belong to the view's items: itself where those are all, in order."""
    return rows if view.items == tuple(range(len(rows))) else rows[list(view.items)]
