"""Backgrounds behind a rendered volume or mesh."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.rng import Rng, rand

BackgroundKind = Literal["constant", "random", "learned"]


class Background(nn.Module):
    """Background colour behind a volume or mesh.

    constant: one fixed colour. random: during optimisation one colour per item, uniform over the RGB cube, so that haze
    of the background colour is penalised; the constant colour otherwise. learned: a function of the ray direction, the
    sigmoid of a quadratic polynomial (nine coefficients per channel, as spherical harmonics of degree 2 have), too
    smooth to represent the object itself.

    Args:
        kind: constant, random or learned, see above.
        colour: constant colour (red, green, blue) in [0, 1], and the initial value of the learned background.
        like: tensor whose dtype and device the parameters take; default float32 on the CPU.

    Raises:
        ValueError: an unknown kind, or a colour outside [0, 1].
    """

    def __init__(
        self,
        kind: BackgroundKind = "constant",
        colour: tuple[float, float, float] = (1.0, 1.0, 1.0),
        like: Tensor | None = None,
    ) -> None:
        super().__init__()
        if kind not in ("constant", "random", "learned"):
            raise ValueError(f"a background kind must be constant, random or learned, got {kind!r}")
        if len(colour) != 3 or not all(0 <= c <= 1 for c in colour):
            raise ValueError(f"a background colour must be three numbers in [0, 1], got {colour}")
        like = torch.empty(0) if like is None else like
        self.kind: BackgroundKind = kind
        self.register_buffer("colour", like.new_tensor(colour))
        if kind == "learned":
            coefficients = like.new_zeros(9, 3)
            coefficients[0] = like.new_tensor(colour).clamp(0.02, 0.98).logit()
            self.raw = nn.Parameter(coefficients)

    def draw(self, n: int, rng: Rng) -> Float[Tensor, "n 3"] | None:
        """Samples one colour per item if the background is random, else returns None."""
        return rand((n, 3), rng, torch.empty(0)) if self.kind == "random" else None

    def forward(
        self, directions: Float[Tensor, "n s s 3"], backdrop: Float[Tensor, "n 3"] | None
    ) -> Float[Tensor, "n 3 #s #s"]:
        """Returns the background image, or a single pixel of it if it is uniform; `backdrop` overrides the colour."""
        if backdrop is not None:
            return backdrop.to(directions)[:, :, None, None]
        if self.kind == "learned":
            x, y, z = directions.unbind(-1)
            basis = torch.stack([torch.ones_like(x), x, y, z, x * y, y * z, z * x, x * x - y * y, 3 * z * z - 1], -1)
            return (basis @ self.raw).sigmoid().permute(0, 3, 1, 2)
        return self.get_buffer("colour").expand(len(directions), 3)[:, :, None, None]
