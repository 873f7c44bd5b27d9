"""Contact sheets of digits, still and animated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.experiments.toy2d.digits import DigitsResult
from modeseek.experiments.toy2d.figures.animation import save_gif
from modeseek.experiments.toy2d.figures.style import figure_style

_SIDE = 10  # images per row
_GAP = 1  # pixels between images
_FRAMES = 60


def image_grid(images: Float[Tensor, "n 1 h w"]) -> np.ndarray:
    """Array in [0, 1] of images in [-1, 1], ten per row; gaps are NaN."""
    n, _, h, w = images.shape
    rows = math.ceil(n / _SIDE)
    canvas = torch.full((rows * (h + _GAP) - _GAP, _SIDE * (w + _GAP) - _GAP), torch.nan)
    for index, image in enumerate(images):
        top, left = index // _SIDE * (h + _GAP), index % _SIDE * (w + _GAP)
        canvas[top : top + h, left : left + w] = (image[0].float().clamp(-1, 1) + 1) / 2
    return canvas.numpy()


def draw_contact_sheets(result: DigitsResult, path: Path) -> None:
    """Draws the held-out images and one sheet per entry."""
    rows = {row.name: row.values for row in result.table.rows}
    panels = [("Held-out images", "ground truth, not used in training", result.real)]
    for outcome in result.outcomes:
        values = rows[outcome.entry.name]
        line = (
            f"log-lik. {values['log_likelihood']:.1f}   accuracy {values['accuracy']:.2f}   {outcome.calls:.0f} calls"
        )
        panels.append((outcome.entry.title, line, outcome.z))
    columns = min(len(panels), 4 if len(panels) in (4, 7, 8) else 3)
    with figure_style() as plt:
        figure, grid = plt.subplots(
            math.ceil(len(panels) / columns),
            columns,
            figsize=(3.4 * columns, 3.85 * math.ceil(len(panels) / columns)),
            squeeze=False,
            layout="constrained",
        )
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, (title, line, images) in zip(grid.flat, panels, strict=False):
            _draw_grid(axes, image_grid(images))
            axes.set_title(title, pad=19)
            axes.text(0, 1.015, line, transform=axes.transAxes, fontsize=8.5, color="#444a54", va="bottom")
        figure.savefig(path, dpi=110, bbox_inches="tight", pad_inches=0.12)


def draw_animated_sheets(result: DigitsResult, names: Sequence[str], path: Path) -> None:
    """Draws the images of the named entries from noise to end, side by side, aligned by the share of calls spent."""
    from PIL import Image

    outcomes = [o for name in names for o in result.outcomes if o.entry.name == name]
    frames = []
    for share in np.linspace(0, 1, _FRAMES):
        sheets = [image_grid(o.trajectory[round(share * (len(o.trajectory) - 1))]) for o in outcomes]
        gap = np.full((sheets[0].shape[0], 5), np.nan)
        wide = np.concatenate([part for s in sheets for part in (s, gap)][:-1], 1)
        pixels = np.where(np.isnan(wide), 1.0, 1 - wide)
        large = (255 * pixels).round().astype(np.uint8).repeat(3, 0).repeat(3, 1)
        frames.append(Image.fromarray(large).quantize(32))
    save_gif(frames, path)


def _draw_grid(axes: Any, pixels: np.ndarray) -> None:
    from matplotlib import colormaps

    cmap = colormaps["gray_r"].with_extremes(bad="#dfe3e8")
    axes.imshow(pixels, cmap=cmap, vmin=0, vmax=1, interpolation="nearest")
