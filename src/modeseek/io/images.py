"""PNG and GIF bytes of images."""

from __future__ import annotations

import io

from torch import Tensor


def encode_png(image: Tensor) -> bytes:
    """PNG of one image (c, h, w), c = 1 or 3, clipped to [0, 1]."""
    from PIL import Image

    pixels = (image.detach().float().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    out = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(out, "PNG")
    return out.getvalue()


def encode_gif(frames: list[bytes], milliseconds: int = 120) -> bytes:
    """GIF of PNG frames of one size; the last frame is shown twelve times as long.

    Args:
        frames: PNG data of each frame.
        milliseconds: duration of a frame, ms.
    """
    from PIL import Image

    images = [Image.open(io.BytesIO(data)).convert("RGB") for data in frames]
    out = io.BytesIO()
    durations = [milliseconds] * (len(images) - 1) + [12 * milliseconds]
    images[0].save(out, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    return out.getvalue()
