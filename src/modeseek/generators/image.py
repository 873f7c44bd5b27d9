"""Free pixels: every picture its own parameters."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from modeseek.rng import Rng
from modeseek.view import View


class Image(nn.Module):
    """n pictures whose pixels are optimised directly, each one item.

    Pixels are in [0, 1] where they start; nothing clips them, so that a gradient always reaches them.

    Args:
        pixels: (n, c, h, w), the starts; copied.
    """

    def __init__(self, pixels: Float[Tensor, "n c h w"]) -> None:
        super().__init__()
        if pixels.ndim != 4 or 0 in pixels.shape or not pixels.is_floating_point() or not pixels.isfinite().all():
            raise ValueError(
                f"pixels are finite and floating point (n, c, h, w): got {tuple(pixels.shape)} {pixels.dtype}; fix them"
            )
        self.pixels = nn.Parameter(pixels.detach().clone())

    def view(self, n: int, rng: Rng) -> View:
        """All pictures; n must be their number."""
        if n != len(self.pixels):
            raise ValueError(f"{len(self.pixels)} pictures are {len(self.pixels)} items: got batch={n}; match them")
        return View(items=tuple(range(n)))

    def forward(self, view: View) -> Float[Tensor, "n c h w"]:
        return self.pixels
