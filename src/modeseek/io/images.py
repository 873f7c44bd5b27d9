"""Image files: PNG and GIF bytes of images, and images of files."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def encode_png(image: Float[Tensor, "c h w"], text: Mapping[str, str] | None = None) -> bytes:
    """PNG of one image, c = 1 or 3, clipped to [0, 1].

    Args:
        image: image to encode.
        text: text chunks, keyword of 1 to 79 Latin letters -> text; Pillow reads them back as `Image.open(path).text`.
    """
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for keyword, value in (text or {}).items():
        info.add_text(keyword, value)  # as iTXt, UTF-8, where Latin-1 does not suffice
    out = io.BytesIO()
    _to_pillow(image).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def encode_webp(image: Float[Tensor, "c h w"], quality: int = 90) -> bytes:
    """WebP of one image, c = 1 or 3, clipped to [0, 1].

    Args:
        image: image to encode.
        quality: quality of the lossy compression, 1 to 100.
    """
    out = io.BytesIO()
    _to_pillow(image).convert("RGB").save(out, "WEBP", quality=quality, method=4)
    return out.getvalue()


def resize(image: Float[Tensor, "c h w"], size: tuple[int, int]) -> Float[Tensor, "c i j"]:
    """Image resized by Lanczos' windowed sinc, in 8 bits, clipped to [0, 1].

    Args:
        image: image, c = 1 or 3.
        size: height and width, pixels.
    """
    from PIL import Image

    pixels = np.asarray(_to_pillow(image).resize(size[::-1], Image.Resampling.LANCZOS))
    return torch.from_numpy(pixels.reshape(*size, -1).copy()).permute(2, 0, 1).float() / 255


def encode_gif(frames: Float[Tensor, "n c h w"], seconds: float = 4.0, hold: float = 0.0) -> bytes:
    """Looping GIF of frames, clipped to [0, 1], with one palette of 256 colours per frame.

    Args:
        frames: one or more frames; c is 1 or 3.
        seconds: total duration, > 0. GIF times are hundredths of a second, at least two per frame.
        hold: time for which the last frame stays beyond that, seconds.

    Raises:
        ValueError: no frames, or a duration that is not positive and finite.
    """
    from PIL import Image

    if not len(frames) or not 0 < seconds < float("inf"):
        raise ValueError(
            f"a GIF needs at least one frame and seconds > 0, got {len(frames)} frames and {seconds} seconds"
        )
    ends = [round(100 * seconds * (k + 1) / len(frames)) for k in range(len(frames))]
    durations = [10 * max(2, end - start) for start, end in zip([0, *ends], ends, strict=False)]
    durations[-1] += round(1000 * hold)
    images = [Image.fromarray(pixels.repeat(3 // pixels.shape[2], axis=2)) for pixels in to_pixels(frames)]
    out = io.BytesIO()
    images[0].save(out, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0, disposal=2)
    return out.getvalue()


def to_pixels(images: Float[Tensor, "n c h w"]) -> UInt8[np.ndarray, "n h w c"]:
    """Bytes of images, c = 1 or 3, clipped to [0, 1]."""
    if images.shape[1] not in (1, 3):
        raise ValueError(f"images must have 1 or 3 channels, got {images.shape[1]}; select channels first")
    pixels = [(image.detach().float().cpu().clamp(0, 1) * 255).round().byte() for image in images]  # saves memory
    return torch.stack(pixels).permute(0, 2, 3, 1).numpy()


def _to_pillow(image: Float[Tensor, "c h w"]) -> Any:
    from PIL import Image

    (pixels,) = to_pixels(image[None])
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def decode_image(data: bytes, name: object = "the data") -> Float[Tensor, "3 h w"]:
    """Image of the bytes of an image file, in [0, 1]; `name` is for the message of an error.

    Raises:
        ValueError: the bytes are no image.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            return torch.from_numpy(np.asarray(image.convert("RGB")).copy()).permute(2, 0, 1).float() / 255
    except UnidentifiedImageError as error:
        raise ValueError(
            f"{name} is no image; remove it, or the folder of its job, and run the command again"
        ) from error


def read_images(paths: Sequence[Path]) -> Float[Tensor, "n 3 h w"]:
    """Images of one size, in [0, 1].

    Raises:
        ValueError: a file is no image.
        OSError: a file cannot be read.
    """
    images = torch.stack([decode_image(path.read_bytes(), path) for path in paths])
    return images.contiguous(memory_format=torch.channels_last)  # as decoded; networks round by the layout
