"""Rendering of SVG icons by resvg."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from modeseek.datasets.emoji.icons import Icon
from modeseek.io.errors import reason


def render_icons(icons: Sequence[Icon], size: int = 96) -> UInt8[Tensor, "n 4 s s"]:
    """Renders icons with box-filtered edges by resvg, on a transparent background; some 4 ms each at 96 pixels.

    No fonts are loaded, and `read_icons` refuses elements for which resvg would open a file.

    Args:
        icons: icons to render.
        size: side of the images, pixels, >= 1.

    Returns:
        Straight (not premultiplied) red, green, blue and alpha.

    Raises:
        ValueError: size < 1, an icon is no SVG, or the package resvg-py is missing.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1 pixel, got {size}; try 96")
    try:
        import resvg_py
    except ImportError as error:
        raise ValueError("icons need the package resvg-py, which is missing; pip install 'modeseek[icons]'") from error
    from PIL import Image

    def render(icon: Icon) -> Tensor:
        try:
            png = resvg_py.svg_to_bytes(svg_string=icon.svg, skip_system_fonts=True, width=size, height=size)
        except ValueError as error:
            raise ValueError(
                f"an icon must be SVG, got {icon.name!r} ({icon.style}): {reason(error)}; install its package again"
            ) from error
        with Image.open(io.BytesIO(png)) as image:
            return torch.from_numpy(np.asarray(image.convert("RGBA")).copy()).permute(2, 0, 1)

    images = torch.empty(len(icons), 4, size, size, dtype=torch.uint8)
    for index, icon in enumerate(icons):
        images[index] = render(icon)
    return images
