"""Points as three coordinate columns, the layout in which distance functions are fastest."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class SDFPoints(NamedTuple):
    """m points or directions, one contiguous tensor per coordinate."""

    x: Float[Tensor, "m"]
    y: Float[Tensor, "m"]
    z: Float[Tensor, "m"]

    def minus(self, x: float, y: float, z: float) -> SDFPoints:
        """Points minus (x, y, z); a zero coordinate costs nothing."""
        return SDFPoints(
            self.x - constant(x) if x else self.x,
            self.y - constant(y) if y else self.y,
            self.z - constant(z) if z else self.z,
        )

    def dot(self, x: float, y: float, z: float) -> Float[Tensor, "m"]:
        """Inner products with (x, y, z)."""
        return self.x * x + self.y * y + self.z * z


def hypotenuse(a: Float[Tensor, "m"], b: Float[Tensor, "m"]) -> Float[Tensor, "m"]:
    """sqrt(a^2 + b^2)."""
    return (a * a).addcmul_(b, b).sqrt_()


@cache
def constant(value: float) -> Float[Tensor, ""]:
    """Scalar tensor of a constant: torch adds it in less than half the time of a Python number."""
    return torch.tensor(value, dtype=torch.float32)
