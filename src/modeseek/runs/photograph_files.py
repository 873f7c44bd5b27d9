"""Files of the photographs that a 3D shape matched: a sheet of photographs, renders and differences, and the scores."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from modeseek.config.photograph_views import Photographs
from modeseek.generators.base import render
from modeseek.io.atomic import write_atomic
from modeseek.metrics.restoration import decibels
from modeseek.reports.contact_sheet import ContactSheet, Tile
from modeseek.rundir.photograph_records import PhotographRecord, write_photograph_records
from modeseek.rundir.run_dir import Run

SHEET = "media/photographs.png"
_COLUMNS, _SIDE = 8, 128  # photographs on the sheet; about the least side of a tile, pixels
_CHUNK = 8  # photographs that are rendered at once
_UNSEEN = 0.85  # grey of pixels that do not count


def write_photographs(run: Run, photographs: Photographs) -> None:
    """Writes `media/photographs.png` and `exports/photographs.json`: the shape as its photographs' cameras see it.

    Args:
        run: run folder.
        photographs: photographs of the run, with its shape.
    """
    views, n = photographs.views, len(photographs.views.names)
    chunks = torch.arange(n).split(_CHUNK)
    with torch.no_grad():
        renders = torch.cat([render(photographs.shape, views.view(rows)).image.float().cpu() for rows in chunks])
    given, seen, renders = views.images.float().cpu(), views.seen.float().cpu(), renders.clamp(0, 1)
    difference = seen * (renders - given)
    error = difference.square().mean((1, 2, 3)) / seen.mean((1, 2, 3))
    columns = (views.names, views.cameras.azimuth.tolist(), views.cameras.elevation.tolist())
    scores = (error.sqrt().tolist(), decibels(error).tolist(), views.held_out)
    write_photograph_records(
        run.path,
        [
            PhotographRecord(name, azimuth, elevation, photographs.noise, residual, ratio, held_out)
            for name, azimuth, elevation, residual, ratio, held_out in zip(*columns, *scores, strict=True)
        ],
    )
    shown = _shown(views.held_out)
    rows = (given * seen + _UNSEEN * (1 - seen), renders, (0.5 + difference).clamp(0, 1))
    sheet = ContactSheet(
        [[[Tile(images[k])] for k in shown] for images in rows],
        [_label(*(column[k] for column in (*columns[1:], views.held_out))) for k in shown],
        ("Photograph", "Render", "Difference, grey is none"),
        side=given.shape[-1] * max(1, round(_SIDE / given.shape[-1])),
    )
    write_atomic(run.path / SHEET, sheet.png())


def _shown(held_out: Sequence[bool]) -> list[int]:
    """Photographs on the sheet: up to half of it held out, the others evenly spaced."""
    out = [k for k, flag in enumerate(held_out) if flag][: _COLUMNS // 2]
    used = [k for k, flag in enumerate(held_out) if not flag]
    room = min(len(used), _COLUMNS - len(out))
    return sorted(out + [used[k * len(used) // room] for k in range(room)])


def _label(azimuth: float, elevation: float, held_out: bool) -> str:
    return f"{round(azimuth)}°, {round(elevation)}°" + (", held out" if held_out else "")
