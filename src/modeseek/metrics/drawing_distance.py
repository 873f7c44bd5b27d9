"""Distance of images to drawings, whatever their size and place: the nearest drawing of a set."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from modeseek.datasets.emoji.placement import IconPlacement, place
from modeseek.io.progress import Progress

_SIDE = 64  # pixels of the images compared
_POOL = 2  # pixels averaged along each axis before the comparison, which blurs them
_SCALES = (0.80, 0.86, 0.92, 0.98, 1.04)  # side of the drawing over the side of the image
_SHIFT = 1  # averaged pixels by which an image is moved along each axis
_BLOCK = 64  # drawings compared at a time
_WHITE = 1.0


@dataclass(frozen=True)
class NearestDrawings:
    """Drawings nearest to n images, the nearest first.

    Attributes:
        index: index of the drawing.
        distance: its distance, RMS in [0, 1].
    """

    index: Int[Tensor, "n k"]
    distance: Float[Tensor, "n k"]


def drawing_distances(
    images: Float[Tensor, "n 3 h w"], pixels: UInt8[Tensor, "m 4 s s"]
) -> Generator[Progress, None, Float[Tensor, "n m"]]:
    """Distance of each image to each drawing, least over placements of the drawing on white.

    `min_p sqrt(mean((shift_p(pool(image)) - pool(draw(drawing, p)))^2))` over 5 scales of 0.80 to 1.04 and 3 x 3 shifts
    by 2 of 64 pixels, for which the image's edge is repeated; `pool` averages 2 x 2 of 64 x 64 pixels, so that edges
    half a pixel off cost little. Drawings are upright. Costs 5 m renders and 45 n m products of 3,072 values.

    Args:
        images: images in [0, 1], of any size; they are resized to 64 x 64.
        pixels: drawings, straight alpha, on the device where distances are computed.

    Raises:
        ValueError: no image or no drawing.
    """
    if not len(images) or not len(pixels):
        raise ValueError(f"distances need images and drawings, got {len(images)} and {len(pixels)}; try one at least")
    resized = torch.nn.functional.interpolate(images.to(pixels.device), (_SIDE, _SIDE), mode="area")
    queries = torch.stack([shifted.flatten(1) for shifted in _shifts(_blur(resized))])  # shift, image, value
    squares = queries.square().sum(2, keepdim=True)
    parts: list[Tensor] = []
    for block in pixels.split(_BLOCK):
        drawn = torch.cat([_blur(_draw(block, scale)).flatten(1) for scale in _SCALES])
        square = squares + drawn.square().sum(1) - 2 * queries @ drawn.T
        least = square.view(len(queries), len(images), len(_SCALES), len(block)).amin((0, 2))
        parts.append((least.clamp(min=0) / queries.shape[2]).sqrt())
        yield Progress("comparing", min(len(pixels), _BLOCK * len(parts)), len(pixels))
    return torch.cat(parts, 1)


def nearest_drawings(distances: Float[Tensor, "n m"], k: int) -> NearestDrawings:
    """The k drawings at least distance from each image; fewer if the set is smaller."""
    nearest = distances.topk(min(k, distances.shape[1]), largest=False)
    return NearestDrawings(nearest.indices, nearest.values)


def _blur(images: Tensor) -> Tensor:
    """Averages of pixels, counted from white, so that squares of flat white images are exactly zero."""
    return _WHITE - torch.nn.functional.avg_pool2d(images, _POOL)


def _shifts(images: Tensor) -> Iterator[Tensor]:
    """The images, moved by every combination of shifts, with their edges repeated."""
    padded = torch.nn.functional.pad(images, [_SHIFT] * 4, mode="replicate")
    height, width = images.shape[2:]
    for down, across in itertools.product((0, _SHIFT, 2 * _SHIFT), repeat=2):
        yield padded[:, :, down : down + height, across : across + width]


def _draw(pixels: Tensor, scale: float) -> Tensor:
    """Images of drawings on white at one scale, centred."""
    white = torch.full((1, 3), _WHITE, device=pixels.device)
    return place(pixels, IconPlacement.centred(len(pixels), scale, pixels.device), white, _SIDE, samples=1)
