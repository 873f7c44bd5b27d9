"""What is behind a volume."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from modeseek.rng import Rng, rand

BackgroundKind = Literal["constant", "random", "learned"]


class Background(nn.Module):
    """A colour behind the volume.

    constant: always the same. random: a colour drawn for each item, uniform over the cube, while optimising, so that
    no haze of the background's colour pays; the constant one else. learned: a colour by the ray's direction, the
    sigmoid of a polynomial of degree two in it (nine numbers a channel, as spherical harmonics have): too smooth to
    paint the thing itself.

    Args:
        kind: see above.
        colour: red, green, blue of the constant one, and what the learned one starts from.
        like: dtype and device.

    Raises:
        ValueError: another kind, or a colour outside [0, 1].
    """

    def __init__(
        self, kind: BackgroundKind = "constant", colour: tuple[float, float, float] = (1.0, 1.0, 1.0), like: Tensor | None = None
    ) -> None:
        super().__init__()
        if kind not in ("constant", "random", "learned"):
            raise ValueError(f"a background is constant, random or learned: got {kind!r}; choose one")
        if len(colour) != 3 or not all(0 <= c <= 1 for c in colour):
            raise ValueError(f"a background colour is three numbers in [0, 1]: got {colour}; mend it")
        like = torch.empty(0) if like is None else like
        self.kind: BackgroundKind = kind
        self.register_buffer("colour", like.new_tensor(colour))
        if kind == "learned":
            first = like.new_zeros(9, 3)
            first[0] = like.new_tensor(colour).clamp(0.02, 0.98).logit()
            self.raw = nn.Parameter(first)

    def draw(self, n: int, rng: Rng) -> Float[Tensor, "n 3"] | None:
        """A colour an item where the background is random, else None."""
        return rand((n, 3), rng, torch.empty(0)) if self.kind == "random" else None

    def forward(
        self, directions: Float[Tensor, "n s s 3"], backdrop: Float[Tensor, "n 3"] | None
    ) -> Float[Tensor, "n 3 #s #s"]:
        """The picture behind, or one pixel of it where it is even."""
        if backdrop is not None:
            return backdrop.to(directions)[:, :, None, None]
        if self.kind == "learned":
            x, y, z = directions.unbind(-1)
            basis = torch.stack([torch.ones_like(x), x, y, z, x * y, y * z, z * x, x * x - y * y, 3 * z * z - 1], -1)
            return (basis @ self.raw).sigmoid().permute(0, 3, 1, 2)
        return self.get_buffer("colour").expand(len(directions), 3)[:, :, None, None]
