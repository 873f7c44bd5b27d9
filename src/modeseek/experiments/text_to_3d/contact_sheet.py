"""Contact sheet and turntable GIF: a row per caption, a column per method, the ground truth first."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.experiments.text_to_3d.measure import read_strip
from modeseek.generators.export import encode_gif

_SHOWN = (0, 6, 12, 18)  # of the 24 turntable views: front, right, back, left
_TILE = 72  # pixels
_TEXT, _GAP, _FONT = 230, 14, 17
_LETTERS = 25  # maximum length of a caption line
_INK, _SOFT, _PAPER = (27, 31, 36), (89, 97, 107), (255, 255, 255)
_MOST = 6  # maximum number of captions in the GIF
_SECONDS = 4.0  # duration of a turn


@dataclass(frozen=True)
class ContactSheet:
    """Turntable strips by caption and method.

    Attributes:
        captions: captions of the rows.
        columns: display titles of the columns; the first is the ground truth.
        strips: PNG files by (row, column); a method that did not run a caption has none.
    """

    captions: Sequence[str]
    columns: Sequence[str]
    strips: Mapping[tuple[int, int], Path]

    def png(self) -> bytes:
        """PNG bytes: of each shape its front and right view, below them its back and left view."""
        from PIL import Image, ImageDraw, ImageFont

        font, bold = ImageFont.load_default(_FONT), ImageFont.load_default(_FONT + 1)
        cell = 2 * _TILE
        heads = [textwrap.fill(name, cell // 10) for name in self.columns]
        texts = [textwrap.fill(caption, _LETTERS) for caption in self.captions]
        top = 2 * _GAP + (_FONT + 6) * max(1 + head.count("\n") for head in heads)
        heights = [max(cell, (_FONT + 6) * (1 + text.count("\n"))) for text in texts]
        size = (_TEXT + len(heads) * (cell + _GAP) + _GAP, top + sum(heights) + _GAP * len(heights))
        sheet = Image.new("RGB", size, _PAPER)
        pen = ImageDraw.Draw(sheet)
        for column, head in enumerate(heads):
            pen.multiline_text((_TEXT + column * (cell + _GAP), _GAP), head, fill=_INK, font=bold)
        y = top
        for row, (text, height) in enumerate(zip(texts, heights, strict=True)):
            pen.multiline_text((_GAP, y), text, fill=_SOFT, font=font)
            for column in range(len(heads)):
                path = self.strips.get((row, column))
                for number, view in enumerate(() if path is None else read_strip(path)[list(_SHOWN)]):
                    across, down = number % 2 * _TILE, number // 2 * _TILE
                    corner = (_TEXT + column * (cell + _GAP) + across, y + down)
                    sheet.paste(_to_pil(view).resize((_TILE, _TILE), Image.Resampling.LANCZOS), corner)
            y += height + _GAP
        out = io.BytesIO()
        sheet.save(out, "PNG", optimize=True)
        return out.getvalue()

    def turntable_gif(self) -> bytes:
        """GIF bytes in which all shapes rotate together; six captions at most."""
        from PIL import Image, ImageDraw, ImageFont

        rows = range(min(_MOST, len(self.captions)))
        strips = {cell: read_strip(path) for cell, path in self.strips.items() if cell[0] in rows}
        n, _, side, _ = next(iter(strips.values())).shape
        blank = torch.ones(n, 3, side, side)
        lines = [torch.cat([strips.get((row, c), blank) for c in range(len(self.columns))], -1) for row in rows]
        heads = [textwrap.fill(name, side // 7) for name in self.columns]
        tall = 6 + 15 * max(1 + head.count("\n") for head in heads)
        header = Image.new("RGB", (side * len(heads), tall), _PAPER)
        pen, font = ImageDraw.Draw(header), ImageFont.load_default(12)
        for column, head in enumerate(heads):
            pen.multiline_text((column * side + 4, 3), head, fill=_INK, font=font, spacing=2)
        return encode_gif(torch.cat([_to_tensor(header).expand(n, -1, -1, -1), *lines], -2), _SECONDS)


def _to_pil(view: Float[Tensor, "3 h w"]) -> Any:
    from PIL import Image

    return Image.fromarray((255 * view).round().byte().permute(1, 2, 0).numpy())


def _to_tensor(image: Any) -> Float[Tensor, "3 h w"]:
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255
