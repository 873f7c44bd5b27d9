"""Pictures of one run in its page: before and after under a slider, a strip in between, the film."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeseek.reports.html import alarm, data_uri, safe, small

_STRIP = 8  # pictures in between
_LINES = 3  # about damaged ones
_WIDEST = 4096  # pixels a side
_LARGEST_FILM = 3 * 2**20  # bytes
_HEADS = {"PNG": (b"\x89PNG\r\n\x1a\n", 16, ">II"), "GIF": (b"GIF8", 6, "<HH")}  # signature, where the size is
_NAME = re.compile(r"step-(\d{1,12})\.png")

# Without this script both pictures stand side by side.
SCRIPT = """
for (const box of document.querySelectorAll('.versus')) {
  const bar = box.querySelector('input');
  const show = () => {
    box.style.setProperty('--at', bar.value + '%');
    bar.setAttribute('aria-valuetext', bar.value + ' % before, ' + (100 - bar.value) + ' % after');
  };
  bar.hidden = false;
  box.classList.add('live');
  bar.addEventListener('input', show);
  show();
}
"""


@dataclass(frozen=True)
class PreviewImage:
    """A picture that opens.

    Attributes:
        steps: done when it was drawn.
        data: its file.
        width: pixels.
        height: pixels.
    """

    steps: int
    data: bytes
    width: int
    height: int

    @property
    def caption(self) -> str:
        """Which moment it shows."""
        return "before the first step" if self.steps == 0 else f"after {self.steps:,} step{'s' * (self.steps > 1)}"

    def html(self, caption: str) -> str:
        """As a figure; small ones are enlarged without blur."""
        kind = " class='coarse'" if self.width < 200 else ""
        return (
            f"<figure><img{kind} src='{data_uri(self.data, 'image/png')}' width='{self.width}' height='{self.height}' "
            f"alt='{safe(caption)}'><figcaption>{safe(caption)}</figcaption></figure>"
        )


@dataclass(frozen=True)
class PreviewImages:
    """What a page shows of the previews of a run.

    Attributes:
        first: the oldest that opens, or None.
        between: up to eight, evenly chosen.
        last: the newest that opens, or None; it may be the first.
        damaged: a line for each that does not open.
    """

    first: PreviewImage | None
    between: tuple[PreviewImage, ...]
    last: PreviewImage | None
    damaged: tuple[str, ...]


def read_previews(folder: Path) -> PreviewImages:
    """The previews worth showing."""
    damaged: list[str] = []
    files = newest_first(folder)
    last = _first_good(files, damaged)
    if last is None:
        return PreviewImages(None, (), None, tuple(damaged))
    first = _first_good(files[::-1], damaged) or last
    middle = [path for path in files[::-1] if first.steps < _steps(path) < last.steps]
    n = min(_STRIP, len(middle))
    chosen = [middle[(2 * i + 1) * len(middle) // (2 * n)] for i in range(n)]
    between = [picture for path in chosen if (picture := _first_good([path], damaged)) is not None]
    return PreviewImages(first, tuple(between), last, tuple(dict.fromkeys(damaged)))


def last_preview(folder: Path) -> tuple[PreviewImage | None, list[str]]:
    """The newest preview that opens, or None, and a line for each newer one that does not, three at most."""
    damaged: list[str] = []
    found = _first_good(newest_first(folder), damaged)
    return found, damaged[:_LINES]


def newest_first(folder: Path) -> list[Path]:
    """The files of the previews."""
    found = [path for path in folder.glob("step-*.png") if _NAME.fullmatch(path.name)]
    return sorted(found, key=_steps, reverse=True)


def before_after(pictures: PreviewImages) -> str:
    """The first and the last preview under a slider, and what could not be opened."""
    lines = [*pictures.damaged[:_LINES], *([f"{more} more"] if (more := len(pictures.damaged) - _LINES) > 0 else [])]
    told = "".join(map(alarm, lines))
    first, last = pictures.first, pictures.last
    if first is None or last is None:
        return told or small("No picture was kept of this run.")
    if first.steps == last.steps:
        return f"{told}<div class='sheet'>{last.html(f'The only picture, {last.caption}')}</div>"
    wide = max(first.width, last.width, 320)
    return (
        f"{told}<div class='versus' style='--wide: {wide}px; --at: 50%'>"
        f"{first.html(_capital(first.caption))}{last.html(_capital(last.caption))}"
        "<input type='range' min='0' max='100' value='50' hidden aria-label='Where the picture before ends'></div>"
    )


def strip(pictures: PreviewImages) -> str:
    """The previews between the first and the last."""
    told = "".join(picture.html(_capital(picture.caption)) for picture in pictures.between)
    return f"<div class='strip'>{told}</div>" if told else ""


def media_figure(path: Path, told: str) -> str:
    """A GIF or PNG of a run's folder, where there is one; a large one is only named.

    Raises:
        ValueError: it is damaged.
        OSError: it cannot be read.
    """
    if not path.is_file():
        return ""
    size = path.stat().st_size
    if size > _LARGEST_FILM:
        return small(
            f"{path.parent.name}/{path.name} has {size / 2**20:.1f} MB, too much for this page; open it there."
        )
    data = path.read_bytes()
    kind = path.suffix[1:]
    width, height = _opened(data, kind.upper(), path.name)
    return (
        f"<figure><img src='{data_uri(data, f'image/{kind}')}' width='{width}' height='{height}' "
        f"alt='{safe(told)}'><figcaption>{safe(told)}</figcaption></figure>"
    )


def _first_good(files: Sequence[Path], damaged: list[str]) -> PreviewImage | None:
    """The first of the files that opens; a line for each before it that does not."""
    for path in files:
        try:
            data = path.read_bytes()
            return PreviewImage(_steps(path), data, *_opened(data, "PNG", path.name))
        except (ValueError, OSError) as error:
            damaged.append(str(error))
    return None


def _opened(data: bytes, kind: str, name: str) -> tuple[int, int]:
    """Width and height of a picture of that kind, once all of its pixels could be read.

    Raises:
        ValueError: they could not, or it is larger than any preview.
    """
    from PIL import Image

    start, offset, layout = _HEADS[kind]
    try:
        if not data.startswith(start):
            raise ValueError(f"it is no {kind}")
        width, height = struct.unpack_from(layout, data, offset)
        if max(width, height) > _WIDEST:  # before PIL makes room for it
            raise ValueError(f"it is {width} x {height} pixels, more than {_WIDEST}")
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            image.load()
            return image.size
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise ValueError(f"{name} is damaged and left out: {' '.join(str(error).split())[:200]}") from error


def _steps(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
