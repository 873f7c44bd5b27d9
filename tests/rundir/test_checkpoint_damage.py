"""Damaged checkpoints: every byte is verified, the damage is reported, and the previous checkpoint is used."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cases import one_line
from disk_faults import same, snapshot, state, write_checkpoints
from fuzz import EXAMPLES, error_line, file_damage, soak
from hypothesis import given
from hypothesis import strategies as st

from modeseek.rundir.checkpoint import (
    EarlierVersionError,
    check_formats,
    list_checkpoints,
    newest_checkpoint,
    read_checkpoint,
    write_checkpoint,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_checkpoints(tmp_path / "checkpoints", [])


def outcome(path: Path, wanted: dict[str, Any]) -> str:
    """Outcome of reading: reported in one line, or restored to the same state."""
    line = error_line(lambda: read_checkpoint(path))
    if line is None:
        assert same(read_checkpoint(path).restore(None), wanted), "altered without an error"
        return "harmless"
    assert line.startswith(f"checkpoint {path.name} is damaged: ") and len(line) < 500
    return "reported"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that tests damage and restore."""
    return write_checkpoint(tmp_path_factory.mktemp("checkpoints"), 5, state(5))


FILES = ("manifest.json", "state.json", "tensors.safetensors")


@pytest.mark.parametrize("name", FILES)
def test_every_truncation_is_detected(folder: Path, name: str) -> None:
    path = write_checkpoint(folder, 5, state(5))
    data = (path / name).read_bytes()
    for length in range(len(data)):
        (path / name).write_bytes(data[:length])
        assert outcome(path, state(5)) == "reported"
        message = (
            "is not the JSON that modeseek writes"
            if name == "manifest.json"
            else f"{name} has {length} bytes, not {len(data)}"
        )
        assert message in newest_checkpoint(folder)[1][0]
    for extra in (b"\0", b" ", data):
        (path / name).write_bytes(data + extra)
        assert outcome(path, state(5)) == ("harmless" if name == "manifest.json" and extra == b" " else "reported")


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_bit_is_detected_or_harmless(folder: Path, name: str) -> None:
    path = write_checkpoint(folder, 5, state(5))
    data = bytearray((path / name).read_bytes())
    harmless = 0
    for at in range(len(data)):
        for bit in range(8) if EXAMPLES > 200 else [at % 8]:
            data[at] ^= 1 << bit
            (path / name).write_bytes(data)
            harmless += outcome(path, state(5)) == "harmless"
            data[at] ^= 1 << bit
    assert harmless == 0 if name != "manifest.json" else harmless < 0.05 * len(data)


def test_flipped_bits_of_large_files_are_detected(folder: Path) -> None:
    path, draw = write_checkpoint(folder, 5, state(5, n=50_000)), random.Random(0)
    data = bytearray((path / "tensors.safetensors").read_bytes())
    for _ in range(60):
        at, bit = draw.randrange(len(data)), draw.randrange(8)
        data[at] ^= 1 << bit
        (path / "tensors.safetensors").write_bytes(data)
        assert outcome(path, {}) == "reported"
        data[at] ^= 1 << bit


@soak
@given(name=st.sampled_from(FILES), damage=file_damage())
def test_fuzz_any_damage_is_detected_or_harmless(saved: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    data = (saved / name).read_bytes()
    try:
        (saved / name).write_bytes(damage(data))
        outcome(saved, state(5))
    finally:
        (saved / name).write_bytes(data)
    assert outcome(saved, state(5)) == "harmless"


def remove(name: str) -> Callable[[Path], None]:
    return lambda path: (path / name).unlink()


def swap(name: str) -> Callable[[Path], None]:
    return lambda path: shutil.copy(path.parent / "step-00000001" / name, path / name) and None


def change(**entries: Any) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        manifest = json.loads((path / "manifest.json").read_text())
        (path / "manifest.json").write_text(json.dumps(manifest | entries))

    return apply


def all_swapped(path: Path) -> None:
    for name in FILES:
        swap(name)(path)


def folder_for(name: str) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        (path / name).unlink()
        (path / name).mkdir()

    return apply


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "no manifest": (remove("manifest.json"), r"manifest\.json: No such file"),
    "no state": (remove("state.json"), r"state\.json: No such file"),
    "no tensors": (remove("tensors.safetensors"), r"tensors\.safetensors: No such file"),
    "tensors of another": (swap("tensors.safetensors"), r"tensors\.safetensors was altered: its SHA-256 differs"),
    "state of another": (swap("state.json"), r"state\.json (was altered|has \d+ bytes, not \d+)"),
    "manifest of another": (swap("manifest.json"), "(was altered|has .* bytes)"),
    "everything of another": (all_swapped, "it holds step 1"),
    "a folder for tensors": (folder_for("tensors.safetensors"), r"tensors\.safetensors: Is a directory"),
    "a folder for the manifest": (folder_for("manifest.json"), r"manifest\.json: Is a directory"),
    "another format": (change(format="modeseek-checkpoint-9"), "its format is 'modeseek-checkpoint-9', not 'modeseek-"),
    "a long format": (change(format="\n" * 9999), "its format is"),
    "no format": (change(format=None), "its format is 'None'"),
    "another step": (change(step=8), "it holds step 2"),
    "no files": (change(files={}), "its manifest or state is not the JSON that modeseek writes"),
    "odd files": (change(files=[1]), "its manifest or state is not the JSON that modeseek writes"),
    "a list": (lambda path: (path / "manifest.json").write_text("[]") and None, "is not the JSON that modeseek writes"),
    "too deep": (
        lambda path: (path / "manifest.json").write_text("[" * 10**5) and None,
        "is not the JSON that modeseek writes",
    ),
    "no text": (
        lambda path: (path / "manifest.json").write_bytes(b"\xff\xfe\xfd") and None,
        "is not the JSON that modeseek writes",
    ),
}


def test_a_checkpoint_of_an_earlier_version_is_refused_in_one_line(folder: Path) -> None:
    write_checkpoints(folder, [1, 2])
    for path in list_checkpoints(folder):
        change(format="modeseek-checkpoint-1")(path)
    before = snapshot(folder)
    message = "the run of checkpoint step-00000002 was made by an earlier version of modeseek and cannot be resumed: "
    for read in (lambda: read_checkpoint(folder / "step-00000002"), lambda: newest_checkpoint(folder)):
        with pytest.raises(EarlierVersionError, match=f"^{message}") as caught:
            read()
        assert len(one_line(caught.value)) < 300
    with pytest.raises(EarlierVersionError, match=r"earlier version .* cannot be resumed: .*; start a new run"):
        check_formats(folder)
    assert snapshot(folder) == before
    (folder / "step-00000001" / "manifest.json").write_text("{")
    change(format="modeseek-checkpoint-9")(folder / "step-00000002")
    check_formats(folder)  # damage and later formats are reported when the checkpoint is read


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_checkpoint_is_reported_and_the_previous_one_used(folder: Path, case: str) -> None:
    write_checkpoints(folder, [1, 2])
    damage, reason = DAMAGE[case]
    damage(folder / "step-00000002")
    before = snapshot(folder)
    newest, damaged = newest_checkpoint(folder)
    assert newest is not None and newest.step == 1 and same(newest.restore(None), state(1))
    assert len(damaged) == 1 and "\n" not in damaged[0]
    with pytest.raises(ValueError, match=rf"^checkpoint step-00000002 is damaged: .*{reason}") as caught:
        read_checkpoint(folder / "step-00000002")
    assert one_line(caught.value) == damaged[0] and len(damaged[0]) < 400
    assert snapshot(folder) == before, "reading changes nothing"


def test_a_renamed_folder_is_detected(folder: Path) -> None:
    write_checkpoints(folder, [1, 2])
    (folder / "step-00000002").rename(folder / "step-00000005")
    assert "it holds step 2" in newest_checkpoint(folder)[1][0]
    (folder / "step-00000001").rename(folder / "mine")
    with pytest.raises(ValueError, match="checkpoint mine is damaged: its name is not step-NNNNNNNN"):
        read_checkpoint(folder / "mine")
    (folder / "mine").rename(folder / "step-000000001")
    assert newest_checkpoint(folder)[0].step == 1, "another way to write the same number"


def test_all_damaged_checkpoints_are_reported(folder: Path) -> None:
    write_checkpoints(folder, [1, 2, 3])
    for path in list_checkpoints(folder):
        (path / "manifest.json").unlink()
    newest, damaged = newest_checkpoint(folder)
    assert newest is None
    assert [line.split()[1] for line in damaged] == ["step-00000003", "step-00000002", "step-00000001"]


def forge(path: Path, plain: Any, tensors: bytes) -> None:
    """Writes files with consistent checksums and malicious contents."""
    files = {"state.json": json.dumps({"step": 1, "state": plain}).encode(), "tensors.safetensors": tensors}
    sums = {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
    manifest = {"format": "modeseek-checkpoint-2", "step": 1, "files": sums}
    for name, data in (files | {"manifest.json": json.dumps(manifest).encode()}).items():
        (path / name).write_bytes(data)


@pytest.mark.parametrize(
    "tensors",
    [
        b"",
        b"\x80\x04\x95pickle",
        b"\xff" * 8 + b"{}",
        (2**40).to_bytes(8, "little") + b"{}",
        b"\x02\0\0\0\0\0\0\0{}and more",
        b'\x45\0\0\0\0\0\0\0{"a":{"dtype":"F32","shape":[9999999999],"data_offsets":[0,4]}}       ' + b"0000",
        b'\x3f\0\0\0\0\0\0\0{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}          ' + b"0",
    ],
)
def test_malformed_tensors_with_valid_checksums_are_damage(folder: Path, tensors: bytes) -> None:
    path = write_checkpoint(folder, 1, state(1))
    forge(path, None, tensors)
    line = error_line(lambda: read_checkpoint(path))
    assert line is not None and line.startswith("checkpoint step-00000001 is damaged: ")


def test_an_unreadable_file_is_reported(folder: Path) -> None:
    secret = write_checkpoints(folder, [1, 2]) / "step-00000002" / "state.json"
    secret.chmod(0)
    if os.access(secret, os.R_OK):
        secret.chmod(stat.S_IRUSR)
        pytest.skip("root reads every file")
    assert "state.json: Permission denied" in newest_checkpoint(folder)[1][0]
