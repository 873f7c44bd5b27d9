"""Contact sheet: a row per prompt, a column per method."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from modeseek.experiments.text_to_image.job_images import read_images
from modeseek.experiments.text_to_image.jobs import JobResult

_WIDE, _MOST, _LEAST = 1400, 224, 64  # pixels: width of a row of images; largest and smallest side of an image
_SEEDS = 3  # maximum number of seeds side by side
_TEXT, _GAP, _SIZE = 270, 14, 22
_INK, _SOFT, _PAPER = (27, 31, 36), (89, 97, 107), (255, 255, 255)


def draw_sheet(prompts: Sequence[str], jobs: Mapping[str, Sequence[JobResult]], titles: Mapping[str, str]) -> bytes:
    """PNG bytes: prompts down, methods across, up to three seeds of each side by side.

    Args:
        prompts: prompts of the rows.
        jobs: finished jobs by name of the entry.
        titles: display titles by name of the entry.
    """
    from PIL import Image, ImageDraw, ImageFont

    columns = {
        name: {item: path for job in results for item, path in zip(job.batch.items, job.images, strict=True)}
        for name, results in jobs.items()
    }
    seeds = min(_SEEDS, 1 + max(seed for images in columns.values() for _, seed in images))
    side = max(_LEAST, min(_MOST, _WIDE // (seeds * len(columns))))
    cell = seeds * side + 2 * (seeds - 1)
    font, bold = ImageFont.load_default(_SIZE), ImageFont.load_default(_SIZE + 3)
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    heads = [_lines(measure, titles[name], bold, cell) for name in columns]
    top = 2 * _GAP + (_SIZE + 8) * max(map(len, heads))
    texts = [_lines(measure, prompt, font, _TEXT) for prompt in prompts]
    heights = [max(side, (_SIZE + 5) * len(lines)) for lines in texts]
    width = _TEXT + 2 * _GAP + len(columns) * (cell + _GAP)
    sheet = Image.new("RGB", (width, top + sum(heights) + _GAP * len(heights)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for column, lines in enumerate(heads):
        left = _TEXT + 2 * _GAP + column * (cell + _GAP)
        pen.multiline_text((left, _GAP), "\n".join(lines), fill=_INK, font=bold, spacing=5)
    y = top
    for prompt, (lines, height) in enumerate(zip(texts, heights, strict=True)):
        pen.multiline_text((_GAP, y), "\n".join(lines), fill=_SOFT, font=font, spacing=5)
        for column, images in enumerate(columns.values()):
            for seed in range(seeds):
                left = _TEXT + 2 * _GAP + column * (cell + _GAP) + seed * (side + 2)
                sheet.paste(_tile(images[prompt, seed], side), (left, y))
        y += height + _GAP
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return out.getvalue()


def _tile(path: Any, side: int) -> Any:
    """Image fitted into a square; nearest neighbour where enlarged."""
    from PIL import Image

    pixels = (255 * read_images([path])[0]).round().byte().permute(1, 2, 0).numpy()
    image = Image.fromarray(pixels)
    scale = side / max(image.size)
    kind = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    image = image.resize((max(1, round(scale * image.width)), max(1, round(scale * image.height))), kind)
    square = Image.new("RGB", (side, side), _PAPER)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def _lines(pen: Any, text: str, font: Any, width: int) -> list[str]:
    """Lines of text that fit the width in pixels, long words broken; six lines at most."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if pen.textlength(longer, font=font) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if pen.textlength(lines[-1] + letter, font=font) > width:
                lines.append("")
            lines[-1] += letter
    return lines if len(lines) <= 6 else [*lines[:5], lines[5][:-1] + "…"]
