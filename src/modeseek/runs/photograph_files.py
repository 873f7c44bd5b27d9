"""Files of the photographs that a 3D shape matched: a sheet of photographs, renders and differences, and the scores."""

from __future__ import annotations

import torch

from modeseek.config.photographs import Photographs
from modeseek.generators.base import render
from modeseek.io.atomic import write_atomic
from modeseek.metrics.restoration import psnr
from modeseek.reports.contact_sheet import ContactSheet, Tile
from modeseek.rundir.photograph_records import PhotographRecord, write_photograph_records
from modeseek.rundir.run_dir import Run

SHEET = "media/photographs.png"
_COLUMNS, _SIDE = 8, 128  # photographs on the sheet; about the least side of a tile, pixels


def write_photographs(run: Run, photographs: Photographs) -> None:
    """Writes `media/photographs.png` and `exports/photographs.json`: the shape as its photographs' cameras see it.

    Args:
        run: run folder.
        photographs: photographs of the run, with its shape.
    """
    with torch.no_grad():
        renders = render(photographs.shape, photographs.view).image.float().cpu().clamp(0, 1)
    given = photographs.images.float().cpu()
    difference = renders - given
    rms, decibels = difference.square().mean((1, 2, 3)).sqrt().tolist(), psnr(renders, given).tolist()
    items, noise = photographs.config.items, photographs.config.noise
    write_photograph_records(
        run.path,
        [
            PhotographRecord(item.file.name, item.azimuth, item.elevation, noise, residual, ratio)
            for item, residual, ratio in zip(items, rms, decibels, strict=True)
        ],
    )
    rows = (given, renders, (0.5 + difference).clamp(0, 1))
    sheet = ContactSheet(
        [[[Tile(image)] for image in images[:_COLUMNS]] for images in rows],
        [f"{item.azimuth:g}°, {item.elevation:g}°" for item in items[:_COLUMNS]],
        ("Photograph", "Render", "Difference, grey is none"),
        side=given.shape[-1] * max(1, round(_SIDE / given.shape[-1])),
    )
    write_atomic(run.path / SHEET, sheet.png())
