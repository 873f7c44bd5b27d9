"""Contact sheets of digits, still and animated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.experiments.toy2d.entries import ToyOutcome
from modeseek.experiments.toy2d.figures.animation import save_gif
from modeseek.io.atomic import write_atomic
from modeseek.io.images import to_pixels
from modeseek.reports.contact_sheet import ContactSheet, Tile
from modeseek.reports.table import Table

_ACROSS = 10  # images per row of a sheet
_FRAMES = 60
_ZOOM = 3  # pixels per pixel of an image
_GREY = 0.88  # lightness of the gaps between images


def image_grid(images: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "1 a b"]:
    """Images in [-1, 1] as ink on paper, ten per row, enlarged: values in [0, 1]."""
    ink = (images.float().clamp(-1, 1) + 1) / 2
    missing = -len(images) % _ACROSS
    paper = torch.nn.functional.pad(1 - ink, (0, 1, 0, 1, 0, 0, 0, missing), value=_GREY)
    rows = paper[:, 0].unflatten(0, (-1, _ACROSS)).transpose(1, 2)  # rows of images, their pixels row by row
    sheet = rows.flatten(2).flatten(0, 1)[:-1, :-1]
    return sheet.repeat_interleave(_ZOOM, 0).repeat_interleave(_ZOOM, 1)[None]


def draw_contact_sheets(
    real: Float[Tensor, "n 1 h w"], outcomes: Sequence[ToyOutcome], table: Table, path: Path
) -> None:
    """Draws the held-out images `real` and one sheet per outcome."""
    truth = image_grid(real)
    tiles = [Tile(truth, caption="Held-out images\nground truth, not used in training")]
    for outcome, row in zip(outcomes, table.rows, strict=False):
        likelihood, accuracy = row.values["log_likelihood"], row.values["accuracy"]
        line = f"log-lik. {likelihood:.1f}, accuracy {accuracy:.2f}, {outcome.calls:.0f} calls"
        tiles.append(Tile(image_grid(outcome.z), caption=f"{outcome.entry.title}\n{line}"))
    columns = min(len(tiles), 4 if len(tiles) in (4, 7, 8) else 3)
    write_atomic(path, ContactSheet.grid(tiles, columns, side=truth.shape[-1], font=14).png())


def draw_animated_sheets(outcomes: Sequence[ToyOutcome], path: Path) -> None:
    """Draws the images of the outcomes from noise to end, side by side, aligned by the share of calls spent."""
    from PIL import Image

    frames = []
    for share in torch.linspace(0, 1, _FRAMES, dtype=torch.float64).tolist():
        sheets = [image_grid(o.trajectory[round(share * (len(o.trajectory) - 1))]) for o in outcomes]
        gap = torch.ones(1, sheets[0].shape[1], 5 * _ZOOM)
        wide = torch.cat([part for sheet in sheets for part in (sheet, gap)][:-1], 2)
        frames.append(Image.fromarray(to_pixels(wide[None])[0, :, :, 0]).quantize(32))
    save_gif(frames, path)
