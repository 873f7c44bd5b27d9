"""Damaged checkpoints: every byte is verified, what is wrong is said, and the one before it is used."""

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
from disk_faults import keep_some, same, snapshot, state
from fuzz import EXAMPLES, file_damage, error_line, soak
from hypothesis import given
from hypothesis import strategies as st

from modeseek.rundir.checkpoint import newest_checkpoint, read_checkpoint, write_checkpoint, list_checkpoints


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return keep_some(tmp_path / "checkpoints", [])


def outcome(path: Path, wanted: dict[str, Any]) -> str:
    """How a damaged checkpoint is met: named in one line, or restored to the very same."""
    line = error_line(lambda: read_checkpoint(path))
    if line is None:
        assert same(read_checkpoint(path).restore(None), wanted), "altered and not noticed"
        return "harmless"
    assert line.startswith(f"checkpoint {path.name} is damaged: ") and len(line) < 500
    return "named"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One to damage and to mend again."""
    return write_checkpoint(tmp_path_factory.mktemp("checkpoints"), 5, state(5))


FILES = ("manifest.json", "state.json", "tensors.safetensors")


@pytest.mark.parametrize("name", FILES)
def test_every_truncation_is_noticed(folder: Path, name: str) -> None:
    path = write_checkpoint(folder, 5, state(5))
    data = (path / name).read_bytes()
    for length in range(len(data)):
        (path / name).write_bytes(data[:length])
        assert outcome(path, state(5)) == "named"
        told = "no readable JSON" if name == "manifest.json" else f"{name} has {length} bytes, not {len(data)}"
        assert told in newest_checkpoint(folder)[1][0]
    for extra in (b"\0", b" ", data):
        (path / name).write_bytes(data + extra)
        assert outcome(path, state(5)) == ("harmless" if name == "manifest.json" and extra == b" " else "named")


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_bit_is_noticed_or_harmless(folder: Path, name: str) -> None:
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


def test_flipped_bits_of_large_files_are_noticed(folder: Path) -> None:
    path, draw = write_checkpoint(folder, 5, state(5, n=50_000)), random.Random(0)
    data = bytearray((path / "tensors.safetensors").read_bytes())
    for _ in range(60):
        at, bit = draw.randrange(len(data)), draw.randrange(8)
        data[at] ^= 1 << bit
        (path / "tensors.safetensors").write_bytes(data)
        assert outcome(path, {}) == "named"
        data[at] ^= 1 << bit


@soak
@given(name=st.sampled_from(FILES), damage=file_damage())
def test_fuzz_any_damage_is_noticed_or_harmless(saved: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
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


def change(**news: Any) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        manifest = json.loads((path / "manifest.json").read_text())
        (path / "manifest.json").write_text(json.dumps(manifest | news))

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
    "no files": (change(files={}), "its manifest or state is no readable JSON of ours"),
    "odd files": (change(files=[1]), "its manifest or state is no readable JSON of ours"),
    "a list": (lambda path: (path / "manifest.json").write_text("[]") and None, "no readable JSON of ours"),
    "too deep": (lambda path: (path / "manifest.json").write_text("[" * 10**5) and None, "no readable JSON of ours"),
    "no text": (
        lambda path: (path / "manifest.json").write_bytes(b"\xff\xfe\xfd") and None,
        "no readable JSON of ours",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_one_is_named_and_the_one_before_it_used(folder: Path, case: str) -> None:
    keep_some(folder, [1, 2])
    damage, reason = DAMAGE[case]
    damage(folder / "step-00000002")
    before = snapshot(folder)
    found, wrong = newest_checkpoint(folder)
    assert found is not None and found.step == 1 and same(found.restore(None), state(1))
    assert len(wrong) == 1 and "\n" not in wrong[0]
    with pytest.raises(ValueError, match=rf"^checkpoint step-00000002 is damaged: .*{reason}") as caught:
        read_checkpoint(folder / "step-00000002")
    assert one_line(caught.value) == wrong[0] and len(wrong[0]) < 400
    assert snapshot(folder) == before, "looking changes nothing"


def test_a_renamed_folder_is_noticed(folder: Path) -> None:
    keep_some(folder, [1, 2])
    (folder / "step-00000002").rename(folder / "step-00000005")
    assert "it holds step 2" in newest_checkpoint(folder)[1][0]
    (folder / "step-00000001").rename(folder / "mine")
    with pytest.raises(ValueError, match="checkpoint mine is damaged: its name is no step"):
        read_checkpoint(folder / "mine")
    (folder / "mine").rename(folder / "step-000000001")
    assert newest_checkpoint(folder)[0].step == 1, "another way to write the same number"


def test_all_damaged_are_all_named(folder: Path) -> None:
    keep_some(folder, [1, 2, 3])
    for path in list_checkpoints(folder):
        (path / "manifest.json").unlink()
    found, wrong = newest_checkpoint(folder)
    assert found is None
    assert [line.split()[1] for line in wrong] == ["step-00000003", "step-00000002", "step-00000001"]


def forged(path: Path, plain: Any, tensors: bytes) -> None:
    """Files that hold together, from somebody who means no good."""
    files = {"state.json": json.dumps({"step": 1, "state": plain}).encode(), "tensors.safetensors": tensors}
    sums = {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
    manifest = {"format": "modeseek-checkpoint-1", "step": 1, "files": sums}
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
def test_tensors_that_hold_together_and_are_none(folder: Path, tensors: bytes) -> None:
    path = write_checkpoint(folder, 1, state(1))
    forged(path, None, tensors)
    line = error_line(lambda: read_checkpoint(path))
    assert line is not None and line.startswith("checkpoint step-00000001 is damaged: ")


def test_a_file_that_may_not_be_read_is_named(folder: Path) -> None:
    secret = keep_some(folder, [1, 2]) / "step-00000002" / "state.json"
    secret.chmod(0)
    if os.access(secret, os.R_OK):
        secret.chmod(stat.S_IRUSR)
        pytest.skip("root reads every file")
    assert "state.json: Permission denied" in newest_checkpoint(folder)[1][0]
