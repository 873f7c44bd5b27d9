"""Contact sheet of a caption exam: images with captions, wrong attributes in red."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

_COLUMNS, _SIDE, _GAP, _SIZE, _LINES = 8, 160, 14, 13, 7
_INK, _RED, _PAPER = (27, 31, 36), (179, 38, 30), (255, 255, 255)


def exam_sheet(images: Float[Tensor, "n 3 h w"], captions: Sequence[str], wrong: Sequence[Sequence[str]]) -> bytes:
    """PNG bytes of the contact sheet, eight images a row.

    Args:
        images: images in [0, 1].
        captions: caption of each image.
        wrong: wrong attributes of each image; such images are framed and the attributes listed.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(_SIZE)
    columns = min(_COLUMNS, len(images))
    rows = -(-len(images) // columns)
    line = _SIZE + 4
    tall = _SIDE + 6 + _LINES * line + _GAP
    sheet = Image.new("RGB", (_GAP + columns * (_SIDE + _GAP), _GAP + rows * tall), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for i, (image, caption, attributes) in enumerate(zip(images, captions, wrong, strict=True)):
        x, y = _GAP + (i % columns) * (_SIDE + _GAP), _GAP + (i // columns) * tall
        pixels = (255 * image.clamp(0, 1)).round().byte().permute(1, 2, 0).numpy()
        sheet.paste(Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.NEAREST), (x, y))
        lines = []
        if attributes:
            pen.rectangle((x - 3, y - 3, x + _SIDE + 2, y + _SIDE + 2), outline=_RED, width=3)
            lines = [(text, _RED) for text in _broken(pen, "wrong: " + ", ".join(attributes), font, _SIDE)]
        lines += [(text, _INK) for text in _broken(pen, caption, font, _SIDE)]
        for k, (text, ink) in enumerate(lines[:_LINES]):
            pen.text((x, y + _SIDE + 6 + k * line), text, fill=ink, font=font)
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return out.getvalue()


def _broken(pen: Any, text: str, font: Any, width: int) -> list[str]:
    """Lines of text that fit the width in pixels, broken between words."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and pen.textlength(longer, font=font) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
