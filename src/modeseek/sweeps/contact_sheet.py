"""Contact sheet of a sweep: one row per setting, one column per method, seeds side by side."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import Any

from modeseek.reports.preview_images import last_preview
from modeseek.sweeps.results import SweepResult

_SHEET_WIDTH, _MAX_SIDE, _MIN_SIDE = 1800, 240, 72  # pixels: all images of a row; one image
_MAX_SEEDS = 4  # shown side by side
_MAX_ROWS = 60
_LABEL_WIDTH, _GAP, _FONT = 240, 14, 18
_INK, _SOFT, _PAPER, _STATE_BACKGROUND = (27, 31, 36), (89, 97, 107), (255, 255, 255), (240, 241, 243)


def draw_sheet(results: Sequence[SweepResult]) -> tuple[bytes | None, list[str]]:
    """Renders the last preview of every job as a PNG; None without any preview; and one line per damaged preview.

    A job that is not finished shows its state. At most four seeds and sixty rows are shown.
    """
    from PIL import Image, ImageDraw, ImageFont

    rows = list(dict.fromkeys(result.job_dir.spec.labels for result in results))[:_MAX_ROWS]
    columns = list(dict.fromkeys(result.job_dir.spec.method for result in results))
    seeds = list(dict.fromkeys(result.job_dir.spec.config.seed for result in results))[:_MAX_SEEDS]
    previews, damage = {}, []
    for result in results:
        preview, lines = last_preview(result.job_dir.path / "previews")
        damage += [f"{result.job_dir.path.name}: {line}" for line in lines]
        if preview is not None:
            previews[result.job_dir] = preview.data
    if not previews:
        return None, damage
    side = max(_MIN_SIDE, min(_MAX_SIDE, _SHEET_WIDTH // (len(columns) * len(seeds))))
    cell, label_width = len(seeds) * (side + 2) - 2, _LABEL_WIDTH if any(rows) else 0
    font, bold = ImageFont.load_default(_FONT), ImageFont.load_default(_FONT + 1)
    heads = [textwrap.fill(name, max(6, cell // 10)) for name in columns]
    row_labels = [textwrap.fill(" · ".join(labels), _LABEL_WIDTH // 10) for labels in rows]
    top = 2 * _GAP + (_FONT + 6) * max(1 + head.count("\n") for head in heads)
    heights = [max(side, (_FONT + 6) * (1 + label.count("\n"))) for label in row_labels]
    left = label_width + _GAP
    sheet = Image.new("RGB", (left + len(columns) * (cell + _GAP), top + sum(heights) + _GAP * len(rows)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for column, head in enumerate(heads):
        pen.multiline_text((left + column * (cell + _GAP), _GAP), head, fill=_INK, font=bold)
    tops = [top + sum(heights[:i]) + _GAP * i for i in range(len(rows))]
    for y, label in zip(tops, row_labels, strict=True):
        pen.multiline_text((_GAP, y), label, fill=_SOFT, font=font)
    for result in results:
        spec = result.job_dir.spec
        if spec.labels not in rows or spec.config.seed not in seeds:
            continue
        x = left + columns.index(spec.method) * (cell + _GAP) + seeds.index(spec.config.seed) * (side + 2)
        y = tops[rows.index(spec.labels)]
        if result.job_dir in previews:
            sheet.paste(_tile(previews[result.job_dir], side), (x, y))
        if result.state != "finished":
            pen.rectangle((x, y, x + side - 1, y + _FONT + 6), fill=_STATE_BACKGROUND)
            pen.text((x + 5, y + 2), result.state, fill=_INK, font=font)
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue(), damage


def _tile(data: bytes, side: int) -> Any:
    """The image centred in a square, enlarged by nearest neighbour."""
    from PIL import Image

    image = Image.open(io.BytesIO(data)).convert("RGB")
    scale = side / max(image.size)
    resampling = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    image = image.resize((max(1, round(scale * image.width)), max(1, round(scale * image.height))), resampling)
    square = Image.new("RGB", (side, side), _PAPER)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square
