"""Several processes and one run folder: each gets its own, and one at a time works on it."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cases import one_line
from disk_faults import CONFIG, make

from modeseek.rundir.run_dir import Run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path


_PROCESSES = multiprocessing.get_context("forkserver") if hasattr(os, "fork") else None
needs_fork = pytest.mark.skipif(_PROCESSES is None, reason="processes are forked: POSIX only")


def start(code: str, **names: Any) -> Any:
    """Another process that runs the code; it imports nothing anew."""
    _PROCESSES.set_forkserver_preload(["modeseek.rundir.run_dir", "modeseek"])
    process = _PROCESSES.Process(target=exec, args=(code, names))
    process.start()
    return process


RACE = """
import json
from pathlib import Path
from modeseek.runs.store.run import Run
from modeseek.runs.store.status import Status
gate.wait(60)
made = []
for i in range(n):
    mark = f"{me}-{i}"
    run = Run.create({"mark": mark}, words=["a"], command=[mark], environment={}, status=Status("created"), out=out)
    made.append([mark, str(run.path)])
Path(told).write_text(json.dumps(made))
"""


@needs_fork
@pytest.mark.parametrize("there", [False, True], ids=["new", "empty folder"])
def test_processes_that_race_for_a_name_get_one_each(here: Path, there: bool) -> None:
    n, workers = 4, 8
    out = here / "race" / "mine"
    if there:
        out.mkdir(parents=True)
    gate = _PROCESSES.Barrier(workers)
    racers = [
        start(RACE, gate=gate, me=i, n=n, out=str(out), told=str(here / f"told-{i}.json")) for i in range(workers)
    ]
    for racer in racers:
        racer.join(120)
        assert racer.exitcode == 0
    made = [pair for i in range(workers) for pair in json.loads((here / f"told-{i}.json").read_text())]
    check_race(out, made, n * workers)


def test_threads_that_race_for_a_name_get_one_each(here: Path) -> None:
    n, workers, gate = 4, 8, threading.Barrier(8)

    def racer(me: int) -> list[tuple[str, str]]:
        gate.wait(60)
        return [(f"{me}-{i}", str(make(here / "race" / "mine", f"{me}-{i}").path)) for i in range(n)]

    with ThreadPoolExecutor(workers) as pool:
        made = [pair for told in pool.map(racer, range(workers)) for pair in told]
    check_race(here / "race" / "mine", made, n * workers, "modeseek run ")


def check_race(out: Path, made: list[Any], n: int, before: str = "") -> None:
    """Everybody got a folder of their own, whole, and nothing else is there."""
    assert len({path for _, path in made}) == len(made) == n
    expected = {"mine", *(f"mine-{i}" for i in range(2, n + 1))}
    assert {Path(path).name for _, path in made} == expected == set(os.listdir(out.parent))
    for mark, path in made:
        run = Run.load(path)
        assert run.command == before + mark and run.status.state == "created" and len(os.listdir(path)) == 8


HOLD = """
from pathlib import Path
from modeseek.runs.store.run import Run
with Run(Path(path)).locked():
    held.set()
    release.wait(60)
"""


@needs_fork
def test_one_process_at_a_time(here: Path) -> None:
    run = make(here / "mine")
    held, release = _PROCESSES.Event(), _PROCESSES.Event()
    holder = start(HOLD, path=str(run.path), held=held, release=release)
    assert held.wait(60) and run.running
    with pytest.raises(ValueError, match="mine is being worked on by another process; wait for it or stop") as caught:
        run.locked().__enter__()
    one_line(caught.value)
    assert run.status.state == "created" and run.config == CONFIG, "it can be read meanwhile"
    release.set()
    holder.join(60)
    assert holder.exitcode == 0 and not run.running
    with run.locked():
        assert run.running


@needs_fork
def test_a_killed_process_holds_nothing_and_its_leftovers_go(here: Path) -> None:
    run = make(here / "mine")
    held, release = _PROCESSES.Event(), _PROCESSES.Event()
    holder = start(HOLD, path=str(run.path), held=held, release=release)
    assert held.wait(60)
    left = ["checkpoints/.step-00000003.part", "checkpoints/.step-00000001.trash", "media/.before.png.part"]
    for name in [*left, ".status.json.part"]:
        (run.path / name).mkdir() if "step" in name else (run.path / name).touch()
    os.kill(holder.pid, signal.SIGKILL)
    holder.join(60)
    assert not run.running
    assert (run.path / left[0]).exists(), "looking changes nothing"
    shutil.rmtree(run.path / "exports")
    with run.locked():
        assert not any((run.path / name).exists() for name in [*left, ".status.json.part"])
        assert (run.path / "exports").is_dir()
    assert not run.running


def test_the_lock_is_given_back_after_an_error(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, real, locks = make("mine"), Run._lock, []

    def kept(self: Run) -> object:
        locks.append(real(self))  # else one that is forgotten is given back when it is collected
        return locks[-1]

    monkeypatch.setattr(Run, "_lock", kept)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), run.locked():
            raise KeyboardInterrupt
        assert not run.running


def test_asking_whether_it_runs_disturbs_nobody(here: Path) -> None:
    run, stop = make("mine"), threading.Event()

    def ask() -> None:
        while not stop.is_set():
            _ = run.running

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        ends = time.monotonic() + 0.5
        while time.monotonic() < ends:
            with run.locked():
                pass
    finally:
        stop.set()
        for asker in askers:
            asker.join()
