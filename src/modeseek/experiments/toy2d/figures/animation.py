"""Animated GIF of the trajectories, side by side."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.experiments.toy2d.entries import ToyOutcome
from modeseek.experiments.toy2d.figures.style import draw_density
from modeseek.reports.figure_style import figure_style

_FRAMES = 72
_SMOOTH = 2  # supersampling factor
_TAIL = 5  # frames of a point's tail
_LIMIT = 3_000_000  # maximum file size, bytes


def draw_animation(outcomes: Sequence[ToyOutcome], field: Float[Tensor, "n n"], extent: float, path: Path) -> None:
    """Draws the points of the outcomes from start to end, aligned by the share of prior calls spent."""
    from PIL import Image, ImageDraw

    background, boxes = _background(field, extent, outcomes)
    frames: list[Image.Image] = []
    palette: Image.Image | None = None
    walks = [_resampled(outcome.trajectory) for outcome in outcomes]
    for index in range(_FRAMES):
        image = background.copy()
        draw = ImageDraw.Draw(image, "RGBA")
        for walk, (left, top, size) in zip(walks, boxes, strict=True):
            corner = np.array([left, top])
            scaled = (np.array([1, -1]) * walk[max(0, index - _TAIL) : index + 1] / extent + 1) / 2 * size + corner
            inside: np.ndarray = np.all((scaled >= corner) & (scaled <= corner + size), axis=-1)
            for row in range(scaled.shape[1]):
                tail = [tuple(p) for p, visible in zip(scaled[:, row], inside[:, row], strict=True) if visible]
                if len(tail) > 1:
                    draw.line(tail, fill=(125, 249, 255, 110), width=_SMOOTH)
                if inside[-1, row]:
                    x, y = scaled[-1, row]
                    r = 2.3 * _SMOOTH
                    draw.ellipse((x - r, y - r, x + r, y + r), fill=(125, 249, 255), outline=(0, 0, 0), width=_SMOOTH)
        small = image.resize((image.width // _SMOOTH, image.height // _SMOOTH), Image.Resampling.LANCZOS)
        if palette is None:
            palette = small.quantize(128)
        frames.append(small.quantize(palette=palette, dither=Image.Dither.NONE))
    save_gif(frames, path)


def save_gif(frames: Sequence[Any], path: Path, milliseconds: int = 70) -> None:
    """Writes the frames, the last one for 2.5 s; drops every second frame until the file is below 3 MB."""
    images, duration = list(frames), milliseconds
    while True:
        durations = [duration] * (len(images) - 1) + [2500]
        images[0].save(path, save_all=True, append_images=images[1:], duration=durations, loop=0, optimize=True)
        if path.stat().st_size <= _LIMIT or len(images) <= 8:
            return
        images, duration = [*images[:-1:2], images[-1]], 2 * duration


def _resampled(walk: Tensor) -> np.ndarray:
    """Trajectory of `_FRAMES` frames, evenly spaced along the run."""
    return walk[torch.linspace(0, len(walk) - 1, _FRAMES).round().long()].numpy()


def _background(
    field: Tensor, extent: float, outcomes: Sequence[ToyOutcome]
) -> tuple[Any, list[tuple[float, float, float]]]:
    """Supersampled panels without points, and left, top and size of each panel in pixels."""
    from PIL import Image

    with figure_style() as plt:
        n = len(outcomes)
        figure = plt.figure(figsize=(3.2 * n + 0.1, 3.55))
        panels = []
        for index, outcome in enumerate(outcomes):
            width = 3.1 / (3.2 * n + 0.1)
            axes = figure.add_axes((0.1 / (3.2 * n + 0.1) + index * 3.2 / (3.2 * n + 0.1), 0.02, width, 3.1 / 3.55))
            draw_density(axes, field, extent)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_title(outcome.entry.title, pad=5)
            panels.append(axes)
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=100 * _SMOOTH)
        height = figure.bbox.height * _SMOOTH * 100 / figure.dpi
        boxes = []
        for axes in panels:
            box = axes.get_window_extent()
            factor = _SMOOTH * 100 / figure.dpi
            boxes.append((box.x0 * factor, height - box.y1 * factor, box.width * factor))
    buffer.seek(0)
    return Image.open(buffer).convert("RGB"), boxes
