"""Exported images of a run for its page: each in its own size, with links to all sizes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeseek.reports.preview_images import Media, read_media
from modeseek.reports.run_files import ENLARGED, FileLink

_MAX_IMAGES = 24  # in a page
_MAX_BYTES = 400_000  # of an enlarged image that is shown instead of the one in its own size
_MAX_PROMPT = 300  # characters


@dataclass(frozen=True)
class ResultImage:
    """An exported image.

    Attributes:
        prompt: its prompt as the PNG file records it, else the name of the file.
        shown: the file shown in the page: the largest one that is small enough, else that of its own size.
        files: links to the files, one per size, smallest first.
    """

    prompt: str
    shown: Media
    files: tuple[FileLink, ...]


@dataclass(frozen=True)
class ResultImages:
    """Exported images of a run.

    Attributes:
        images: at most 24 of them, by name.
        n_omitted: number of the others.
    """

    images: tuple[ResultImage, ...] = ()
    n_omitted: int = 0


def read_images(run: Path, captions: Sequence[str] = ()) -> ResultImages:
    """Images in the folder `exports/` of a run.

    Args:
        run: folder of the run.
        captions: captions of files that record no prompt; caption i modulo their number is that of image i.

    Raises:
        ValueError: an image is damaged.
        OSError: an image cannot be read.
    """
    sizes: dict[str, list[tuple[int, Path]]] = {}
    for path in (run / "exports").glob("[!.]*.png"):
        enlarged = ENLARGED.search(path.stem)
        name, times = (path.stem[: enlarged.start()], int(enlarged[1])) if enlarged else (path.stem, 1)
        sizes.setdefault(name, []).append((times, path))
    names = sorted(sizes)
    images = []
    for index, name in enumerate(names[:_MAX_IMAGES]):
        paths = [path for _, path in sorted(sizes[name])]
        fitting = [path for path in paths if path.stat().st_size <= _MAX_BYTES]
        shown = read_media(fitting[-1] if fitting else paths[0])
        assert shown is not None
        caption = captions[index % len(captions)] if captions else name
        links = tuple(FileLink.of(run, path) for path in paths)
        images.append(ResultImage(_recorded_prompt(shown) or caption, shown, links))
    return ResultImages(tuple(images), max(0, len(names) - _MAX_IMAGES))


def _recorded_prompt(media: Media) -> str:
    """The prompt in the text of a PNG file; empty if there is none."""
    from PIL.PngImagePlugin import PngImageFile

    if media.data is None:
        return ""
    with PngImageFile(io.BytesIO(media.data)) as image:
        return str(image.text.get("Prompt", ""))[:_MAX_PROMPT]
