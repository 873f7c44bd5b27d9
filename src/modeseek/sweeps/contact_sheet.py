"""The contact sheet: a row a setting, a column a method, the seeds of each side by side."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import Any

from modeseek.reports.preview_images import last_preview
from modeseek.sweeps.results import SweepResult

_WIDE, _MOST, _LEAST = 1800, 240, 72  # pixels: of all pictures in a row; of one
_SEEDS = 4  # shown side by side
_LONGEST = 60  # rows
_TEXT, _GAP, _FONT = 240, 14, 18
_INK, _SOFT, _PAPER, _NONE = (27, 31, 36), (89, 97, 107), (255, 255, 255), (240, 241, 243)


def draw_sheet(results: Sequence[SweepResult]) -> tuple[bytes | None, list[str]]:
    """A PNG of the last picture of every job, or None where there is none; and a line for each that is damaged.

    A job without a picture has its state in its place. Up to four seeds and sixty rows are shown.
    """
    from PIL import Image, ImageDraw, ImageFont

    rows = list(dict.fromkeys(one.job_dir.spec.labels for one in results))[:_LONGEST]
    columns = list(dict.fromkeys(one.job_dir.spec.method for one in results))
    seeds = list(dict.fromkeys(one.job_dir.spec.config.seed for one in results))[:_SEEDS]
    pictures, damage = {}, []
    for one in results:
        found, lines = last_preview(one.job_dir.path / "previews")
        damage += [f"{one.job_dir.path.name}: {line}" for line in lines]
        if found is not None:
            pictures[one.job_dir] = found.data
    if not pictures:
        return None, damage
    side = max(_LEAST, min(_MOST, _WIDE // (len(columns) * len(seeds))))
    cell, text = len(seeds) * (side + 2) - 2, _TEXT if any(rows) else 0
    font, bold = ImageFont.load_default(_FONT), ImageFont.load_default(_FONT + 1)
    heads = [textwrap.fill(name, max(6, cell // 10)) for name in columns]
    words = [textwrap.fill(" · ".join(labels), _TEXT // 10) for labels in rows]
    top = 2 * _GAP + (_FONT + 6) * max(1 + head.count("\n") for head in heads)
    heights = [max(side, (_FONT + 6) * (1 + word.count("\n"))) for word in words]
    left = text + _GAP
    sheet = Image.new("RGB", (left + len(columns) * (cell + _GAP), top + sum(heights) + _GAP * len(rows)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for column, head in enumerate(heads):
        pen.multiline_text((left + column * (cell + _GAP), _GAP), head, fill=_INK, font=bold)
    tops = [top + sum(heights[:i]) + _GAP * i for i in range(len(rows))]
    for y, word in zip(tops, words, strict=True):
        pen.multiline_text((_GAP, y), word, fill=_SOFT, font=font)
    for one in results:
        entry = one.job_dir.spec
        if entry.labels not in rows or entry.config.seed not in seeds:
            continue
        x = left + columns.index(entry.method) * (cell + _GAP) + seeds.index(entry.config.seed) * (side + 2)
        y = tops[rows.index(entry.labels)]
        if one.job_dir in pictures:
            sheet.paste(_tile(pictures[one.job_dir], side), (x, y))
        if one.state != "finished":
            pen.rectangle((x, y, x + side - 1, y + _FONT + 6), fill=_NONE)
            pen.text((x + 5, y + 2), one.state, fill=_INK, font=font)
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue(), damage


def _tile(data: bytes, side: int) -> Any:
    """The picture within a square, enlarged without blur."""
    from PIL import Image

    picture = Image.open(io.BytesIO(data)).convert("RGB")
    scale = side / max(picture.size)
    kind = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    picture = picture.resize((max(1, round(scale * picture.width)), max(1, round(scale * picture.height))), kind)
    square = Image.new("RGB", (side, side), _PAPER)
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square
