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
from modeseek.io.image_files import read_stored_image, read_stored_mask, stored_image_size

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
    """Resamples a photograph for another camera at the same position, by a homography and the lens's distortion.

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
    height, width = stored_image_size(photograph.file)
    try:
        lens = photograph.lens.scaled(width, height)
    except ValueError as error:
        raise ValueError(f"{photograph.file}: {error}; try images as their cameras were calibrated") from error
    pitch = 2 * math.tan(math.radians(camera.fov.item()) / 2) / size * max(lens.focal)  # pixels of the file in one
    block = max(1, min(math.floor(pitch / 2), height, width))
    fine = max(1, min(_FINEST, math.ceil(pitch / block)))
    _, directions = camera.rays(fine * size)
    world = directions[0].double() @ framing.axes  # a row times the rotation is its inverse
    pixels, seen = lens.project(world @ photograph.rotation.double())
    image = read_stored_image(photograph.file, block)
    blocks = torch.tensor(image.shape[:0:-1], dtype=torch.float64)  # along the width and the height
    grid = (2 * pixels / (block * blocks) - 1)[None].float()
    found = seen[None, None].float()
    if photograph.mask is not None:
        hidden = 1 - _read_mask(photograph.mask, photograph.file, (height, width))
        hidden = torch.nn.functional.max_pool2d(hidden[None], block, ceil_mode=True)[0]
        found = found * (1 - _sample(hidden, grid, "nearest"))
    image, found = (torch.nn.functional.avg_pool2d(part, fine)[0] for part in (_sample(image, grid, "bilinear"), found))
    return Rectified(image, (found > 1 - 1e-6).float())


def _read_mask(file: Path, image: Path, size: tuple[int, int]) -> Float[Tensor, "1 h w"]:
    mask = read_stored_mask(file)
    if tuple(mask.shape[1:]) != size:
        height, width = mask.shape[1:]
        raise ValueError(
            f"{file} must have the size of {image.name}, {size[1]} x {size[0]} pixels, got {width} x {height}; "
            "try the mask of that photograph"
        )
    return mask


def _sample(image: Tensor, grid: Tensor, mode: str) -> Tensor:
    return torch.nn.functional.grid_sample(image[None], grid, mode=mode, padding_mode="border", align_corners=False)
