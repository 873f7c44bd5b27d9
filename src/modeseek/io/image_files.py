"""Image files that people bring, PNG, JPEG or WebP of any size, read at the size of a prior's images."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.io.errors import one_line
from modeseek.io.remarks import add_remark

_FORMATS = ("PNG", "JPEG", "WEBP")
_EVEN = 1e-9  # relative difference of aspect ratios that counts as none
_ORIENTATION, _LYING = 0x0112, (5, 6, 7, 8)  # tag of EXIF, and its values for images that are turned by 90 degrees


def read_image_file(path: Path, size: tuple[int, int], channels: int = 3) -> Float[Tensor, "c h w"]:
    """Reads an image file, on white where it is transparent, cropped to the middle and resized to a size.

    A remark says what was cropped and resized. Of an animation it is the first frame; a rotation by EXIF is applied.

    Args:
        path: PNG, JPEG or WebP file.
        size: height and width, pixels.
        channels: 3 for colour, 1 for grey.

    Returns:
        The image in [0, 1].

    Raises:
        ValueError: the file is no such image, or damaged.
        OSError: the file cannot be read.
    """
    from PIL import Image, ImageOps

    with _opened(path) as opened:
        image = _on_white(ImageOps.exif_transpose(opened))
    given = image.size
    image = _middle(image, size[1] / size[0])
    cropped = image.size
    if cropped != size[::-1]:
        image = image.resize(size[::-1], Image.Resampling.LANCZOS)
    if given != size[::-1]:
        middle = "" if cropped == given else f"cropped to its middle {cropped[0]} x {cropped[1]} and "
        add_remark(f"{path.name}, {given[0]} x {given[1]} pixels, was {middle}resized to {size[1]} x {size[0]}")
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return torch.from_numpy(pixels.reshape(*size, channels).copy()).permute(2, 0, 1).float() / 255


def check_image_file(path: Path) -> None:
    """Raises ValueError if a file is no PNG, JPEG or WebP image by its header, OSError if it cannot be read."""
    with _opened(path):
        pass


@contextmanager
def _opened(path: Path) -> Generator[Any]:
    """Context with the image of a file; what fails in it for a damaged file is a ValueError."""
    from PIL import Image, UnidentifiedImageError

    try:
        with path.open("rb") as file, Image.open(file, formats=_FORMATS) as image:
            yield image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # no such file, a folder, no permission
        reason = "another kind of file" if isinstance(error, UnidentifiedImageError) else one_line(error, 100)
        raise ValueError(f"{path} must be a PNG, JPEG or WebP image, got {reason}; try another file") from error


def _on_white(image: Any) -> Any:
    """The image in RGB, 8 bits, over white where it is transparent."""
    from PIL import Image

    if image.mode.startswith("I"):  # grey of 16 bits
        return Image.fromarray((np.asarray(image).astype(np.float64) / 257).round().astype(np.uint8)).convert("RGB")
    layer = image.convert("RGBA")
    white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, layer).convert("RGB")


def _middle(image: Any, aspect: float) -> Any:
    """The middle of the image at a ratio of width to height, as large as possible."""
    width, height = image.size
    if abs(width / height / aspect - 1) < _EVEN:
        return image
    crop = (max(1, min(width, round(height * aspect))), max(1, min(height, round(width / aspect))))
    left, top = (width - crop[0]) // 2, (height - crop[1]) // 2
    return image.crop((left, top, left + crop[0], top + crop[1]))


def image_file_size(path: Path) -> tuple[int, int]:
    """Returns height and width of an upright image, pixels, from its header; raises as `check_image_file` does."""
    with _opened(path) as image:
        width, height = image.size
        lies = image.getexif().get(_ORIENTATION) in _LYING
    return (width, height) if lies else (height, width)


def stored_image_size(path: Path) -> tuple[int, int]:
    """Returns height and width of an image as it is stored, pixels; a rotation by EXIF is not applied."""
    with _opened(path) as image:
        width, height = image.size
    return height, width


def read_stored_image(path: Path, block: int = 1) -> Float[Tensor, "3 h w"]:
    """Reads an image as it is stored, for a camera that was calibrated on its pixels: no rotation by EXIF, no crop.

    Args:
        path: PNG, JPEG or WebP file.
        block: side of the blocks of pixels whose means are returned, >= 1; smaller ones at the right and lower edge.

    Returns:
        The image in [0, 1], on white where it is transparent.

    Raises:
        ValueError: the file is no such image, or damaged.
        OSError: the file cannot be read.
    """
    with _opened(path) as opened:
        image = _on_white(opened).reduce(block)
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255


def read_stored_mask(path: Path) -> Float[Tensor, "1 h w"]:
    """Reads a mask as it is stored: 0 where it is black or transparent, else 1; raises as `read_stored_image` does."""
    with _opened(path) as opened:
        layer = opened.convert("RGBA")
    pixels = torch.from_numpy(np.asarray(layer).copy())
    return ((pixels[..., :3] > 0).any(-1) & (pixels[..., 3] > 0)).float()[None]
