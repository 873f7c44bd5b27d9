"""Perceptual colour difference in CIELAB."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.export import srgb_to_linear

# Linear sRGB to XYZ (IEC 61966-2-1); the D65 white point is the sum of its columns.
_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))


def lab(image: Float[Tensor, "*b 3 h w"]) -> Float[Tensor, "*b 3 h w"]:
    """CIELAB (1976) of sRGB colours in [0, 1] under D65: L in [0, 100], a and b about within 100 of 0."""
    linear = srgb_to_linear(image)
    matrix = image.new_tensor(_XYZ)
    x, y, z = ((matrix / matrix.sum(1, keepdim=True)) @ linear.flatten(-2)).unflatten(-1, image.shape[-2:]).unbind(-3)
    e = 6 / 29
    x, y, z = (torch.where(t > e**3, t.clamp(min=e**3) ** (1 / 3), t / (3 * e * e) + 4 / 29) for t in (x, y, z))
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -3)


def delta_e(image: Float[Tensor, "*b 3 h w"], other: Float[Tensor, "*b 3 h w"]) -> Float[Tensor, "*b h w"]:
    """Euclidean distance in CIELAB (CIE 1976): about 2 is just noticeable, red to orange some 70."""
    return (lab(image) - lab(other)).norm(dim=-3)
