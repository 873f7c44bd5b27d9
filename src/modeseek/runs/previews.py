"""Preview images of a run, drawn in milliseconds: points over the density of the prior, or a sheet of images."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modeseek.priors.base import DensityPrior, Prior

_SIDE = 480  # pixels
_SUPERSAMPLING = 2  # drawn larger, then reduced, for smooth edges
_MARGIN = 1.06  # relative size of the plot to the extent of the prior
_BACKGROUND_COLOUR, _DENSITY_COLOUR, _POINT_COLOUR = (247, 248, 250), (38, 70, 110), (214, 69, 20)


class PreviewPainter:
    """Draws previews of renderings as PNG.

    Args:
        shape: shape of one item; (c, h, w) is drawn as images, any other as points of the first two values.
        prior: prior of the run; if it has a density, the density is drawn behind the points.
        cond: condition of that density.
        extent: half the side of the plotted square, in units of z; None fits the first points.
    """

    def __init__(self, shape: tuple[int, ...], prior: Prior, cond: Any, extent: float | None) -> None:
        self.shape, self.extent = shape, None if extent is None else _MARGIN * extent
        self._density_image: np.ndarray | None = None
        if shape == (2,) and isinstance(prior, DensityPrior) and extent is not None:
            self._density_image = _density(prior, cond, _MARGIN * extent, prior.device)

    def draw(self, image: Tensor, columns: int | None = None) -> bytes:
        """PNG of (n, *shape); images in `columns` columns (None: about square), clipped to [0, 1]."""
        canvas = _sheet(image, columns) if len(self.shape) == 3 else self._points(image.flatten(1)[:, :2])
        out = io.BytesIO()
        canvas.save(out, "PNG", optimize=False, compress_level=6)
        return out.getvalue()

    def _points(self, z: Tensor) -> Any:
        from PIL import Image, ImageDraw

        z = z.detach().double().cpu()
        if self.extent is None:
            self.extent = _MARGIN * max(1e-9, z.abs().max().item())
        side = _SIDE * _SUPERSAMPLING
        if self._density_image is None:
            canvas = Image.new("RGB", (side, side), _BACKGROUND_COLOUR)
        else:
            canvas = Image.fromarray(self._density_image).resize((side, side), Image.Resampling.BICUBIC)
        pen = ImageDraw.Draw(canvas)
        radius = _SUPERSAMPLING * max(1.2, min(4.0, 60 / math.sqrt(len(z))))
        for x, y in (z / self.extent).tolist():
            if abs(x) <= 1.2 and abs(y) <= 1.2:
                u, v = (x + 1) / 2 * side, (1 - y) / 2 * side
                pen.ellipse(
                    (u - radius, v - radius, u + radius, v + radius), fill=_POINT_COLOUR, outline=_BACKGROUND_COLOUR
                )
        return canvas.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)


def _sheet(image: Tensor, columns: int | None) -> Any:
    """Sheet of all images in rows, about square by default; small images are enlarged to whole multiples."""
    from PIL import Image

    n, channels, height, width = image.shape
    columns = math.ceil(math.sqrt(n * height / width)) if columns is None else columns
    rows = math.ceil(n / columns)
    pixels = (image.detach().float().cpu().clamp(0, 1) * 255).round().byte()
    pixels = pixels[:, :3] if channels >= 3 else pixels[:, :1].expand(-1, 3, -1, -1)
    sheet = torch.full((rows * (height + 1) + 1, columns * (width + 1) + 1, 3), 255, dtype=torch.uint8)
    for index in range(n):
        top, left = (index // columns) * (height + 1) + 1, (index % columns) * (width + 1) + 1
        sheet[top : top + height, left : left + width] = pixels[index].permute(1, 2, 0)
    canvas = Image.fromarray(sheet.numpy())
    factor = max(1, _SIDE // max(canvas.size))
    if factor > 1:
        return canvas.resize((factor * canvas.width, factor * canvas.height), Image.Resampling.NEAREST)
    if max(canvas.size) > 640:
        canvas.thumbnail((640, 640), Image.Resampling.LANCZOS)
    return canvas


def _density(prior: DensityPrior, cond: Any, extent: float, device: torch.device) -> np.ndarray:
    """Square root of the density as colours, (h, w, 3); the root makes low densities visible."""
    side = _SIDE // 2
    ticks = torch.linspace(-extent, extent, side, dtype=torch.float64)
    y, x = torch.meshgrid(ticks.flip(0), ticks, indexing="ij")
    z = torch.stack([x.flatten(), y.flatten()], 1).to(device)
    ones = torch.ones_like(z[:, 0])
    _, log_prob = prior.evaluate(z, ones, ones * extent / side, cond)
    share = ((log_prob - log_prob.max()) / 2).exp().reshape(side, side, 1).cpu()
    low, high = (
        torch.tensor(_BACKGROUND_COLOUR, dtype=torch.float64),
        torch.tensor(_DENSITY_COLOUR, dtype=torch.float64),
    )
    return (low + share * (high - low)).round().byte().numpy()
