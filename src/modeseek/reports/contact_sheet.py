"""Contact sheet: image tiles in rows and columns, with headings, labels and captions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.io.images import encode_png, to_pixels

_INK, _SOFT, _RED, _PAPER, _BADGE = (27, 31, 36), (89, 97, 107), (179, 38, 30), (255, 255, 255), (240, 241, 243)
_MOST_LINES = 7  # of one text
_SEAM = 2  # pixels between the tiles of a cell
_FRAME = 3  # width of a red frame, pixels


@dataclass(frozen=True)
class Tile:
    """Image of a contact sheet.

    Attributes:
        image: image (c, h, w) in [0, 1], c = 1 or 3, fitted into a square; None leaves the square blank.
        badge: text over its upper edge, or empty.
        caption: text below it, or empty.
        alarm: text in red between image and caption, or empty; an image with one has a red frame.
    """

    image: Float[Tensor, "c h w"] | None
    badge: str = ""
    caption: str = ""
    alarm: str = ""


@dataclass(frozen=True)
class ContactSheet:
    """Table of cells that hold image tiles.

    Attributes:
        cells: tiles of each cell, by row and column; a cell may be empty. Generators are drawn once, a cell at a time.
        headings: text above each column; empty for none.
        labels: text left of each row; empty for none.
        side: side of a tile, pixels.
        across: number of tiles side by side in a cell; further ones go below them.
        font: size of the text, pixels.
        label_width: width of the labels, pixels.
        gap: distance of rows and columns, pixels.
    """

    cells: Iterable[Iterable[Sequence[Tile]]]
    headings: Sequence[str] = ()
    labels: Sequence[str] = ()
    side: int = 160
    across: int = 1
    font: int = 18
    label_width: int = 240
    gap: int = 14

    @classmethod
    def grid(cls, tiles: Sequence[Tile], columns: int, **options: Any) -> ContactSheet:
        """Sheet of tiles, `columns` in each row; `options` are attributes of the class."""
        return cls([[[tile] for tile in tiles[k : k + columns]] for k in range(0, len(tiles), columns)], **options)

    def png(self) -> bytes:
        """PNG bytes of the sheet."""
        return encode_png(self.draw())

    def draw(self) -> Float[Tensor, "3 h w"]:
        """The sheet as an image in [0, 1]."""
        from PIL import ImageOps

        width = self.across * (self.side + _SEAM) - _SEAM
        rows = [[self._cell(tiles, width) for tiles in row] for row in self.cells]
        labels = [self._text(text, self.label_width, _SOFT) for text in self.labels]
        if any(self.headings):
            rows.insert(0, [self._text(text, width, _INK, self.font + 2) for text in self.headings])
            labels[:0] = [self._text("", self.label_width, _SOFT)] if labels else []
        if any(self.labels):
            rows = [[label, *row] for label, row in zip(labels, rows, strict=True)]
        sheet = ImageOps.expand(_table(rows, self.gap), self.gap, _PAPER)
        return torch.from_numpy(np.asarray(sheet).copy()).permute(2, 0, 1).float() / 255

    def _cell(self, tiles: Sequence[Tile], width: int) -> Any:
        images = [self._tile(tile) for tile in tiles] or [_blank(width, 1)]
        return _table([images[k : k + self.across] for k in range(0, len(images), self.across)], _SEAM)

    def _tile(self, tile: Tile) -> Any:
        from PIL import ImageDraw, ImageFont, ImageOps

        frame = _FRAME if tile.alarm else 0
        square = ImageOps.expand(_fit(tile.image, self.side - 2 * frame), frame, _RED)
        if tile.badge:
            pen = ImageDraw.Draw(square)
            pen.rectangle((0, 0, self.side - 1, self.font + 6), fill=_BADGE)
            pen.text((5, 2), tile.badge, fill=_INK, font=ImageFont.load_default(self.font))
        texts = [(tile.alarm, _RED), (tile.caption, _INK)]
        return _table([[square], *([self._text(text, self.side, ink)] for text, ink in texts if text)], 4)

    def _text(self, text: str, width: int, ink: tuple[int, int, int], size: int = 0) -> Any:
        """Image of a text, as wide as given and as high as its lines."""
        from PIL import ImageDraw, ImageFont

        font, line = ImageFont.load_default(size or self.font), round(1.3 * (size or self.font))
        lines = break_lines(text, font, width)
        image = _blank(width, line * len(lines) + 2)
        pen = ImageDraw.Draw(image)
        for number, words in enumerate(lines):
            pen.text((0, line * number), words, fill=ink, font=font)
        return image


def tile_side(n: int, width: int = 1400, least: int = 64, most: int = 224) -> int:
    """Side of a tile where `n` side by side are to fill a width, all in pixels."""
    return max(least, min(most, width // n))


def break_lines(text: str, font: Any, width: int) -> list[str]:
    """Lines of a text that fit a width, long words broken; at most seven, of which the last may end in an ellipsis.

    Args:
        text: text; its own line breaks are kept.
        font: Pillow font.
        width: width of the lines, pixels.
    """
    lines: list[str] = []
    for paragraph in text.split("\n"):
        lines.append("")
        for word in paragraph.split():
            longer = f"{lines[-1]} {word}".strip()
            if font.getlength(longer) <= width:
                lines[-1] = longer
                continue
            if lines[-1]:
                lines.append("")
            for letter in word:
                if lines[-1] and font.getlength(lines[-1] + letter) > width:
                    lines.append("")
                lines[-1] += letter
    return lines if len(lines) <= _MOST_LINES else [*lines[: _MOST_LINES - 1], lines[_MOST_LINES - 1][:-1] + "…"]


def _table(rows: Sequence[Sequence[Any]], gap: int) -> Any:
    """Images in rows and columns that are as high and wide as their largest image."""
    widths = [max(row[k].width for row in rows if k < len(row)) for k in range(max(map(len, rows)))]
    heights = [max(image.height for image in row) for row in rows]
    table = _blank(sum(widths) + gap * (len(widths) - 1), sum(heights) + gap * (len(heights) - 1))
    for i, row in enumerate(rows):
        for k, image in enumerate(row):
            table.paste(image, (sum(widths[:k]) + gap * k, sum(heights[:i]) + gap * i))
    return table


def _fit(image: Tensor | None, side: int) -> Any:
    """The image centred in a square; nearest neighbour where enlarged."""
    from PIL import Image

    square = _blank(side, side)
    if image is None:
        return square
    picture = Image.fromarray(np.ascontiguousarray(to_pixels(image.expand(3, -1, -1)[None])[0]))
    scale = side / max(picture.size)
    resampling = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    size = (max(1, round(scale * picture.width)), max(1, round(scale * picture.height)))
    picture = picture.resize(size, resampling)
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def _blank(width: int, height: int) -> Any:
    from PIL import Image

    return Image.new("RGB", (width, height), _PAPER)
