"""Degradations of images: operators and the images that they leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.operators import Blur, Downsample, Mask, Operator
from modeseek.rng import Streams

_HIDDEN = 0.7  # share of random pixels that is hidden
_FACTOR = 4
_GREY = 0.5  # of hidden pixels in a degraded image


@dataclass(frozen=True)
class Degradation:
    """Degradation of square images.

    Attributes:
        name: name on the command line, in files and tables.
        title: display title.
        make: operator of images of a side, in pixels, from a random seed.
        show: image of a measurement, of the size of the true one.
    """

    name: str
    title: str
    make: Callable[[int, int], Operator]
    show: Callable[[Operator, Tensor], Float[Tensor, "n c h w"]]


def _box(side: int, seed: int) -> Operator:
    mask = torch.ones(side, side)
    mask[side // 4 : side // 4 + side // 2, side // 4 : side // 4 + side // 2] = 0
    return Mask(mask)


def _pixels(side: int, seed: int) -> Operator:
    rng = Streams(seed, use="mask").generator(0, torch.device("cpu"))
    hidden = torch.randperm(side * side, generator=rng)[: round(_HIDDEN * side * side)]
    mask = torch.ones(side * side)
    mask[hidden] = 0
    return Mask(mask.reshape(side, side))


def _blur(side: int, seed: int) -> Operator:
    return Blur.gaussian(max(side / 32, 0.75))


def _fill(operator: Operator, y: Tensor) -> Tensor:
    """Masked image with grey where it is hidden."""
    return y + _GREY * (1 - operator(torch.ones_like(y)))


def _enlarge(operator: Operator, y: Tensor) -> Tensor:
    return y.repeat_interleave(_FACTOR, -2).repeat_interleave(_FACTOR, -1)


DEGRADATIONS = {
    item.name: item
    for item in (
        Degradation("box", "Box", _box, _fill),
        Degradation("pixels", "Random pixels", _pixels, _fill),
        Degradation("downsample", "Down-sampling x4", lambda side, seed: Downsample(_FACTOR), _enlarge),
        Degradation("blur", "Blur", _blur, lambda operator, y: y),
    )
}
"""Degradations by name: half the side in the middle hidden, 70 % of the pixels hidden, means of 4 x 4 pixels, and a
Gaussian blur of side / 32 pixels, at least 0.75."""
