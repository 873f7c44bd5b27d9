"""Photographs resampled as a square pinhole camera at their place sees them that looks at the origin."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.captures.capture import PosedPhotograph
from modeseek.datasets.captures.framing import Framing
from modeseek.generators.camera import Cameras
from modeseek.io.image_files import image_file_size, read_image_file

_FINEST = 16  # samples along a pixel


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

    Each pixel is the mean of as many bilinear samples as the photograph has pixels in it, so that nothing aliases.

    Args:
        photograph: the photograph.
        framing: map from its world.
        camera: one camera at the photograph's position, in the generators' world.
        size: side of the result, pixels.

    Raises:
        ValueError: a file is no image, or of another shape than its lens.
        OSError: a file cannot be read.
    """
    height, width = image_file_size(photograph.file)
    lens = photograph.lens.scaled(width, height)
    pitch = 2 * math.tan(math.radians(camera.fov.item()) / 2) / size * max(lens.focal)  # pixels of the file in one
    fine = max(1, min(_FINEST, math.ceil(pitch)))
    _, directions = camera.rays(fine * size)
    world = directions[0].double() @ framing.axes  # a row times the rotation is its inverse
    pixels, seen = lens.project(world @ photograph.rotation.double())
    scale = torch.tensor([width, height], dtype=torch.float64)
    grid = (2 * pixels / scale - 1)[None].float()
    found = seen[None, None].float()
    if photograph.mask is not None:
        mask = read_image_file(photograph.mask, image_file_size(photograph.mask), channels=1)
        found = found * (_sample(mask, grid, "nearest") > 0.5)
    image = _sample(read_image_file(photograph.file, (height, width)), grid, "bilinear")
    image, found = (torch.nn.functional.avg_pool2d(part, fine)[0] for part in (image, found))
    return Rectified(image, (found > 1 - 1e-6).float())


def _sample(image: Tensor, grid: Tensor, mode: str) -> Tensor:
    return torch.nn.functional.grid_sample(image[None], grid, mode=mode, padding_mode="border", align_corners=False)
