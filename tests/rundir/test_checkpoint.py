"""Checkpoints: whole or absent, verified byte by byte, and never the last one lost."""

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
from disk_faults import Disk, Killed, keep_some, same, small_disk, snapshot, state
from fuzz import error_line
from torch import nn

from modeseek.io.atomic import recover_folder
from modeseek.rundir.checkpoint import newest_checkpoint, read_checkpoint, write_checkpoint, list_checkpoints


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return keep_some(tmp_path / "checkpoints", [])


def names(folder: Path) -> list[str]:
    return [path.name for path in list_checkpoints(folder)]


def test_what_is_saved_is_restored(folder: Path) -> None:
    path = write_checkpoint(folder, 7, state(7))
    assert path == folder / "step-00000007"
    assert sorted(os.listdir(path)) == ["manifest.json", "state.json", "tensors.safetensors"]
    checkpoint = read_checkpoint(path)
    assert checkpoint.step == 7 and checkpoint.path == path and same(checkpoint.restore(None), state(7))
    found, wrong = newest_checkpoint(folder)
    assert found is not None and found.step == 7 and wrong == []


def test_the_manifest_says_what_is_there(folder: Path) -> None:
    path = write_checkpoint(folder, 7, state(7))
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["step"] == 7 and manifest["format"] == "modeseek-checkpoint-1"
    for name in ("state.json", "tensors.safetensors"):
        data = (path / name).read_bytes()
        assert manifest["files"][name] == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_states_without_tensors_and_of_nothing(folder: Path) -> None:
    for step, value in enumerate([None, {}, {"a": 1}, torch.zeros(0, 3), 0.0]):
        assert same(read_checkpoint(write_checkpoint(folder, step, value)).restore(None), value)


def test_modules_are_restored_into_the_template(folder: Path) -> None:
    net, other = nn.Linear(2, 2), nn.Linear(2, 2)
    back = read_checkpoint(write_checkpoint(folder, 1, {"net": net})).restore({"net": other})
    assert back["net"] is other and torch.equal(net.weight, other.weight)
    with pytest.raises(ValueError, match=r"^step-00000001 does not fit this run: state\.net .*version that") as caught:
        read_checkpoint(folder / "step-00000001").restore({"net": nn.Linear(3, 2)})
    one_line(caught.value)


# Which stay.


def test_the_newest_stay_and_never_fewer_than_two(folder: Path) -> None:
    for keep, left in ((3, 3), (2, 2), (1, 2), (0, 2), (-5, 2)):
        shutil.rmtree(folder)
        keep_some(folder, [1, 2, 3, 4, 5], keep)
        assert names(folder) == [f"step-{step:08d}" for step in range(6 - left, 6)]
    keep_some(folder, [6], 2)
    assert names(folder) == ["step-00000005", "step-00000006"]


def test_there_are_never_fewer_than_two_at_any_moment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_some(folder, [1, 2], 2)
    real = shutil.rmtree

    def watched(path: Path, **options: Any) -> None:
        assert sum(not error_line(lambda p=p: read_checkpoint(p)) for p in list_checkpoints(folder)) >= 2
        real(path, **options)

    monkeypatch.setattr(shutil, "rmtree", watched)
    keep_some(folder, [3, 4, 5], 2)


def test_what_a_run_came_back_from_goes_and_the_whole_ones_stay(folder: Path) -> None:
    """Newer ones are damaged, so the run goes on from an older one: that and the next must outlive them."""
    keep_some(folder, [10, 20, 30, 40])
    for step in (30, 40):
        (folder / f"step-{step:08d}" / "state.json").write_bytes(b"{}")
    assert newest_checkpoint(folder)[0].step == 20
    keep_some(folder, [25], 2)
    assert names(folder) == ["step-00000020", "step-00000025"]
    found, wrong = newest_checkpoint(folder)
    assert found.step == 25 and same(found.restore(None), state(25)) and wrong == []


def test_the_same_step_again_replaces_it(folder: Path) -> None:
    keep_some(folder, [1, 2])
    write_checkpoint(folder, 2, state(99))
    assert names(folder) == ["step-00000001", "step-00000002"] and same(newest_checkpoint(folder)[0].restore(None), state(99))
    assert sorted(os.listdir(folder)) == names(folder)


def test_steps_are_ordered_as_numbers(folder: Path) -> None:
    keep_some(folder, [99_999_999, 100_000_000, 1_000_000_000], 2)
    assert names(folder) == ["step-100000000", "step-1000000000"]


def test_other_things_in_the_folder_are_none_of_ours(folder: Path) -> None:
    write_checkpoint(folder, 1, state(1))
    others = ["step-1", "step-0000000x", "notes", "step-00000001-copy", "step-\u0661" + "0" * 7, "step-00000009"]
    for name in others[:5]:
        (folder / name).mkdir()
    (folder / others[5]).write_bytes(b"a file")
    write_checkpoint(folder, 2, state(2))
    write_checkpoint(folder, 3, state(3))
    assert names(folder) == ["step-00000002", "step-00000003"] and set(others) <= set(os.listdir(folder))
    assert newest_checkpoint(folder)[1] == []


def test_nothing_there() -> None:
    assert list_checkpoints(Path("no/such/folder")) == [] and newest_checkpoint(Path("no/such/folder")) == (None, [])


# Saving that fails.


@pytest.fixture
def two(folder: Path) -> Iterator[Path]:
    yield keep_some(folder, [1, 2], 2)


def count(folder: Path, step: int, monkeypatch: pytest.MonkeyPatch) -> int:
    with monkeypatch.context() as here:
        disk = Disk(here)
        write_checkpoint(folder, step, state(step))
        return len(disk.calls)


@pytest.mark.parametrize("half", [False, True], ids=["refused", "half written"])
@pytest.mark.parametrize("step", [3, 2], ids=["the next", "the same again"])
def test_a_save_that_fails_leaves_the_earlier_ones(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: int, half: bool
) -> None:
    calls = count(keep_some(folder, [1, 2], 2), step, monkeypatch)
    assert calls >= 9
    for at in range(calls):
        shutil.rmtree(folder)
        keep_some(folder, [1, 2], 2)
        with monkeypatch.context() as here, pytest.raises(OSError, match="No space left"):
            Disk(here, at, half)
            write_checkpoint(folder, step, state(9) | {"step": step})
        whole = [read_checkpoint(path) for path in list_checkpoints(folder)]
        assert len(whole) >= 2
        for checkpoint in whole:
            expected = (state(checkpoint.step), state(9) | {"step": checkpoint.step})
            assert any(same(checkpoint.restore(None), value) for value in expected)
        left = [name for name in os.listdir(folder) if not name.startswith("step-")]
        unsure = step == 2 and at == calls - 1  # whether the new one's name is on the disk
        assert left == ([".step-00000002.before"] if unsure else [])
        recover_folder(folder)
        assert sorted(os.listdir(folder)) == names(folder)
        write_checkpoint(folder, 4, state(4))
        assert newest_checkpoint(folder)[0].step == 4


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("step", [3, 2], ids=["the next", "the same again"])
def test_a_save_that_is_killed_leaves_the_earlier_ones(
    folder: Path, monkeypatch: pytest.MonkeyPatch, step: int, half: bool
) -> None:
    calls = count(keep_some(folder, [1, 2], 2), step, monkeypatch)
    for at in range(calls):
        shutil.rmtree(folder)
        keep_some(folder, [1, 2], 2)
        with monkeypatch.context() as here, pytest.raises(Killed):
            Disk(here, at, half, kill=True)
            write_checkpoint(folder, step, state(9) | {"step": step})
        found, wrong = newest_checkpoint(folder)
        assert found is not None and wrong == [], "even before anything is tidied up"
        recover_folder(folder)
        assert all(name.startswith("step-") for name in os.listdir(folder)), "no leftovers"
        whole = [read_checkpoint(path) for path in list_checkpoints(folder)]
        assert len(whole) >= 2 and whole[-1].step >= 2
        for checkpoint in whole:
            expected = (state(checkpoint.step), state(9) | {"step": checkpoint.step})
            assert any(same(checkpoint.restore(None), value) for value in expected)


def test_leftovers_are_swept(two: Path) -> None:
    (two / ".step-00000003.part").mkdir()
    (two / ".step-00000003.part" / "state.json").write_bytes(b"half")
    shutil.copytree(two / "step-00000001", two / ".step-00000000.trash")
    shutil.copytree(two / "step-00000002", two / ".step-00000002.before")
    assert newest_checkpoint(two)[0].step == 2 and names(two) == ["step-00000001", "step-00000002"]
    recover_folder(two)
    assert sorted(os.listdir(two)) == names(two) == ["step-00000001", "step-00000002"]


def test_a_state_that_cannot_be_kept_leaves_everything(two: Path) -> None:
    before = snapshot(two)
    with pytest.raises(TypeError, match=r"a checkpoint cannot keep state\.f: got a function") as caught:
        write_checkpoint(two, 3, {"f": lambda: None})
    one_line(caught.value)
    assert snapshot(two) == before


def test_a_full_disk_keeps_the_earlier_ones(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk"):
        folder = keep_some(tmp_path / "disk", [1, 2], 2)
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
        folder = keep_some(tmp_path / "disk", [1, 2], 2)
        freeze()
        with pytest.raises(OSError) as caught:
            write_checkpoint(folder, 3, state(3))
        assert caught.value.errno == errno.EROFS
        found, wrong = newest_checkpoint(folder)
        assert found.step == 2 and same(found.restore(None), state(2)) and wrong == []
