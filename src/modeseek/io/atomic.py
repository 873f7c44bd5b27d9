"""Writes that survive a crash: whole files, whole folders, and lines that can be torn only at the end.

Every byte of a run goes through the functions at the bottom, so a test can cut any of them short.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

_SCRATCH = ".part"
_BEFORE = ".before"
_TRASH = ".trash"


def write_atomic(path: Path, data: bytes | str) -> None:
    """Puts `data` under `path`, or leaves what was there: a scratch file, synced, then renamed.

    Raises:
        OSError: the disk is full or the place cannot be written to; the scratch file is gone.
    """
    scratch = path.with_name(f".{path.name}{_SCRATCH}")
    try:
        write_synced(scratch, data.encode() if isinstance(data, str) else data)
        _rename(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextmanager
def atomic_folder(target: Path, fresh: bool = False) -> Generator[Path]:
    """Gives a scratch folder beside `target` that takes its name when the block ends without an exception.

    Write into it with `write_synced`. A folder that has the name already is put aside first and removed afterwards;
    with `fresh` it is an error instead.
    """
    mine = f".{secrets.token_hex(4)}" if fresh else ""
    scratch = target.with_name(f".{target.name}{mine}{_SCRATCH}")
    if scratch.exists():
        shutil.rmtree(scratch)
    scratch.mkdir()
    try:
        yield scratch
        _sync_folder(scratch)
        if fresh:
            with suppress(FileNotFoundError):
                target.rmdir()  # an empty one; any other raises
            _rename(scratch, target)
        else:
            _replace(target, scratch)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    _sync_folder(target.parent)
    before = _beside(target, _BEFORE)
    if before.exists():
        shutil.rmtree(before)


def remove_folder(folder: Path) -> None:
    """Removes a folder so that no half of it can be taken for a whole one: renamed first."""
    trash = _beside(folder, _TRASH)
    if trash.exists():
        shutil.rmtree(trash)
    _rename(folder, trash)
    shutil.rmtree(trash)


def recover_folder(folder: Path) -> None:
    """Removes what a killed process left half written or half removed, and puts back what it was about to replace."""
    for left in folder.iterdir():
        if not left.name.startswith("."):
            continue
        replaced = folder / left.name[1:].removesuffix(_BEFORE)
        if left.name.endswith(_BEFORE) and not replaced.exists():
            _rename(left, replaced)
        elif left.name.endswith((_SCRATCH, _BEFORE, _TRASH)):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def unused_path(wanted: Path) -> Path:
    """`wanted`, or `wanted-2`, `wanted-3` ... where that is taken; the suffix of a file stays last."""
    number, candidate = 1, wanted
    stem, suffix = (wanted.name, "") if wanted.is_dir() else (wanted.stem, wanted.suffix)
    while candidate.exists() and not (candidate.is_dir() and not any(candidate.iterdir())):
        number += 1
        candidate = wanted.with_name(f"{stem}-{number}{suffix}")
    return candidate


class LineFile:
    """A file that grows by whole lines. A crash can tear the last one, which `kept_lines` and `cut` ignore."""

    def __init__(self, path: Path) -> None:
        """Opens it; a torn last line is ended, so that the next one stays whole."""
        self._file = open(path, "ab+", buffering=0)
        end = self._file.seek(0, os.SEEK_END)
        if end:
            self._file.seek(end - 1)
            if self._file.read(1) != b"\n":
                _append(self._file.fileno(), b"\n")

    def append(self, line: str) -> None:
        """Appends one line, in one write where the system takes it whole; line breaks within become spaces.

        Raises:
            OSError: it could not be written; no part of it stays.
        """
        handle = self._file.fileno()
        end = os.fstat(handle).st_size
        try:
            _append(handle, line.replace("\n", " ").encode(errors="backslashreplace") + b"\n")
        except OSError:
            os.ftruncate(handle, end)
            raise

    def sync(self) -> None:
        """Returns once all lines are on the disk."""
        _sync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def read_whole_lines(path: Path) -> list[str]:
    """The whole lines of a file; a torn last one is left out."""
    if not path.exists():
        return []
    return path.read_bytes().decode(errors="replace").split("\n")[:-1]


def truncate_lines(path: Path, keep: int) -> None:
    """Shortens a file of lines to its first `keep` whole ones."""
    if not path.exists():
        return
    text, end = path.read_bytes(), 0
    for _ in range(keep):
        following = text.find(b"\n", end)
        if following < 0:
            break
        end = following + 1
    if end < len(text):
        os.truncate(path, end)


def _replace(target: Path, scratch: Path) -> None:
    """Puts `scratch` where `target` is; between the two renames a crash leaves `sweep` to put the old one back."""
    before = _beside(target, _BEFORE)
    if target.exists():
        if before.exists():
            shutil.rmtree(before)
        _rename(target, before)
    try:
        _rename(scratch, target)
    except BaseException:
        if before.exists():
            _rename(before, target)
        raise


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(f".{folder.name}{suffix}")


def write_synced(path: Path, data: bytes) -> None:
    """Writes a file and returns once it is on the disk; a crash may leave half of it."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        _sync(file.fileno())


def _append(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _sync(handle: int) -> None:
    os.fsync(handle)


def _rename(source: Path, target: Path) -> None:
    os.replace(source, target)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there; renames are journalled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        _sync(handle)
    finally:
        os.close(handle)
