"""Run folder: creation without overwriting, failures while creating, and loading by name."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cases import one_line
from disk_faults import CONFIG, FailingDisk, Killed, make, small_disk, snapshot

import modeseek as ms
from modeseek.config.config import Config
from modeseek.config.priors import ToyPriorConfig
from modeseek.rundir.run_dir import Run, default_name, find_runs, newest_run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path


# Creation.


def test_a_new_run_holds_all_that_is_known_before_the_first_step(here: Path) -> None:
    run = make("out/mine", "a word")
    assert run.path == Path("out/mine")
    assert sorted(os.listdir(run.path)) == sorted(
        ["checkpoints", "command.txt", "config.yaml", "env.json", "exports", "media", "previews", "status.json"]
    )
    assert os.listdir("out") == ["mine"], "no scratch folder stays"
    assert run.config == CONFIG and run.settings["verb"] == "run"
    assert run.command == "modeseek run 'a word'" and shlex.split(run.command)[-1] == "a word"
    assert run.environment["prior"] == {"title": "ring", "sha256": "ab"}
    assert run.environment["device"]["device"] == "cpu" and "torch" in run.environment["versions"]
    assert run.status.state == "created" and run.status.steps == 7
    assert run.metrics == [] and run.log == [] and run.checkpoints == [] and run.checkpoint() == (None, [])
    assert not run.running


def test_the_folder_follows_the_umask(here: Path) -> None:
    before = os.umask(0o022)
    try:
        run = make("mine")
    finally:
        os.umask(before)
    assert run.path.stat().st_mode & 0o777 == 0o755
    assert {(run.path / name).stat().st_mode & 0o777 for name in ("config.yaml", "status.json")} == {0o644}


def test_the_default_name_holds_method_subject_and_time(here: Path) -> None:
    first, second = make(None), make(None)
    assert first.path.parent == Path("runs") and first.path != second.path
    assert re.fullmatch(r"msd-ring-of-8-\d{8}T\d{6}Z-[0-9a-f]{4}", first.path.name)
    for parts in (["msd", ""], ["", "msd"], ["msd", "!!!"]):
        assert re.fullmatch(r"msd-\d{8}T\d{6}Z-[0-9a-f]{4}", default_name(parts))
    assert re.fullmatch(r"run-\d{8}T.*", default_name(["", "—"]))
    assert len(default_name(["x" * 500, "y" * 500])) < 120
    assert "/" not in default_name(["a/../b", "c\\d"]) and ".." not in default_name(["a/../b", ".."])


def test_a_folder_that_is_not_empty_is_not_overwritten(here: Path) -> None:
    first = make("mine", "first")
    before = snapshot(first.path)
    second, third = make("mine", "second"), make("mine/", "third")
    assert [run.path.name for run in (first, second, third)] == ["mine", "mine-2", "mine-3"]
    assert snapshot(first.path) == before and second.command.endswith("second") and third.command.endswith("third")
    Path("notes").mkdir()
    Path("notes/a.txt").write_text("mine")
    assert make("notes").path.name == "notes-2" and os.listdir("notes") == ["a.txt"]
    Path("lr0.5").mkdir()
    Path("lr0.5/a").touch()
    assert make("lr0.5").path.name == "lr0.5-2"
    Path("empty").mkdir()
    assert make("empty").path.name == "empty"


def test_a_folder_with_a_hidden_file_is_not_empty(here: Path) -> None:
    Path("mine").mkdir()
    Path("mine/.git").mkdir()
    assert make("mine").path.name == "mine-2"


@pytest.mark.parametrize("out", ["", ".", "..", "/", "a/.."])
def test_a_folder_without_a_name_is_refused(here: Path, out: str) -> None:
    with pytest.raises(ValueError, match="the output must be a folder with a name, got .*; pass one") as caught:
        make(out)
    one_line(caught.value)
    assert [p for p in here.rglob("*") if p.is_file()] == []


def test_a_file_is_never_overwritten(here: Path) -> None:
    Path("file").write_text("mine")
    with pytest.raises(OSError, match="got file, which is a file; choose another name") as caught:
        make("file")
    one_line(caught.value)
    with pytest.raises(OSError):
        make("file/below")
    Path("link").symlink_to("nowhere")
    with pytest.raises(OSError):
        make("link")
    assert Path("file").read_text() == "mine" and sorted(os.listdir()) == ["file", "link"]


def test_a_command_that_is_not_utf8(here: Path) -> None:
    """A path on the command line may hold any bytes."""
    run = make("mine", command=["modeseek", os.fsdecode(b"caf\xe9")])
    assert (run.path / "command.txt").read_bytes() == b"modeseek 'caf\xe9'\n"
    assert run.command == "modeseek 'caf\ufffd'"


def test_settings_that_cannot_be_written_leave_nothing(here: Path) -> None:
    with pytest.raises(TypeError, match=r"config\.method\.sds\.weight cannot be serialized"):
        make("mine", settings=Config(ToyPriorConfig(), ms.SDS(weight=lambda a, s: s)).to_dict())
    with pytest.raises(TypeError):
        make("mine", prior={"a": object()})
    assert os.listdir() == []


def count(patch: pytest.MonkeyPatch) -> int:
    with patch.context() as counting:
        disk = FailingDisk(counting)
        make("counted")
        shutil.rmtree("counted")
        return len(disk.calls)


@pytest.mark.parametrize("half", [False, True])
def test_a_folder_is_created_atomically(here: Path, monkeypatch: pytest.MonkeyPatch, half: bool) -> None:
    calls = count(monkeypatch)
    assert calls > 10
    for at in range(calls):
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
            FailingDisk(patch, at, half)
            make("mine")
        last = at == calls - 1  # sync of the parent folder: the new folder exists, perhaps not on disk
        assert os.listdir() == (["mine"] if last else [])
    assert Run.load("mine").config == CONFIG
    shutil.rmtree("mine")
    for at in range(calls):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            FailingDisk(patch, at, half, kill=True)
            make("mine")
        assert all(name.startswith(".mine.") for name in os.listdir()) or at == calls - 1
        if at < calls - 1:
            assert find_runs(here) == [], "a folder that is being created is not listed"
    assert [run.path.name for run in find_runs(here)] == ["mine"]


def test_a_disk_that_cannot_sync_folders_makes_one_folder_and_an_error(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modeseek.io import atomic as disk

    def refuse(folder: Path) -> None:
        if folder == Path():
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(disk, "_sync_folder", refuse)
    with pytest.raises(OSError, match="Invalid argument"):
        make("mine")
    assert os.listdir() == ["mine"]


def test_a_full_and_a_read_only_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "32k") as freeze:
        out = tmp_path / "disk" / "mine"
        run = make(out)
        (tmp_path / "disk" / "much").write_bytes(b"x" * 4096)
        before = snapshot(tmp_path / "disk")
        with pytest.raises(OSError, match="No space left on device"):
            make(out)
        assert snapshot(tmp_path / "disk") == before
        freeze()
        with pytest.raises(OSError, match="Read-only"):
            make(tmp_path / "disk" / "other")
        with pytest.raises(PermissionError, match="the folder is read-only") as caught, run.locked():
            pass
        one_line(caught.value)
        assert run.config == CONFIG and run.status.state == "created" and not run.running
        assert snapshot(tmp_path / "disk") == before


# Loading.


def test_runs_are_found_by_folder_and_by_name(here: Path) -> None:
    run = make("runs/msd-ring")
    for path in (
        "runs/msd-ring",
        "msd-ring",
        run.path,
        str(run.path.absolute()),
        "runs/../runs/msd-ring/",
        "msd-ring/",
    ):
        assert Run.load(path).path.samefile(run.path)
    assert Run.load("msd-ring").path == Path("runs/msd-ring")


MISSING: dict[str, tuple[str, str]] = {
    "misspelt": ("runs/msd-rong", "there is no run runs/msd-rong: did you mean msd-ring?"),
    "misspelt name": ("msd-rin", "there is no run msd-rin: did you mean msd-ring?"),
    "elsewhere": ("other/sdz-grid", "there is no run other/sdz-grid: did you mean sds-grid?"),
    "far off": ("runs/zzzzzz", "there is no run runs/zzzzzz: modeseek list runs shows the existing ones"),
    "no such place": ("nowhere/msd-ring", "there is no run nowhere/msd-ring: modeseek list runs shows"),
    "a folder of no run": ("data", "data is not a run: it has no status.json; pass a folder that modeseek created"),
    "the folder of all": ("runs", "runs is not a run: it has no status.json"),
    "a file": ("data/file", "there is no run data/file: "),
    "a file within": ("runs/msd-ring/config.yaml", "there is no run runs/msd-ring/config.yaml: "),
    "nothing": ("", r"\. is not a run"),
    "root": ("/no-such-run", "there is no run /no-such-run: "),
}


@pytest.mark.parametrize("case", MISSING)
def test_a_missing_run_is_one_line_with_the_closest_name(here: Path, case: str) -> None:
    make("runs/msd-ring")
    make("other/sds-grid")
    Path("data").mkdir()
    Path("data/file").touch()
    path, message = MISSING[case]
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        Run.load(path)
    one_line(caught.value)


def test_runs_are_listed_newest_first_among_other_files(here: Path) -> None:
    for i, name in enumerate(["b", "c", "a"]):
        run = make(f"runs/{name}")
        os.utime(run.path / "config.yaml", (1000 + i, 1000 + i))
    Path("runs/notes").mkdir()
    Path("runs/file").touch()
    shutil.copytree("runs/a", "runs/.a.1234.part")
    assert [run.path.name for run in find_runs(Path("runs"))] == ["a", "c", "b"]
    Path("runs/c/config.yaml").unlink()
    assert [run.path.name for run in find_runs(Path("runs"))] == ["a", "b", "c"], "a damaged one is still listed"
    with pytest.raises(ValueError, match="did you mean a"):
        Run.load("runs/aa")
    assert find_runs(Path("nowhere")) == [] and find_runs(Path("runs/file")) == []
    assert newest_run().path == Run.find().path == Path("runs/a") and Run.find("b").path == Path("runs/b")
    with pytest.raises(ValueError, match="nowhere must hold a run, got none; pass the folder of one"):
        newest_run(Path("nowhere"))
