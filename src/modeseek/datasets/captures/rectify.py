"""Photographs resampled as a square pinhole camera at their place sees them that looks at the origin."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.captures.capture import PosedPhotograph
from modeseek.datasets.captures.framing import Framing
from modeseek.generators.camera import Cameras
from modeseek.io.image_files import image_file_size, read_image_file

_FINEST = 4  # samples along a pixel


class Rectified(NamedTuple):
    """Photograph as another camera at its place sees it.

    Attributes:
        image: image in [0, 1].
        seen: 1 where the photograph shows the whole pixel and its mask counts it, else 0.
    """

    image: Float[Tensor, "3 s s"]
    seen: Float[Tensor, "1 s s"]


def rectify(photograph: PosedPhotograph, framing: Framing, camera: Cameras, size: int) -> Rectified:
    """Resamples a photograph for a camera at its position: a turn about the centre moves nothing behind anything.

    Where a photograph is finer than the result, means over blocks of its pixels are sampled bilinearly, 2 to 4 along
    each pixel, so that nothing aliases.

    Args:
        photograph: the photograph.
        framing: map from its world.
        camera: one camera at the photograph's position, in the generators' world.
        size: side of the result, pixels.

    Raises:
        ValueError: a file is no image, of another shape than its lens, or a mask of another size than its photograph.
        OSError: a file cannot be read.
    """
    height, width = image_file_size(photograph.file)
    lens = photograph.lens.scaled(width, height)
    pitch = 2 * math.tan(math.radians(camera.fov.item()) / 2) / size * max(lens.focal)  # pixels of the file in one
    block = max(1, min(math.floor(pitch / 2), height, width))
    fine = max(1, min(_FINEST, math.ceil(pitch / block)))
    _, directions = camera.rays(fine * size)
    world = directions[0].double() @ framing.axes  # a row times the rotation is its inverse
    pixels, seen = lens.project(world @ photograph.rotation.double())
    blocks = torch.tensor([width // block, height // block], dtype=torch.float64)
    grid = (2 * pixels / (block * blocks) - 1)[None].float()
    found = seen[None, None].float()
    if photograph.mask is not None:
        hidden = 1 - _read_mask(photograph.mask, photograph.file, (height, width))
        found = found * (1 - _sample(torch.nn.functional.max_pool2d(hidden, block), grid, "nearest"))
    pooled = torch.nn.functional.avg_pool2d(read_image_file(photograph.file, (height, width)), block)
    image = _sample(pooled, grid, "bilinear")
    image, found = (torch.nn.functional.avg_pool2d(part, fine)[0] for part in (image, found))
    return Rectified(image, (found > 1 - 1e-6).float())


def _read_mask(mask: Path, file: Path, size: tuple[int, int]) -> Float[Tensor, "1 h w"]:
    """1 where a mask counts the photograph, else 0."""
    if image_file_size(mask) != size:
        height, width = image_file_size(mask)
        raise ValueError(
            f"{mask} must have the size of {file.name}, {size[1]} x {size[0]} pixels, got {width} x {height}"
        )
    return (read_image_file(mask, size, channels=1) > 0.5).float()


def _sample(image: Tensor, grid: Tensor, mode: str) -> Tensor:
    return torch.nn.functional.grid_sample(image[None], grid, mode=mode, padding_mode="border", align_corners=False)
