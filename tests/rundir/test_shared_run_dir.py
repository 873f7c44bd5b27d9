"""Concurrent processes: each creates a folder of its own, and one at a time locks a run."""

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
    """Starts another process that runs the code with preloaded imports."""
    _PROCESSES.set_forkserver_preload(["modeseek.rundir.run_dir", "modeseek"])
    process = _PROCESSES.Process(target=exec, args=(code, names))
    process.start()
    return process


RACE = """
import json
from pathlib import Path
from modeseek.rundir.run_dir import Run
gate.wait(60)
created = []
for i in range(n):
    mark = f"{rank}-{i}"
    options = dict(name_parts=["a"], command=[mark], prior={}, out=out)
    run = Run.create({"mark": mark}, **options)
    created.append([mark, str(run.path)])
Path(result).write_text(json.dumps(created))
"""


@pytest.mark.slow
@needs_fork
@pytest.mark.parametrize("exists", [False, True], ids=["new", "empty folder"])
def test_processes_that_race_for_a_name_get_one_each(here: Path, exists: bool) -> None:
    n, workers = 4, 8
    out = here / "race" / "mine"
    if exists:
        out.mkdir(parents=True)
    gate = _PROCESSES.Barrier(workers)
    racers = [
        start(RACE, gate=gate, rank=i, n=n, out=str(out), result=str(here / f"result-{i}.json")) for i in range(workers)
    ]
    for racer in racers:
        racer.join(120)
        assert racer.exitcode == 0
    created = [pair for i in range(workers) for pair in json.loads((here / f"result-{i}.json").read_text())]
    check_race(out, created, n * workers)


def test_threads_that_race_for_a_name_get_one_each(here: Path) -> None:
    n, workers, gate = 4, 8, threading.Barrier(8)

    def racer(rank: int) -> list[tuple[str, str]]:
        gate.wait(60)
        return [(f"{rank}-{i}", str(make(here / "race" / "mine", f"{rank}-{i}").path)) for i in range(n)]

    with ThreadPoolExecutor(workers) as pool:
        created = [pair for pairs in pool.map(racer, range(workers)) for pair in pairs]
    check_race(here / "race" / "mine", created, n * workers, "modeseek run ")


def check_race(out: Path, created: list[Any], n: int, prefix: str = "") -> None:
    """Each call created a complete folder of its own, and nothing else exists."""
    assert len({path for _, path in created}) == len(created) == n
    expected = {"mine", *(f"mine-{i}" for i in range(2, n + 1))}
    assert {Path(path).name for _, path in created} == expected == set(os.listdir(out.parent))
    for mark, path in created:
        run = Run.load(path)
        assert run.command == prefix + mark and run.status.state == "created" and len(os.listdir(path)) == 8


HOLD = """
from pathlib import Path
from modeseek.rundir.run_dir import Run
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
def test_a_killed_process_holds_no_lock_and_its_partial_files_are_removed(here: Path) -> None:
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
    assert (run.path / left[0]).exists(), "reading changes nothing"
    shutil.rmtree(run.path / "exports")
    with run.locked():
        assert not any((run.path / name).exists() for name in [*left, ".status.json.part"])
        assert (run.path / "exports").is_dir()
    assert not run.running


def test_the_lock_is_released_after_an_error(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, real, locks = make("mine"), Run._lock, []

    def recorded(self: Run) -> object:
        locks.append(real(self))  # a lock without a reference would be released when it is collected
        return locks[-1]

    monkeypatch.setattr(Run, "_lock", recorded)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), run.locked():
            raise KeyboardInterrupt
        assert not run.running


def test_reading_running_disturbs_no_other_process(here: Path) -> None:
    run, stop = make("mine"), threading.Event()

    def poll() -> None:
        while not stop.is_set():
            _ = run.running

    pollers = [threading.Thread(target=poll) for _ in range(2)]
    for poller in pollers:
        poller.start()
    try:
        ends = time.monotonic() + 0.5
        while time.monotonic() < ends:
            with run.locked():
                pass
    finally:
        stop.set()
        for poller in pollers:
            poller.join()
