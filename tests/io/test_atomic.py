"""Crash-safe writes: failures at every call, full disks and read-only disks."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from disk_faults import FailingDisk, Killed, small_disk, snapshot

from modeseek.io import atomic as disk
from modeseek.io.atomic import (
    LineFile,
    atomic_folder,
    recover_folder,
    remove_folder,
    truncate_lines,
    unused_path,
    write_atomic,
    write_new_folder,
    write_synced,
)

OLD, NEW = b"the old one", b"the new one, which is longer"


def fill(target: Path, files: dict[str, bytes], fresh: bool = False) -> None:
    with atomic_folder(target, fresh) as scratch:
        for name, data in files.items():
            disk.write_synced(scratch / name, data)


def files_of(folder: Path) -> dict[str, bytes | None]:
    return snapshot(folder) if folder.exists() else {}


def calls_of(work: object, patch: pytest.MonkeyPatch) -> list[str]:
    """Disk calls of a function when nothing fails."""
    with patch.context() as counting:
        disk_ = FailingDisk(counting)
        work()
        return disk_.calls


def test_a_file_is_written_synced_renamed_and_its_folder_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    calls: list[str] = []

    def sync(handle: int) -> None:
        name = os.readlink(f"/proc/self/fd/{handle}") if Path("/proc/self/fd").exists() else "?"
        calls.append(f"sync {Path(name).name}")

    def rename(source: Path, target: Path) -> None:
        calls.append(f"rename {source.name} {target.name}")
        os.replace(source, target)

    monkeypatch.setattr(disk, "_sync", sync)
    monkeypatch.setattr(disk, "_rename", rename)
    write_atomic(path, "text ü")
    assert path.read_text(encoding="utf-8") == "text ü" and os.listdir(tmp_path) == ["a.json"]
    if Path("/proc/self/fd").exists():
        assert calls == ["sync .a.json.part", "rename .a.json.part a.json", f"sync {tmp_path.name}"]
        calls.clear()
        fill(tmp_path / "folder", {"x": b"1", "y": b"2"})
        assert calls == [
            *("sync x", "sync y", "sync .folder.part", "rename .folder.part folder"),
            f"sync {tmp_path.name}",
        ]
        calls.clear()
        fill(tmp_path / "folder", {"x": b"3"})
        assert snapshot(tmp_path) == {"a.json": "text ü".encode(), "folder": None, "folder/x": b"3"}
        assert calls[1:] == [
            *("sync .folder.part", "rename folder .folder.before", "rename .folder.part folder"),
            f"sync {tmp_path.name}",
        ]


@pytest.mark.parametrize("half", [False, True], ids=["refused", "half written"])
def test_a_file_is_old_or_new_whichever_call_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: bool) -> None:
    path = tmp_path / "a.json"
    calls = calls_of(lambda: write_atomic(path, OLD), monkeypatch)
    assert calls == ["write", "_sync", "_rename", "_sync"]
    for at in range(len(calls)):
        write_atomic(path, OLD)
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
            FailingDisk(patch, at, half)
            write_atomic(path, NEW)
        assert path.read_bytes() == (OLD if at < 3 else NEW)
        assert os.listdir(tmp_path) == ["a.json"], "no scratch file stays"


@pytest.mark.parametrize("half", [False, True])
def test_a_file_is_old_or_new_whenever_the_process_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: bool
) -> None:
    path = tmp_path / "a.json"
    for at in range(4):
        write_atomic(path, OLD)
        with monkeypatch.context() as patch, pytest.raises(Killed):
            FailingDisk(patch, at, half, kill=True)
            write_atomic(path, NEW)
        assert path.read_bytes() == (OLD if at < 3 else NEW)
        recover_folder(tmp_path)
        assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError, ValueError])
def test_any_exception_in_a_write_leaves_no_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    def interrupted(handle: int) -> None:
        raise stop

    write_atomic(tmp_path / "a", OLD)
    with monkeypatch.context() as patch, pytest.raises(stop):
        patch.setattr(disk, "_sync", interrupted)
        write_atomic(tmp_path / "a", NEW)
    for fresh in (False, True):
        with pytest.raises(stop), atomic_folder(tmp_path / "folder", fresh):
            raise stop
    assert snapshot(tmp_path) == {"a": OLD}


BEFORE, AFTER = {"x": OLD, "y": b""}, {"x": NEW, "z": b"1"}


@pytest.mark.parametrize("half", [False, True], ids=["refused", "half written"])
@pytest.mark.parametrize("exists", [False, True], ids=["new", "replaced"])
def test_a_folder_is_old_or_new_whichever_call_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool, half: bool
) -> None:
    target = tmp_path / "step"
    if exists:
        fill(target, BEFORE)
    calls = calls_of(lambda: fill(target, BEFORE), monkeypatch)
    assert calls[-3:] == ["_rename", "_rename", "_sync"] if exists else calls[-2:] == ["_rename", "_sync"]
    for at in range(len(calls)):
        shutil.rmtree(target)
        if exists:
            fill(target, BEFORE)
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
            FailingDisk(patch, at, half)
            fill(target, AFTER)
        last = at == len(calls) - 1
        assert files_of(target) == (AFTER if last else BEFORE if exists else {})
        recover_folder(tmp_path)
        assert os.listdir(tmp_path) == (["step"] if exists or last else [])
        fill(target, AFTER)
        assert files_of(target) == AFTER


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("exists", [False, True], ids=["new", "replaced"])
def test_a_folder_is_old_or_new_whenever_the_process_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool, half: bool
) -> None:
    target = tmp_path / "step"
    if exists:
        fill(target, BEFORE)
    calls = calls_of(lambda: fill(target, BEFORE), monkeypatch)
    for at in range(len(calls)):
        if target.exists():
            shutil.rmtree(target)
        if exists:
            fill(target, BEFORE)
        with monkeypatch.context() as patch, pytest.raises(Killed):
            FailingDisk(patch, at, half, kill=True)
            fill(target, AFTER)
        recover_folder(tmp_path)
        assert files_of(target) == (AFTER if at == len(calls) - 1 else BEFORE if exists else {})
        assert os.listdir(tmp_path) == (["step"] if target.exists() else []), "no partial files remain"


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "step"
    fill(target, BEFORE)
    renames = [i for i, name in enumerate(calls_of(lambda: fill(target, BEFORE), monkeypatch)) if name == "_rename"]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        FailingDisk(patch, renames[1], kill=True)
        fill(target, AFTER)
    assert not target.exists()
    fill(tmp_path / "other", AFTER)
    recover_folder(tmp_path)
    assert files_of(target) == BEFORE and files_of(tmp_path / "other") == AFTER


def test_a_partly_removed_folder_is_not_mistaken_for_an_intact_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "step"
    fill(target, BEFORE)

    def killed(folder: Path) -> None:
        (Path(folder) / "x").unlink()
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(shutil, "rmtree", killed)
        remove_folder(target)
    assert not target.exists()
    fill(target, AFTER)
    remove_folder(target)
    assert not target.exists(), "old partial files do not interfere"
    recover_folder(tmp_path)
    assert os.listdir(tmp_path) == []


def test_only_partial_writes_of_modeseek_are_removed(tmp_path: Path) -> None:
    kept = [".lock", ".hidden", "a.part", "b.trash", "step", ".parts", "c.before"]
    for name in kept:
        (tmp_path / name).write_bytes(OLD)
    (tmp_path / ".a.part").write_bytes(NEW)
    (tmp_path / ".b.trash").mkdir()
    (tmp_path / ".step.before").mkdir()
    (tmp_path / ".d.part").mkdir()
    (tmp_path / ".d.part" / "x").write_bytes(NEW)
    recover_folder(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)


def test_a_fresh_folder_replaces_nothing(tmp_path: Path) -> None:
    target = tmp_path / "run"
    fill(target, BEFORE, fresh=True)
    with pytest.raises(OSError) as caught:
        fill(target, AFTER, fresh=True)
    assert caught.value.errno in (errno.EEXIST, errno.ENOTEMPTY)
    assert files_of(target) == BEFORE and os.listdir(tmp_path) == ["run"]
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(OSError):
        fill(tmp_path / "file", AFTER, fresh=True)
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "empty", AFTER, fresh=True)
    assert files_of(tmp_path / "empty") == AFTER and (tmp_path / "file").read_bytes() == OLD


def test_a_folder_created_at_the_last_moment_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, real = tmp_path / "run", os.replace

    def late(source: Path, goal: Path) -> None:
        target.mkdir()
        (target / "x").write_bytes(OLD)
        real(source, goal)

    monkeypatch.setattr(disk, "_rename", late)
    with pytest.raises(OSError):
        fill(target, AFTER, fresh=True)
    assert files_of(target) == {"x": OLD} and os.listdir(tmp_path) == ["run"]


def test_unused_paths(tmp_path: Path) -> None:
    assert unused_path(tmp_path / "a.csv") == tmp_path / "a.csv"
    (tmp_path / "a.csv").touch()
    assert unused_path(tmp_path / "a.csv").name == "a-2.csv"
    (tmp_path / "a-2.csv").touch()
    assert unused_path(tmp_path / "a.csv").name == "a-3.csv"
    (tmp_path / "lr0.5").mkdir()
    assert unused_path(tmp_path / "lr0.5").name == "lr0.5", "an empty folder is free"
    (tmp_path / "lr0.5" / "x").touch()
    assert unused_path(tmp_path / "lr0.5").name == "lr0.5-2", "a folder has no suffix"


def test_a_folder_that_another_process_takes_meanwhile_is_unused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.iterdir

    def taken(path: Path) -> Iterator[Path]:
        path.rmdir()
        return real(path)

    (tmp_path / "mine").mkdir()
    monkeypatch.setattr(Path, "iterdir", taken)
    assert unused_path(tmp_path / "mine").name == "mine"


def test_a_full_disk_keeps_the_old_contents(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk"):
        path, target = tmp_path / "disk" / "a", tmp_path / "disk" / "step"
        write_atomic(path, OLD)
        fill(target, BEFORE)
        before = snapshot(tmp_path / "disk")
        for attempt in (
            lambda: write_atomic(path, b"x" * 200_000),
            lambda: fill(target, {"x": b"x" * 200_000}),
            lambda: fill(tmp_path / "disk" / "run", {"x": b"1", "y": b"x" * 200_000}, fresh=True),
        ):
            with pytest.raises(OSError) as caught:
                attempt()
            assert caught.value.errno == errno.ENOSPC
            assert snapshot(tmp_path / "disk") == before, "no partial files remain, so that the space is free again"
        write_atomic(path, NEW)
        assert path.read_bytes() == NEW


def test_a_read_only_disk_is_an_error_and_no_more(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as freeze:
        path, target = tmp_path / "disk" / "a", tmp_path / "disk" / "step"
        write_atomic(path, OLD)
        fill(target, BEFORE)
        before = snapshot(tmp_path / "disk")
        freeze()
        for attempt in (
            lambda: write_atomic(path, NEW),
            lambda: fill(target, AFTER),
            lambda: fill(tmp_path / "disk" / "run", AFTER, fresh=True),
            lambda: remove_folder(target),
            lambda: LineFile(path),
            lambda: truncate_lines(path, 0),
            lambda: write_synced(path, NEW),
        ):
            with pytest.raises(OSError) as caught:
                attempt()
            assert caught.value.errno == errno.EROFS
        assert snapshot(tmp_path / "disk") == before


def test_a_new_folder_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "deep" / "new"
    write_new_folder(target, AFTER)
    assert snapshot(target) == {name: AFTER[name] for name in AFTER} and os.listdir(target.parent) == ["new"]
    (tmp_path / "empty").mkdir()
    write_new_folder(tmp_path / "empty", AFTER)
    assert snapshot(tmp_path / "empty") == snapshot(target)
    (tmp_path / "file").write_bytes(OLD)
    for taken in (target, tmp_path / "file"):
        with pytest.raises(FileExistsError, match=f"must be a new folder, got {taken}"):
            write_new_folder(taken, BEFORE)
    for call in range(4):
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
            FailingDisk(patch, call)
            write_new_folder(tmp_path / "other" / "new", AFTER)
        assert os.listdir(tmp_path / "other") == []


def test_processes_that_write_one_file_have_scratch_files_of_their_own(tmp_path: Path) -> None:
    scratch: list[Path] = []
    real = disk.write_synced
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "write_synced", lambda path, data: (scratch.append(path), real(path, data)))
        for _ in range(2):
            write_atomic(tmp_path / "a", NEW, shared=True)
        write_atomic(tmp_path / "a", NEW)
    assert len(set(scratch)) == 3 and os.listdir(tmp_path) == ["a"]
