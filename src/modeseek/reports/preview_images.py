"""Images in the page of a run: first and last preview under a slider, previews in between, and videos."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeseek.reports.html import alarm, data_uri, safe, small

_N_BETWEEN = 8  # previews between the first and the last
_MAX_WARNINGS = 3  # about damaged previews
_MAX_SIDE = 4096  # pixels a side
_MAX_MEDIA_BYTES = 3 * 2**20  # bytes
_SIGNATURES = {
    "PNG": (b"\x89PNG\r\n\x1a\n", 16, ">II"),
    "GIF": (b"GIF8", 6, "<HH"),
}  # signature, offset and layout of the size
_NAME = re.compile(r"step-(\d{1,12})\.png")

# Without this script both images are shown side by side.
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
    """A readable preview.

    Attributes:
        steps: number of steps done when it was written.
        data: content of the PNG file.
        width: width, pixels.
        height: height, pixels.
    """

    steps: int
    data: bytes
    width: int
    height: int

    @property
    def caption(self) -> str:
        """Caption that names the step."""
        return "before the first step" if self.steps == 0 else f"after {self.steps:,} step{'s' * (self.steps > 1)}"

    def html(self, caption: str) -> str:
        """The preview as a figure; small images are enlarged without interpolation."""
        css_class = " class='coarse'" if self.width < 200 else ""
        return (
            f"<figure><img{css_class} src='{data_uri(self.data, 'image/png')}' width='{self.width}' "
            f"height='{self.height}' alt='{safe(caption)}'><figcaption>{safe(caption)}</figcaption></figure>"
        )


@dataclass(frozen=True)
class PreviewImages:
    """Previews of a run to show in its page.

    Attributes:
        first: oldest readable preview, or None.
        between: at most eight previews in between, evenly spaced.
        last: newest readable preview, or None; may equal the first.
        damaged: a line for each unreadable preview.
    """

    first: PreviewImage | None
    between: tuple[PreviewImage, ...]
    last: PreviewImage | None
    damaged: tuple[str, ...]


def read_previews(folder: Path) -> PreviewImages:
    """Reads the first, the last and evenly spaced previews in between."""
    damaged: list[str] = []
    files = newest_first(folder)
    last = _first_readable(files, damaged)
    if last is None:
        return PreviewImages(None, (), None, tuple(damaged))
    first = _first_readable(files[::-1], damaged) or last
    middle = [path for path in files[::-1] if first.steps < _steps(path) < last.steps]
    n = min(_N_BETWEEN, len(middle))
    chosen = [middle[(2 * i + 1) * len(middle) // (2 * n)] for i in range(n)]
    between = [preview for path in chosen if (preview := _first_readable([path], damaged)) is not None]
    return PreviewImages(first, tuple(between), last, tuple(dict.fromkeys(damaged)))


def last_preview(folder: Path) -> tuple[PreviewImage | None, list[str]]:
    """The newest readable preview, or None; and a line for each newer unreadable one, at most three."""
    damaged: list[str] = []
    preview = _first_readable(newest_first(folder), damaged)
    return preview, damaged[:_MAX_WARNINGS]


def newest_first(folder: Path) -> list[Path]:
    """Paths of the previews, newest first."""
    paths = [path for path in folder.glob("step-*.png") if _NAME.fullmatch(path.name)]
    return sorted(paths, key=_steps, reverse=True)


def before_after(previews: PreviewImages) -> str:
    """The first and the last preview under a slider, after warnings about unreadable ones."""
    lines = [
        *previews.damaged[:_MAX_WARNINGS],
        *([f"{more} more"] if (more := len(previews.damaged) - _MAX_WARNINGS) > 0 else []),
    ]
    warnings = "".join(map(alarm, lines))
    first, last = previews.first, previews.last
    if first is None or last is None:
        return warnings or small("This run has no previews.")
    if first.steps == last.steps:
        return f"{warnings}<div class='sheet'>{last.html(f'The only preview, {last.caption}')}</div>"
    width = max(first.width, last.width, 320)
    return (
        f"{warnings}<div class='versus' style='--wide: {width}px; --at: 50%'>"
        f"{first.html(_capital(first.caption))}{last.html(_capital(last.caption))}"
        "<input type='range' min='0' max='100' value='50' hidden "
        "aria-label='Position of the boundary between before and after'></div>"
    )


def strip(previews: PreviewImages) -> str:
    """The previews between the first and the last."""
    figures = "".join(preview.html(_capital(preview.caption)) for preview in previews.between)
    return f"<div class='strip'>{figures}</div>" if figures else ""


def media_figure(path: Path, caption: str) -> str:
    """A GIF or PNG as a figure; empty if the file is missing, only its name if it exceeds 3 MB.

    Raises:
        ValueError: the file is damaged.
        OSError: the file cannot be read.
    """
    if not path.is_file():
        return ""
    size = path.stat().st_size
    if size > _MAX_MEDIA_BYTES:
        return small(
            f"{path.parent.name}/{path.name} has {size / 2**20:.1f} MB, too much for this page; open it there."
        )
    data = path.read_bytes()
    kind = path.suffix[1:]
    width, height = _read_size(data, kind.upper(), path.name)
    return (
        f"<figure><img src='{data_uri(data, f'image/{kind}')}' width='{width}' height='{height}' "
        f"alt='{safe(caption)}'><figcaption>{safe(caption)}</figcaption></figure>"
    )


def _first_readable(files: Sequence[Path], damaged: list[str]) -> PreviewImage | None:
    """The first readable preview; appends a line to `damaged` for each unreadable one before it."""
    for path in files:
        try:
            data = path.read_bytes()
            return PreviewImage(_steps(path), data, *_read_size(data, "PNG", path.name))
        except (ValueError, OSError) as error:
            damaged.append(str(error))
    return None


def _read_size(data: bytes, kind: str, name: str) -> tuple[int, int]:
    """Width and height of an image of that file type, after decoding all of its pixels.

    Raises:
        ValueError: the image cannot be decoded, or is larger than 4096 pixels.
    """
    from PIL import Image

    start, offset, layout = _SIGNATURES[kind]
    try:
        if not data.startswith(start):
            raise ValueError(f"not a {kind} file")
        width, height = struct.unpack_from(layout, data, offset)
        if max(width, height) > _MAX_SIDE:  # before PIL allocates memory for it
            raise ValueError(f"it is {width} x {height} pixels, more than {_MAX_SIDE}")
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            image.load()
            return image.size
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise ValueError(f"{name} is damaged and left out: {' '.join(str(error).split())[:200]}") from error


def _steps(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
