"""Pictures of a run on its way, drawn in milliseconds: points over their density, or a sheet of images."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modeseek.priors.base import DensityPrior, Prior

_SIDE = 480  # pixels
_FINE = 2  # drawn larger, then reduced: smooth edges
_MARGIN = 1.06  # around the square worth drawing
_INK, _PAPER, _DOT = (247, 248, 250), (38, 70, 110), (214, 69, 20)


class PreviewPainter:
    """Draws what a generator rendered.

    Args:
        shape: of one item: (2,) is drawn as points, (c, h, w) as pictures, anything else by its first two numbers.
        prior: where exact, its density is drawn behind the points.
        cond: of that density.
        extent: half the side of the square drawn, or None to fit the first points.
    """

    def __init__(self, shape: tuple[int, ...], prior: Prior, cond: Any, extent: float | None) -> None:
        self.shape, self.extent = shape, None if extent is None else _MARGIN * extent
        self._ground: np.ndarray | None = None
        if shape == (2,) and isinstance(prior, DensityPrior) and extent is not None:
            self._ground = _density(prior, cond, _MARGIN * extent)

    def draw(self, image: Tensor, columns: int | None = None) -> bytes:
        """A PNG of (n, *shape), pictures in so many columns; pixels outside [0, 1] are clipped."""
        picture = _sheet(image, columns) if len(self.shape) == 3 else self._points(image.flatten(1)[:, :2])
        out = io.BytesIO()
        picture.save(out, "PNG", optimize=False, compress_level=6)
        return out.getvalue()

    def _points(self, z: Tensor) -> Any:
        from PIL import Image, ImageDraw

        z = z.detach().double().cpu()
        if self.extent is None:
            self.extent = _MARGIN * max(1e-9, z.abs().max().item())
        side = _SIDE * _FINE
        if self._ground is None:
            picture = Image.new("RGB", (side, side), _INK)
        else:
            picture = Image.fromarray(self._ground).resize((side, side), Image.Resampling.BICUBIC)
        pen = ImageDraw.Draw(picture)
        radius = _FINE * max(1.2, min(4.0, 60 / math.sqrt(len(z))))
        for x, y in (z / self.extent).tolist():
            if abs(x) <= 1.2 and abs(y) <= 1.2:
                u, v = (x + 1) / 2 * side, (1 - y) / 2 * side
                pen.ellipse((u - radius, v - radius, u + radius, v + radius), fill=_DOT, outline=_INK)
        return picture.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)


def _sheet(image: Tensor, columns: int | None) -> Any:
    """All pictures in rows, as square as their number allows by default, enlarged without blur where they are small."""
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
    picture = Image.fromarray(sheet.numpy())
    larger = max(1, _SIDE // max(picture.size))
    if larger > 1:
        return picture.resize((larger * picture.width, larger * picture.height), Image.Resampling.NEAREST)
    if max(picture.size) > 640:
        picture.thumbnail((640, 640), Image.Resampling.LANCZOS)
    return picture


def _density(prior: DensityPrior, cond: Any, extent: float) -> np.ndarray:
    """The density's square root, from paper to ink, (h, w, 3); its root, so that faint parts show."""
    side = _SIDE // 2
    ticks = torch.linspace(-extent, extent, side, dtype=torch.float64)
    y, x = torch.meshgrid(ticks.flip(0), ticks, indexing="ij")
    z = torch.stack([x.flatten(), y.flatten()], 1)
    one = torch.ones(len(z), dtype=torch.float64)
    _, log_prob = prior.evaluate(z, one, one * extent / side, cond)
    share = ((log_prob - log_prob.max()) / 2).exp().reshape(side, side, 1)
    ink, paper = torch.tensor(_INK, dtype=torch.float64), torch.tensor(_PAPER, dtype=torch.float64)
    return (ink + share * (paper - ink)).round().byte().numpy()
