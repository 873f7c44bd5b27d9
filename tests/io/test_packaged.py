"""Weights that ship with modeseek are what was shipped, or they are refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from modeseek.io.packaged import data_folder, packaged_weights, verify_folder


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A folder of two files with its sums."""
    folder = tmp_path / "weights"
    (folder / "unet").mkdir(parents=True)
    (folder / "card.md").write_bytes(b"a card\n")
    (folder / "unet" / "model.safetensors").write_bytes(bytes(range(256)))
    names = ["card.md", "unet/model.safetensors"]
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(sums))
    return folder


def test_a_whole_folder_passes(sealed: Path) -> None:
    assert verify_folder(sealed) == sealed


@pytest.mark.parametrize("bit", range(0, 256 * 8, 97))
def test_every_bit_counts(sealed: Path, bit: int) -> None:
    file = sealed / "unet" / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"weights/unet/model\.safetensors.*is not what was shipped.*install"):
        verify_folder(sealed)


@pytest.mark.parametrize(
    ("name", "data"),
    [("card.md", None), ("SHA256SUMS", None), ("SHA256SUMS", b""), ("SHA256SUMS", b"nothing"), ("SHA256SUMS", b"\xff")],
)
def test_what_is_missing_or_no_sum_is_one_line(sealed: Path, name: str, data: bytes | None) -> None:
    if data is None:
        (sealed / name).unlink()
    else:
        (sealed / name).write_bytes(data)
    with pytest.raises(ValueError, match="install modeseek again") as caught:
        verify_folder(sealed)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("folder", sorted(path.name for path in data_folder().iterdir() if path.is_dir()))
def test_what_ships_is_sealed_wholly(folder: str) -> None:
    """No file lies there that nobody checks."""
    place = packaged_weights(folder)
    told = {line.split("  ", 1)[1] for line in (place / "SHA256SUMS").read_text().splitlines()}
    held = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
    assert held == told | {"SHA256SUMS"}
