"""Paths of settings: types that mark them, and their absolute form."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

PATH = "path"  # mark of a text that is a path
PATH_OR_NAME = "path or name"  # mark of a text that is a path, the name of a bundled prior, or a repository on the hub
PathText = Annotated[str, PATH]
PathOrName = Annotated[str, PATH_OR_NAME]


def slug(text: str, length: int = 40) -> str:
    """Returns a text in characters that every file system accepts, a to z, 0 to 9 and dashes; may be empty."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:length].strip("-")


def absolute_path(path: str | os.PathLike[str], folder: Path | None = None) -> Path:
    """Absolute form of a path; a relative one refers to `folder`, by default the working folder, and `~` is the home.

    Symbolic links are kept; `a/../b` becomes `b` where that is the same file, else what the links lead to.
    """
    given = Path(path).expanduser()
    whole = (Path.cwd() if folder is None else folder.absolute()) / given
    if ".." not in whole.parts:
        return whole
    short = Path(os.path.normpath(whole))
    if not whole.exists() or (short.exists() and short.samefile(whole)):
        return short
    return whole.resolve()
