"""Writes that survive a crash: cut short at every call, on full disks and on read-only ones."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from disk_faults import Disk, Killed, small_disk, snapshot

from modeseek.io import atomic as disk
from modeseek.io.atomic import LineFile, truncate_lines, unused_path, remove_folder, recover_folder, atomic_folder, write_synced, write_atomic

OLD, NEW = b"the old one", b"the new one, which is longer"


def fill(target: Path, files: dict[str, bytes], fresh: bool = False) -> None:
    with atomic_folder(target, fresh) as scratch:
        for name, data in files.items():
            disk.write_synced(scratch / name, data)


def files_of(folder: Path) -> dict[str, bytes | None]:
    return snapshot(folder) if folder.exists() else {}


def calls_of(work: object, patch: pytest.MonkeyPatch) -> list[str]:
    """The calls that a piece of work makes when nothing fails."""
    with patch.context() as here:
        counted = Disk(here)
        work()
        return counted.calls


def test_a_file_is_written_synced_renamed_and_its_folder_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    seen: list[str] = []

    def sync(handle: int) -> None:
        name = os.readlink(f"/proc/self/fd/{handle}") if Path("/proc/self/fd").exists() else "?"
        seen.append(f"sync {Path(name).name}")

    def rename(source: Path, target: Path) -> None:
        seen.append(f"rename {source.name} {target.name}")
        os.replace(source, target)

    monkeypatch.setattr(disk, "_sync", sync)
    monkeypatch.setattr(disk, "_rename", rename)
    write_atomic(path, "text ü")
    assert path.read_text(encoding="utf-8") == "text ü" and os.listdir(tmp_path) == ["a.json"]
    if Path("/proc/self/fd").exists():
        assert seen == ["sync .a.json.part", "rename .a.json.part a.json", f"sync {tmp_path.name}"]
        seen.clear()
        fill(tmp_path / "folder", {"x": b"1", "y": b"2"})
        assert seen == [
            *("sync x", "sync y", "sync .folder.part", "rename .folder.part folder"),
            f"sync {tmp_path.name}",
        ]
        seen.clear()
        fill(tmp_path / "folder", {"x": b"3"})
        assert snapshot(tmp_path) == {"a.json": "text ü".encode(), "folder": None, "folder/x": b"3"}
        assert seen[1:] == [
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
        with monkeypatch.context() as here, pytest.raises(OSError, match="No space left"):
            Disk(here, at, half)
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
        with monkeypatch.context() as here, pytest.raises(Killed):
            Disk(here, at, half, kill=True)
            write_atomic(path, NEW)
        assert path.read_bytes() == (OLD if at < 3 else NEW)
        recover_folder(tmp_path)
        assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError, ValueError])
def test_whatever_ends_a_write_leaves_no_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    def interrupted(handle: int) -> None:
        raise stop

    write_atomic(tmp_path / "a", OLD)
    with monkeypatch.context() as here, pytest.raises(stop):
        here.setattr(disk, "_sync", interrupted)
        write_atomic(tmp_path / "a", NEW)
    for fresh in (False, True):
        with pytest.raises(stop), atomic_folder(tmp_path / "folder", fresh):
            raise stop
    assert snapshot(tmp_path) == {"a": OLD}


BEFORE, AFTER = {"x": OLD, "y": b""}, {"x": NEW, "z": b"1"}


@pytest.mark.parametrize("half", [False, True], ids=["refused", "half written"])
@pytest.mark.parametrize("there", [False, True], ids=["new", "replaced"])
def test_a_folder_is_old_or_new_whichever_call_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool, half: bool
) -> None:
    target = tmp_path / "step"
    if there:
        fill(target, BEFORE)
    calls = calls_of(lambda: fill(target, BEFORE), monkeypatch)
    assert calls[-3:] == ["_rename", "_rename", "_sync"] if there else calls[-2:] == ["_rename", "_sync"]
    for at in range(len(calls)):
        shutil.rmtree(target)
        if there:
            fill(target, BEFORE)
        with monkeypatch.context() as here, pytest.raises(OSError, match="No space left"):
            Disk(here, at, half)
            fill(target, AFTER)
        last = at == len(calls) - 1
        assert files_of(target) == (AFTER if last else BEFORE if there else {})
        recover_folder(tmp_path)
        assert os.listdir(tmp_path) == (["step"] if there or last else [])
        fill(target, AFTER)
        assert files_of(target) == AFTER


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("there", [False, True], ids=["new", "replaced"])
def test_a_folder_is_old_or_new_whenever_the_process_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool, half: bool
) -> None:
    target = tmp_path / "step"
    if there:
        fill(target, BEFORE)
    calls = calls_of(lambda: fill(target, BEFORE), monkeypatch)
    for at in range(len(calls)):
        if target.exists():
            shutil.rmtree(target)
        if there:
            fill(target, BEFORE)
        with monkeypatch.context() as here, pytest.raises(Killed):
            Disk(here, at, half, kill=True)
            fill(target, AFTER)
        recover_folder(tmp_path)
        assert files_of(target) == (AFTER if at == len(calls) - 1 else BEFORE if there else {})
        assert os.listdir(tmp_path) == (["step"] if target.exists() else []), "nothing is left over"


def test_a_kill_between_the_two_renames_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "step"
    fill(target, BEFORE)
    renames = [i for i, name in enumerate(calls_of(lambda: fill(target, BEFORE), monkeypatch)) if name == "_rename"]
    with monkeypatch.context() as here, pytest.raises(Killed):
        Disk(here, renames[1], kill=True)
        fill(target, AFTER)
    assert not target.exists()
    fill(tmp_path / "other", AFTER)
    recover_folder(tmp_path)
    assert files_of(target) == BEFORE and files_of(tmp_path / "other") == AFTER


def test_a_folder_left_half_removed_is_never_taken_for_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "step"
    fill(target, BEFORE)

    def killed(folder: Path) -> None:
        (Path(folder) / "x").unlink()
        raise Killed

    with monkeypatch.context() as here, pytest.raises(Killed):
        here.setattr(shutil, "rmtree", killed)
        remove_folder(target)
    assert not target.exists()
    fill(target, AFTER)
    remove_folder(target)
    assert not target.exists(), "old leftovers are in nobody's way"
    recover_folder(tmp_path)
    assert os.listdir(tmp_path) == []


def test_only_our_own_leftovers_are_swept(tmp_path: Path) -> None:
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


def test_a_fresh_folder_takes_no_other_name(tmp_path: Path) -> None:
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


def test_a_name_taken_at_the_last_moment_stays_with_who_took_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, real = tmp_path / "run", os.replace

    def late(source: Path, goal: Path) -> None:
        target.mkdir()
        (target / "x").write_bytes(OLD)
        real(source, goal)

    monkeypatch.setattr(disk, "_rename", late)
    with pytest.raises(OSError):
        fill(target, AFTER, fresh=True)
    assert files_of(target) == {"x": OLD} and os.listdir(tmp_path) == ["run"]


def test_free_names(tmp_path: Path) -> None:
    assert unused_path(tmp_path / "a.csv") == tmp_path / "a.csv"
    (tmp_path / "a.csv").touch()
    assert unused_path(tmp_path / "a.csv").name == "a-2.csv"
    (tmp_path / "a-2.csv").touch()
    assert unused_path(tmp_path / "a.csv").name == "a-3.csv"
    (tmp_path / "lr0.5").mkdir()
    assert unused_path(tmp_path / "lr0.5").name == "lr0.5", "an empty folder is free"
    (tmp_path / "lr0.5" / "x").touch()
    assert unused_path(tmp_path / "lr0.5").name == "lr0.5-2", "a folder has no suffix"


def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk"):
        path, target = tmp_path / "disk" / "a", tmp_path / "disk" / "step"
        write_atomic(path, OLD)
        fill(target, BEFORE)
        there = snapshot(tmp_path / "disk")
        for attempt in (
            lambda: write_atomic(path, b"x" * 200_000),
            lambda: fill(target, {"x": b"x" * 200_000}),
            lambda: fill(tmp_path / "disk" / "run", {"x": b"1", "y": b"x" * 200_000}, fresh=True),
        ):
            with pytest.raises(OSError) as caught:
                attempt()
            assert caught.value.errno == errno.ENOSPC
            assert snapshot(tmp_path / "disk") == there, "nothing is left over, so that there is room again"
        write_atomic(path, NEW)
        assert path.read_bytes() == NEW


def test_a_read_only_disk_is_an_error_and_no_more(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as freeze:
        path, target = tmp_path / "disk" / "a", tmp_path / "disk" / "step"
        write_atomic(path, OLD)
        fill(target, BEFORE)
        there = snapshot(tmp_path / "disk")
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
        assert snapshot(tmp_path / "disk") == there
