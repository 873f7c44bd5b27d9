"""The contact sheet and the film: a row a caption, a column a method, the truth first."""

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

from modeseek.experiments.text_to_3d.measure import frames
from modeseek.generators.export import encode_gif

_SHOWN = (0, 6, 12, 18)  # of the 24 views around: front, right, back, left
_TILE = 72  # pixels
_TEXT, _GAP, _FONT = 230, 14, 17
_LETTERS = 25  # of a caption in a line
_INK, _SOFT, _PAPER = (27, 31, 36), (89, 97, 107), (255, 255, 255)
_MOST = 6  # captions in the film
_SECONDS = 4.0


@dataclass(frozen=True)
class ContactSheet:
    """Strips of views around, by caption and column.

    Attributes:
        captions: of the rows.
        columns: names of the columns, for people; the first is the truth's.
        strips: PNG files by (row, column); a column that did not play a caption has none.
    """

    captions: Sequence[str]
    columns: Sequence[str]
    strips: Mapping[tuple[int, int], Path]

    def png(self) -> bytes:
        """A PNG: of each thing its front and right side, below them its back and left side."""
        from PIL import Image, ImageDraw, ImageFont

        font, bold = ImageFont.load_default(_FONT), ImageFont.load_default(_FONT + 1)
        cell = 2 * _TILE
        heads = [textwrap.fill(name, cell // 10) for name in self.columns]
        words = [textwrap.fill(caption, _LETTERS) for caption in self.captions]
        top = 2 * _GAP + (_FONT + 6) * max(1 + head.count("\n") for head in heads)
        heights = [max(cell, (_FONT + 6) * (1 + text.count("\n"))) for text in words]
        size = (_TEXT + len(heads) * (cell + _GAP) + _GAP, top + sum(heights) + _GAP * len(heights))
        sheet = Image.new("RGB", size, _PAPER)
        pen = ImageDraw.Draw(sheet)
        for column, head in enumerate(heads):
            pen.multiline_text((_TEXT + column * (cell + _GAP), _GAP), head, fill=_INK, font=bold)
        y = top
        for row, (text, height) in enumerate(zip(words, heights, strict=True)):
            pen.multiline_text((_GAP, y), text, fill=_SOFT, font=font)
            for column in range(len(heads)):
                path = self.strips.get((row, column))
                for number, view in enumerate(() if path is None else frames(path)[list(_SHOWN)]):
                    across, down = number % 2 * _TILE, number // 2 * _TILE
                    place = (_TEXT + column * (cell + _GAP) + across, y + down)
                    sheet.paste(_picture(view).resize((_TILE, _TILE), Image.Resampling.LANCZOS), place)
            y += height + _GAP
        out = io.BytesIO()
        sheet.save(out, "PNG", optimize=True)
        return out.getvalue()

    def turntable_gif(self) -> bytes:
        """A GIF in which all turn together; six captions at most."""
        from PIL import Image, ImageDraw, ImageFont

        rows = range(min(_MOST, len(self.captions)))
        strips = {place: frames(path) for place, path in self.strips.items() if place[0] in rows}
        n, _, side, _ = next(iter(strips.values())).shape
        blank = torch.ones(n, 3, side, side)
        lines = [torch.cat([strips.get((row, c), blank) for c in range(len(self.columns))], -1) for row in rows]
        heads = [textwrap.fill(name, side // 7) for name in self.columns]
        tall = 6 + 15 * max(1 + head.count("\n") for head in heads)
        header = Image.new("RGB", (side * len(heads), tall), _PAPER)
        pen, font = ImageDraw.Draw(header), ImageFont.load_default(12)
        for column, head in enumerate(heads):
            pen.multiline_text((column * side + 4, 3), head, fill=_INK, font=font, spacing=2)
        return encode_gif(torch.cat([_tensor(header).expand(n, -1, -1, -1), *lines], -2), _SECONDS)


def _picture(view: Float[Tensor, "3 h w"]) -> Any:
    from PIL import Image

    return Image.fromarray((255 * view).round().byte().permute(1, 2, 0).numpy())


def _tensor(picture: Any) -> Float[Tensor, "3 h w"]:
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1).float() / 255
