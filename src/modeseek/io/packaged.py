"""Weights that ship with modeseek: their folders, and verification by SHA-256."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from modeseek.io.checksums import sha256_of

_SUMS = "SHA256SUMS"  # as `sha256sum` writes them


def data_folder() -> Path:
    """Folder that holds the folders of weights."""
    return Path(str(files("modeseek"))) / "data"


@cache
def packaged_weights(name: str) -> Path:
    """Folder of bundled weights, verified once per process.

    Raises:
        ValueError: a file is missing or damaged; one line.
    """
    return verify_folder(data_folder() / name)


def verify_folder(folder: Path) -> Path:
    """Verifies every file of a folder against its `SHA256SUMS` and returns the folder.

    Raises:
        ValueError: a file is missing or damaged; one line.
    """
    try:
        lines = (folder / _SUMS).read_text(encoding="utf-8").split("\n")
        pairs = [line.split("  ", 1) for line in lines if line]
        digests = {name: digest for digest, name in pairs}
    except (OSError, ValueError) as error:
        raise _damaged(folder, _SUMS, "cannot be read") from error
    for name, digest in digests.items():
        try:
            actual = sha256_of(folder / name)
        except OSError as error:
            raise _damaged(folder, name, "cannot be read") from error
        if actual != digest:
            raise _damaged(folder, name, "is not what was shipped")
    if not digests:
        raise _damaged(folder, _SUMS, "names no file")
    return folder


def write_checksums(folder: Path) -> Path:
    """Writes `SHA256SUMS` over every file below a folder and returns its path.

    Raises:
        ValueError: the folder holds no file.
    """
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != _SUMS)
    if not names:
        raise ValueError(f"a folder of weights must hold files, got {folder}, which holds none; check the path")
    digests = (sha256_of(folder / name) for name in names)
    lines = [f"{digest}  {name}\n" for digest, name in zip(digests, names, strict=True)]
    (folder / _SUMS).write_text("".join(lines), encoding="utf-8")
    return folder / _SUMS


def _damaged(folder: Path, name: str, problem: str) -> ValueError:
    return ValueError(f"{folder.name}/{name}, which came with modeseek, {problem}: install modeseek again")
