"""Crash-safe writes: atomic files, atomic folders, and line files that can be torn only at the end.

Every byte of a run is written by the functions at the bottom, so that tests can make any of them fail.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

_SCRATCH = ".part"
_BEFORE = ".before"
_TRASH = ".trash"


def write_atomic(path: Path, data: bytes | str, shared: bool = False, parents: bool = False) -> None:
    """Writes `data` to `path` atomically: a synced scratch file, then a rename; on failure the old file stays.

    With `shared`, several processes may write the same file at the same time; the last one stays. With `parents`,
    missing parent folders are made.

    Raises:
        OSError: the disk is full or the folder cannot be written to; the scratch file is removed.
    """
    if parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}{f'.{secrets.token_hex(4)}' if shared else ''}{_SCRATCH}")
    try:
        write_synced(scratch, data.encode() if isinstance(data, str) else data)
        _rename(scratch, path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextmanager
def atomic_folder(target: Path, fresh: bool = False) -> Generator[Path]:
    """Gives a scratch folder beside `target` that is renamed to `target` when the block ends without an exception.

    Write into it with `write_synced`. An existing `target` is replaced; with `fresh` it is an error unless empty.
    """
    suffix = f".{secrets.token_hex(4)}" if fresh else ""  # concurrent processes need scratch folders of their own
    scratch = target.with_name(f".{target.name}{suffix}{_SCRATCH}")
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


def write_new_folder(target: Path, files: Mapping[str, bytes]) -> None:
    """Writes a folder of files atomically, and its parents where they are missing.

    Raises:
        FileExistsError: the target exists and is no empty folder.
        OSError: the disk is full or the folder cannot be written to; nothing of it is left.
    """
    if not _is_free(target):
        raise FileExistsError(f"the target must be a new folder, got {target}, which exists; try another name")
    target.absolute().parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(target.absolute(), fresh=True) as folder:
        for name, data in files.items():
            write_synced(folder / name, data)


def remove_folder(folder: Path) -> None:
    """Removes a folder, renamed first, so that a crash leaves no partial folder under its name."""
    trash = _beside(folder, _TRASH)
    if trash.exists():
        shutil.rmtree(trash)
    _rename(folder, trash)
    shutil.rmtree(trash)


def recover_folder(folder: Path) -> None:
    """Removes what a killed process left partly written or removed, and restores what it was about to replace."""
    for path in folder.iterdir():
        if not path.name.startswith("."):
            continue
        replaced = folder / path.name[1:].removesuffix(_BEFORE)
        if path.name.endswith(_BEFORE) and not replaced.exists():
            _rename(path, replaced)
        elif path.name.endswith((_SCRATCH, _BEFORE, _TRASH)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def unused_path(wanted: Path) -> Path:
    """`wanted` if it is unused or an empty folder, else `wanted-2`, `wanted-3` ..., before the suffix of a file."""
    number, candidate = 1, wanted
    stem, suffix = (wanted.name, "") if wanted.is_dir() else (wanted.stem, wanted.suffix)
    while not _is_free(candidate):
        number += 1
        candidate = wanted.with_name(f"{stem}-{number}{suffix}")
    return candidate


def _is_free(path: Path) -> bool:
    """Whether a path is unused or an empty folder; another process may take or remove it meanwhile."""
    try:
        return not any(path.iterdir())
    except FileNotFoundError:
        return True
    except NotADirectoryError:
        return False


class LineFile:
    """Append-only file of lines. A crash can tear the last line, which readers then ignore."""

    def __init__(self, path: Path) -> None:
        """Opens the file for appending and ends a torn last line, so that the next one is separate."""
        self._file = open(path, "ab+", buffering=0)
        end = self._file.seek(0, os.SEEK_END)
        if end:
            self._file.seek(end - 1)
            if self._file.read(1) != b"\n":
                _append(self._file.fileno(), b"\n")

    def append(self, line: str) -> None:
        """Appends one line, in a single write where the system allows it; line breaks within become spaces.

        Raises:
            OSError: the line cannot be written; no part of it stays.
        """
        handle = self._file.fileno()
        end = os.fstat(handle).st_size
        try:
            _append(handle, line.replace("\n", " ").encode(errors="backslashreplace") + b"\n")
        except OSError:
            os.ftruncate(handle, end)
            raise

    def sync(self) -> None:
        """Blocks until all lines are on disk."""
        _sync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def read_whole_lines(path: Path) -> list[str]:
    """Complete lines of a file, without a torn last one; empty if there is no file."""
    if not path.exists():
        return []
    return path.read_bytes().decode(errors="replace").split("\n")[:-1]


def truncate_lines(path: Path, keep: int) -> None:
    """Truncates a file to its first `keep` complete lines."""
    if not path.exists():
        return
    data, end = path.read_bytes(), 0
    for _ in range(keep):
        newline = data.find(b"\n", end)
        if newline < 0:
            break
        end = newline + 1
    if end < len(data):
        os.truncate(path, end)


def _replace(target: Path, scratch: Path) -> None:
    """Replaces `target` by `scratch`; after a crash between the two renames `recover_folder` restores the old one."""
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
    """Writes a file and syncs it to disk; not atomic."""
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
    if os.name == "nt":  # folders cannot be opened on Windows; renames are journalled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        _sync(handle)
    finally:
        os.close(handle)
