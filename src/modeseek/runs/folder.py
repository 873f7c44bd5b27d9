"""Output folders: whole or not at all, and never over another."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Folder:
    """A folder in the making.

    Attributes:
        wanted: the name asked for.
        work: where to write meanwhile.
        final: where it ended; None until then.
    """

    wanted: Path
    work: Path
    final: Path | None = field(default=None)


@contextmanager
def new_folder(wanted: str | os.PathLike[str]) -> Generator[Folder]:
    """Gives a scratch folder beside `wanted`, which takes that name when the block ends without an exception.

    A name that is taken by a folder with something in it becomes `wanted-2`, `wanted-3` and so on. After an exception
    nothing is left, nor any parent that had to be made.

    Raises:
        OSError: the place cannot be written to; raised at once, before the block.
    """
    target = Path(wanted).absolute()
    if target.exists() and not target.is_dir():
        raise FileExistsError(f"the output is a folder: got {wanted}, which is a file; choose another name")
    made = _make_parents(target.parent)
    scratch: Path | None = None
    try:
        scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
        folder = Folder(target, scratch / "content")
        folder.work.mkdir()
        yield folder
        folder.final = _claim(folder.work, target)
    except BaseException:
        if scratch is not None:
            shutil.rmtree(scratch)
            scratch = None
        for parent in reversed(made):
            if not any(parent.iterdir()):
                parent.rmdir()
        raise
    finally:
        if scratch is not None:
            shutil.rmtree(scratch)


def free_name(wanted: Path) -> Path:
    """`wanted`, or `wanted-2`, `wanted-3` ... where that is taken; the suffix of a file stays last."""
    number, candidate = 1, wanted
    while candidate.exists() and not (candidate.is_dir() and not any(candidate.iterdir())):
        number += 1
        candidate = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
    return candidate


def _claim(work: Path, target: Path) -> Path:
    """Renames onto the first free name; another process may take one in between, then the next is tried."""
    while True:
        name = free_name(target)
        try:
            return work.rename(name)
        except OSError:
            if not (name.is_dir() and any(name.iterdir())):
                raise


def _make_parents(parent: Path) -> list[Path]:
    """Makes what is missing; returns the new ones, outermost first."""
    missing = [p for p in (parent, *parent.parents) if not p.exists()]
    made: list[Path] = []
    for folder in reversed(missing):
        try:
            folder.mkdir()
        except OSError:
            for earlier in reversed(made):
                earlier.rmdir()
            raise
        made.append(folder)
    return made
