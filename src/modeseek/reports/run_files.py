"""Files of a run folder as links for its page: all of them, and those that one downloads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

_FOLDERS = ("exports", "media", ".")  # in the order of the page
_NAMES = {
    "mesh": "Model",
    "textured": "Textured",
    "turntable": "Turntable",
    "optimisation": "Film",
    "points": "Points",
    "after": "Preview",
}
ENLARGED = re.compile(r"@(\d+)x?$")  # at the end of the stem of an image that is enlarged
_SUFFIXES = (".glb", ".obj", ".stl", ".ply", ".mp4", ".gif", ".webp", ".npy", ".png")


@dataclass(frozen=True)
class FileLink:
    """A file to link to.

    Attributes:
        name: path relative to the run folder.
        url: the same as a relative URL.
        size: size as text, such as 12.3 kB.
    """

    name: str
    url: str
    size: str

    @classmethod
    def of(cls, run: Path, path: Path) -> FileLink:
        """The link to a file of a run folder.

        Raises:
            OSError: the file cannot be read.
        """
        name = path.relative_to(run).as_posix()
        return cls(name, f"./{quote(name)}", file_size(path.stat().st_size))

    @property
    def kind(self) -> str:
        """Type of the file in capitals, such as GLB."""
        return Path(self.name).suffix[1:].upper()

    @property
    def enlargement(self) -> str:
        """Text of an image's enlargement: its own size, or such as 8x."""
        found = ENLARGED.search(Path(self.name).stem)
        return f"{found[1]}x" if found else "own size"


def file_size(n_bytes: int) -> str:
    """A number of bytes as readable text."""
    return f"{n_bytes / 1000:,.1f} kB" if n_bytes < 1_000_000 else f"{n_bytes / 1_000_000:,.1f} MB"


def list_files(run: Path) -> list[FileLink]:
    """All files of a run folder but checkpoints, previews and the page itself: exports first.

    Raises:
        OSError: a file cannot be read.
    """
    paths = [path for name in _FOLDERS for path in sorted((run / name).glob("[!.]*")) if path.is_file()]
    return [FileLink.of(run, path) for path in paths if path.name != "report.html"]


def list_downloads(run: Path) -> list[tuple[str, FileLink]]:
    """Label and link of the model, the films, the points and the last preview of a run, in that order.

    Raises:
        OSError: a file cannot be read.
    """
    found: list[tuple[int, int, str, FileLink]] = []
    for path in (path for name in _FOLDERS[:2] for path in (run / name).glob("[!.]*")):
        if path.stem in _NAMES and path.suffix in _SUFFIXES:
            order = list(_NAMES).index(path.stem), _SUFFIXES.index(path.suffix)
            link = FileLink.of(run, path)
            found.append((*order, f"{_NAMES[path.stem]} {link.kind}", link))
    return [(label, link) for _, _, label, link in sorted(found, key=lambda entry: entry[:2])]
