"""Checkpoints: atomic writes, verification, retention, and failures while saving."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import one_line
from disk_faults import FailingDisk, Killed, same, small_disk, snapshot, state, write_checkpoints
from fuzz import error_line
from torch import nn

from modeseek.io.atomic import recover_folder
from modeseek.rundir.checkpoint import list_checkpoints, newest_checkpoint, read_checkpoint, write_checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_checkpoints(tmp_path / "checkpoints", [])


def names(folder: Path) -> list[str]:
    return [path.name for path in list_checkpoints(folder)]


def test_a_saved_state_is_restored(folder: Path) -> None:
    path = write_checkpoint(folder, 7, state(7))
    assert path == folder / "step-00000007"
    assert sorted(os.listdir(path)) == ["manifest.json", "state.json", "tensors.safetensors"]
    checkpoint = read_checkpoint(path)
    assert checkpoint.step == 7 and checkpoint.path == path and same(checkpoint.restore(None), state(7))
    newest, damaged = newest_checkpoint(folder)
    assert newest is not None and newest.step == 7 and damaged == []


def test_the_manifest_lists_the_files(folder: Path) -> None:
    path = write_checkpoint(folder, 7, state(7))
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["step"] == 7 and manifest["format"] == "modeseek-checkpoint-2"
    for name in ("state.json", "tensors.safetensors"):
        data = (path / name).read_bytes()
        assert manifest["files"][name] == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_empty_states_and_states_without_tensors(folder: Path) -> None:
    for step, value in enumerate([None, {}, {"a": 1}, torch.zeros(0, 3), 0.0]):
        assert same(read_checkpoint(write_checkpoint(folder, step, value)).restore(None), value)


def test_modules_are_restored_into_the_template(folder: Path) -> None:
    net, other = nn.Linear(2, 2), nn.Linear(2, 2)
    restored = read_checkpoint(write_checkpoint(folder, 1, {"net": net})).restore({"net": other})
    assert restored["net"] is other and torch.equal(net.weight, other.weight)
    with pytest.raises(ValueError, match=r"^step-00000001 does not fit this run: state\.net .*version that") as caught:
        read_checkpoint(folder / "step-00000001").restore({"net": nn.Linear(3, 2)})
    one_line(caught.value)


# Retention.


def test_the_newest_are_kept_and_never_fewer_than_two(folder: Path) -> None:
    for keep, left in ((3, 3), (2, 2), (1, 2), (0, 2), (-5, 2)):
        shutil.rmtree(folder)
        write_checkpoints(folder, [1, 2, 3, 4, 5], keep)
        assert names(folder) == [f"step-{step:08d}" for step in range(6 - left, 6)]
    write_checkpoints(folder, [6], 2)
    assert names(folder) == ["step-00000005", "step-00000006"]


def test_two_checkpoints_exist_at_any_moment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoints(folder, [1, 2], 2)
    real = shutil.rmtree

    def checked_rmtree(path: Path, **options: Any) -> None:
        assert sum(not error_line(lambda p=p: read_checkpoint(p)) for p in list_checkpoints(folder)) >= 2
        real(path, **options)

    monkeypatch.setattr(shutil, "rmtree", checked_rmtree)
    write_checkpoints(folder, [3, 4, 5], 2)


def test_later_damaged_checkpoints_are_removed_and_intact_ones_kept(folder: Path) -> None:
    """The newer ones are damaged, so the run resumes from an older one: that one and the next must be kept."""
    write_checkpoints(folder, [10, 20, 30, 40])
    for step in (30, 40):
        (folder / f"step-{step:08d}" / "state.json").write_bytes(b"{}")
    assert newest_checkpoint(folder)[0].step == 20
    write_checkpoints(folder, [25], 2)
    assert names(folder) == ["step-00000020", "step-00000025"]
    newest, damaged = newest_checkpoint(folder)
    assert newest.step == 25 and same(newest.restore(None), state(25)) and damaged == []


def test_the_same_step_again_replaces_it(folder: Path) -> None:
    write_checkpoints(folder, [1, 2])
    write_checkpoint(folder, 2, state(99))
    assert names(folder) == ["step-00000001", "step-00000002"] and same(
        newest_checkpoint(folder)[0].restore(None), state(99)
    )
    assert sorted(os.listdir(folder)) == names(folder)


def test_steps_are_ordered_as_numbers(folder: Path) -> None:
    write_checkpoints(folder, [99_999_999, 100_000_000, 1_000_000_000], 2)
    assert names(folder) == ["step-100000000", "step-1000000000"]


def test_other_files_in_the_folder_are_ignored(folder: Path) -> None:
    write_checkpoint(folder, 1, state(1))
    others = ["step-1", "step-0000000x", "notes", "step-00000001-copy", "step-\u0661" + "0" * 7, "step-00000009"]
    for name in others[:5]:
        (folder / name).mkdir()
    (folder / others[5]).write_bytes(b"a file")
    write_checkpoint(folder, 2, state(2))
    write_checkpoint(folder, 3, state(3))
    assert names(folder) == ["step-00000002", "step-00000003"] and set(others) <= set(os.listdir(folder))
    assert newest_checkpoint(folder)[1] == []


def test_a_missing_folder() -> None:
    assert list_checkpoints(Path("no/such/folder")) == [] and newest_checkpoint(Path("no/such/folder")) == (None, [])


# Failures while saving.


@pytest.fixture
def two(folder: Path) -> Iterator[Path]:
    yield write_checkpoints(folder, [1, 2], 2)


def count(folder: Path, step: int, monkeypatch: pytest.MonkeyPatch) -> int:
    with monkeypatch.context() as patch:
        disk = FailingDisk(patch)
        write_checkpoint(folder, step, state(step))
        return len(disk.calls)


@pytest.mark.parametrize("half", [False, True], ids=["refused", "half written"])
@pytest.mark.parametrize("step", [3, 2], ids=["the next", "the same again"])
def test_a_save_that_fails_leaves_the_earlier_ones(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: int, half: bool
) -> None:
    calls = count(write_checkpoints(folder, [1, 2], 2), step, monkeypatch)
    assert calls >= 9
    for at in range(calls):
        shutil.rmtree(folder)
        write_checkpoints(folder, [1, 2], 2)
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
            FailingDisk(patch, at, half)
            write_checkpoint(folder, step, state(9) | {"step": step})
        intact = [read_checkpoint(path) for path in list_checkpoints(folder)]
        assert len(intact) >= 2
        for checkpoint in intact:
            expected = (state(checkpoint.step), state(9) | {"step": checkpoint.step})
            assert any(same(checkpoint.restore(None), value) for value in expected)
        left = [name for name in os.listdir(folder) if not name.startswith("step-")]
        last = step == 2 and at == calls - 1  # it is unknown whether the rename reached the disk
        assert left == ([".step-00000002.before"] if last else [])
        recover_folder(folder)
        assert sorted(os.listdir(folder)) == names(folder)
        write_checkpoint(folder, 4, state(4))
        assert newest_checkpoint(folder)[0].step == 4


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("step", [3, 2], ids=["the next", "the same again"])
def test_a_save_that_is_killed_leaves_the_earlier_ones(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: int, half: bool
) -> None:
    calls = count(write_checkpoints(folder, [1, 2], 2), step, monkeypatch)
    for at in range(calls):
        shutil.rmtree(folder)
        write_checkpoints(folder, [1, 2], 2)
        with monkeypatch.context() as patch, pytest.raises(Killed):
            FailingDisk(patch, at, half, kill=True)
            write_checkpoint(folder, step, state(9) | {"step": step})
        newest, damaged = newest_checkpoint(folder)
        assert newest is not None and damaged == [], "even before any clean-up"
        recover_folder(folder)
        assert all(name.startswith("step-") for name in os.listdir(folder)), "no leftovers"
        intact = [read_checkpoint(path) for path in list_checkpoints(folder)]
        assert len(intact) >= 2 and intact[-1].step >= 2
        for checkpoint in intact:
            expected = (state(checkpoint.step), state(9) | {"step": checkpoint.step})
            assert any(same(checkpoint.restore(None), value) for value in expected)


def test_partial_writes_are_removed(two: Path) -> None:
    (two / ".step-00000003.part").mkdir()
    (two / ".step-00000003.part" / "state.json").write_bytes(b"half")
    shutil.copytree(two / "step-00000001", two / ".step-00000000.trash")
    shutil.copytree(two / "step-00000002", two / ".step-00000002.before")
    assert newest_checkpoint(two)[0].step == 2 and names(two) == ["step-00000001", "step-00000002"]
    recover_folder(two)
    assert sorted(os.listdir(two)) == names(two) == ["step-00000001", "step-00000002"]


def test_a_state_that_cannot_be_saved_changes_nothing(two: Path) -> None:
    before = snapshot(two)
    with pytest.raises(TypeError, match=r"a checkpoint cannot save state\.f: got a function") as caught:
        write_checkpoint(two, 3, {"f": lambda: None})
    one_line(caught.value)
    assert snapshot(two) == before


def test_a_full_disk_keeps_the_earlier_ones(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk"):
        folder = write_checkpoints(tmp_path / "disk", [1, 2], 2)
        before = snapshot(folder)
        for step in (3, 2):
            with pytest.raises(OSError) as caught:
                write_checkpoint(folder, step, state(step, n=20_000))
            assert caught.value.errno == errno.ENOSPC
            assert snapshot(folder) == before
        write_checkpoint(folder, 3, state(3))
        assert newest_checkpoint(folder)[0].step == 3


def test_a_read_only_disk_keeps_and_reads_them(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as freeze:
        folder = write_checkpoints(tmp_path / "disk", [1, 2], 2)
        freeze()
        with pytest.raises(OSError) as caught:
            write_checkpoint(folder, 3, state(3))
        assert caught.value.errno == errno.EROFS
        newest, damaged = newest_checkpoint(folder)
        assert newest.step == 2 and same(newest.restore(None), state(2)) and damaged == []
