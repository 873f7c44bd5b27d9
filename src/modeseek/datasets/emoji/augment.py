"""Training images of emoji: drawings at random places, sizes and angles on flat backgrounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from modeseek.datasets.emoji.captions import BACKGROUNDS
from modeseek.datasets.emoji.placement import IconPlacement, place

_SMALLEST, _LARGEST = 0.80, 1.04  # side of the drawing over the side of the image
_OFFSET = 0.06  # largest shift along an axis, half sides of the drawing
_TURNED, _LARGEST_ANGLE = 0.5, math.radians(7)
CANONICAL_SCALE = 0.94


@dataclass(frozen=True)
class AugmentedIcons:
    """Training images and their backgrounds.

    Attributes:
        image: images, [0, 1].
        background: index of the background colour in `BACKGROUNDS`; 0 is white.
    """

    image: Float[Tensor, "n 3 size size"]
    background: Int[Tensor, "n"]


def augment(
    pixels: UInt8[Tensor, "n 4 s s"], rng: torch.Generator, size: int = 64, white: float = 0.75
) -> AugmentedIcons:
    """Draws a training image of each drawing.

    Scale uniform in [0.80, 1.04], shift uniform within 3 % of the drawing's side along each axis, half of the drawings
    turned by an angle uniform within 7 degrees; the background is white, or else one of the nine other colours of
    `BACKGROUNDS`.

    Args:
        pixels: drawings, straight alpha, as `render_icons` gives them.
        rng: random generator on the device of `pixels`.
        size: side of the images, pixels.
        white: share of images on white, [0, 1].
    """
    n, device = len(pixels), pixels.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=rng, device=device)

    placement = IconPlacement(
        scale=_SMALLEST + (_LARGEST - _SMALLEST) * uniform(n),
        angle=_LARGEST_ANGLE * (2 * uniform(n) - 1) * (uniform(n) < _TURNED),
        offset=_OFFSET * (2 * uniform(n, 2) - 1),
    )
    colours = torch.tensor(list(BACKGROUNDS.values()), device=device) / 255
    other = torch.randint(1, len(BACKGROUNDS), (n,), generator=rng, device=device)
    background = torch.where(uniform(n) < white, 0, other)
    return AugmentedIcons(place(pixels, placement, colours[background], size), background)


def canonical(pixels: UInt8[Tensor, "n 4 s s"], size: int = 64) -> Float[Tensor, "n 3 size size"]:
    """Draws each drawing upright and centred on white, at a scale of 0.94: the held-out form of training images."""
    white = torch.ones(1, 3, device=pixels.device)
    return place(pixels, IconPlacement.centred(len(pixels), CANONICAL_SCALE, pixels.device), white, size)
