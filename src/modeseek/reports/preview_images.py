"""Images in the page of a run: first and last preview, previews in between, and videos."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeseek.io.errors import one_line
from modeseek.io.video import find_film

_N_BETWEEN = 8  # previews between the first and the last
_MAX_WARNINGS = 3  # about damaged previews
_MAX_SIDE = 4096  # pixels a side
_MAX_MEDIA_BYTES = 3 * 2**20  # bytes
_NAME = re.compile(r"step-(\d{1,12})\.png")


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

    @property
    def warnings(self) -> list[str]:
        """At most three of the lines about unreadable previews, then the number of the others."""
        n_more = len(self.damaged) - _MAX_WARNINGS
        return [*self.damaged[:_MAX_WARNINGS], *([f"{n_more} more"] if n_more > 0 else [])]


@dataclass(frozen=True)
class Media:
    """A GIF, PNG or MP4 file.

    Attributes:
        name: folder and name.
        kind: type: gif, png or mp4.
        n_bytes: size of the file.
        data: content; None if the file exceeds 3 MB.
        size: width and height, pixels; (0, 0) of a video.
    """

    name: str
    kind: str
    n_bytes: int
    data: bytes | None = None
    size: tuple[int, int] = (0, 0)


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


def read_media(path: Path) -> Media | None:
    """A GIF, PNG or MP4 file, without its content if that exceeds 3 MB; None if the file is missing.

    Raises:
        ValueError: the file is damaged.
        OSError: the file cannot be read.
    """
    if not path.is_file():
        return None
    name, kind, n_bytes = f"{path.parent.name}/{path.name}", path.suffix[1:], path.stat().st_size
    if n_bytes > _MAX_MEDIA_BYTES:
        return Media(name, kind, n_bytes)
    data = path.read_bytes()
    if kind == "mp4":
        if data[4:8] != b"ftyp":
            raise ValueError(f"{path.name} is damaged and left out: it does not begin as an MP4 file")
        return Media(name, kind, n_bytes, data)
    return Media(name, kind, n_bytes, data, _read_size(data, kind, path.name))


def read_film(folder: Path, stem: str) -> Media | None:
    """The film `stem` in a folder as MP4, else as GIF, as `read_media`; None if there is neither."""
    path = find_film(folder, stem)
    return None if path is None else read_media(path)


def _first_readable(files: Sequence[Path], damaged: list[str]) -> PreviewImage | None:
    """The first readable preview; appends a line to `damaged` for each unreadable one before it."""
    for path in files:
        try:
            data = path.read_bytes()
            return PreviewImage(_steps(path), data, *_read_size(data, "png", path.name))
        except (ValueError, OSError) as error:
            damaged.append(str(error))
    return None


def _read_size(data: bytes, kind: str, name: str) -> tuple[int, int]:
    """Width and height of an image of that type, after decoding all of its pixels.

    Raises:
        ValueError: the image cannot be decoded, or is larger than 4096 pixels.
    """
    from PIL.GifImagePlugin import GifImageFile
    from PIL.PngImagePlugin import PngImageFile

    try:
        with {"gif": GifImageFile, "png": PngImageFile}[kind](io.BytesIO(data)) as image:
            if max(image.size) > _MAX_SIDE:  # before memory is allocated for it
                raise ValueError(f"it is {image.width} x {image.height} pixels, more than {_MAX_SIDE}")
            image.load()
            return image.size
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise ValueError(f"{name} is damaged and left out: {one_line(error, 200)}") from error


def _steps(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))
