"""Bundled weights: verification by SHA-256."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from modeseek.io.packaged import data_folder, packaged_weights, verify_folder, write_checksums


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder of two files with their checksums."""
    folder = tmp_path / "weights"
    (folder / "unet").mkdir(parents=True)
    (folder / "card.md").write_bytes(b"a card\n")
    (folder / "unet" / "model.safetensors").write_bytes(bytes(range(256)))
    names = ["card.md", "unet/model.safetensors"]
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(sums))
    return folder


def test_an_intact_folder_passes(folder: Path) -> None:
    assert verify_folder(folder) == folder


@pytest.mark.parametrize("bit", range(0, 256 * 8, 97))
def test_every_bit_counts(folder: Path, bit: int) -> None:
    file = folder / "unet" / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"weights/unet/model\.safetensors.*is not what was shipped.*install"):
        verify_folder(folder)


@pytest.mark.parametrize(
    ("name", "data"),
    [("card.md", None), ("SHA256SUMS", None), ("SHA256SUMS", b""), ("SHA256SUMS", b"nothing"), ("SHA256SUMS", b"\xff")],
)
def test_missing_files_and_invalid_checksums_are_one_line(folder: Path, name: str, data: bytes | None) -> None:
    if data is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(data)
    with pytest.raises(ValueError, match="install modeseek again") as caught:
        verify_folder(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("folder", sorted(path.name for path in data_folder().iterdir() if path.is_dir()))
def test_every_bundled_file_has_a_checksum(folder: str) -> None:
    path = packaged_weights(folder)
    listed = {line.split("  ", 1)[1] for line in (path / "SHA256SUMS").read_text().splitlines()}
    files = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()}
    assert files == listed | {"SHA256SUMS"}


def test_checksums_that_are_written_are_those_that_are_read(folder: Path, tmp_path: Path) -> None:
    before = (folder / "SHA256SUMS").read_text()
    assert write_checksums(folder) == folder / "SHA256SUMS" and (folder / "SHA256SUMS").read_text() == before
    (folder / "card.md").write_text("another card")
    write_checksums(folder)
    assert verify_folder(folder) == folder and (folder / "SHA256SUMS").read_text() != before
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match="must hold files, got"):
        write_checksums(tmp_path / "nothing")
