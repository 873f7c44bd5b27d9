"""PNG and GIF bytes of images."""

from __future__ import annotations

import io

from torch import Tensor


def encode_png(image: Tensor) -> bytes:
    """A PNG of one picture (c, h, w), c 1 or 3, clipped to [0, 1], pixel by pixel."""
    from PIL import Image

    pixels = (image.detach().float().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    out = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(out, "PNG")
    return out.getvalue()


def encode_gif(pictures: list[bytes], milliseconds: int = 120) -> bytes:
    """A GIF of PNGs of one size, which holds its last picture for a while."""
    from PIL import Image

    frames = [Image.open(io.BytesIO(data)).convert("RGB") for data in pictures]
    out = io.BytesIO()
    durations = [milliseconds] * (len(frames) - 1) + [12 * milliseconds]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return out.getvalue()
