"""Sweeps with processes of this machine: the driver is killed, started again, and interrupted; a worker is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

import modeseek as ms
from modeseek.cli.sweep import SweepCommand
from modeseek.rundir.run_dir import Run
from modeseek.runs.interrupts import RunFailed, RunInterrupted
from modeseek.sweeps.jobs import job_specs
from modeseek.sweeps.local_workers import local_workers
from modeseek.sweeps.run_sweep import run_sweep
from modeseek.sweeps.spec import read_spec
from modeseek.sweeps.sweep_dir import open_sweep, planned_job_dirs

SWEEP = """
base:
  prior: {problem: {name: ring}}
  generator: {points: {start: {noise: {n: 16}}}}
  steps: 300
  saving: {seconds: 1000}
  previews: 0
methods:
  sds:
  labelled: {method: sds, label: 99}
seeds: 2
"""
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the driver is forked: POSIX only")


def driver(folder: Path, workers: int = 1) -> int:
    """Starts a sweep in a child with a process group of its own; returns the child's number, and the group's."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setpgrp()
        quiet = os.open(folder / "driver.txt", os.O_WRONLY | os.O_CREAT)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        SweepCommand(folder / "sweep.yaml", workers=workers, out=folder / "out").run(["modeseek", "sweep"])
    except RunInterrupted:
        code = 75
    except RunFailed:
        code = 1
    finally:
        os._exit(code)


def lines(run: Run) -> int:
    path = run.path / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def alive(group: int) -> list[Path]:
    """Processes of a process group that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            state, _, number = path.read_text().rpartition(")")[2].split()[:3]
            found += [path] if int(number) == group and state != "Z" else []
    return found


def until(true: object, seconds: float = 120) -> None:
    ends = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.slow
def test_killed_and_started_again_only_the_missing_jobs_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    jobs = job_specs(read_spec(tmp_path / "sweep.yaml"))
    runs = {job.title: Run(tmp_path / "out" / "jobs" / job.folder_name) for job in jobs}
    first, second = (runs[f"sds · seed {seed}"] for seed in (0, 1))
    child = driver(tmp_path)
    until(lambda: lines(second) >= 1)
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    until(lambda: not second.running)  # its worker loses the parent process, checkpoints its step and ends
    until(lambda: not alive(child), 20)
    stopped, stamp = second.status, (first.path / "status.json").stat().st_mtime_ns
    assert stopped.state == "stopped" and 1 <= stopped.step == stopped.checkpoint == lines(second) < 300
    assert first.status.state == "finished" and [len(list((tmp_path / "out" / "jobs").iterdir()))] == [3]
    with pytest.raises(RunFailed, match=r"2 of 4 jobs failed, such as labelled-seed0-\w+: unknown label 99"):
        SweepCommand(tmp_path / "sweep.yaml", workers=1, out=tmp_path / "out").run(["modeseek", "sweep"])
    assert (first.path / "status.json").stat().st_mtime_ns == stamp and first.status.sessions == 1
    assert (second.status.state, second.status.step, second.status.sessions) == ("finished", 300, 2)
    assert [row["step"] for row in second.metrics] == list(range(300))
    alone = ms.run(second.config, tmp_path / "alone")
    assert (alone.path / "exports" / "points.npy").read_bytes() == (second.path / "exports" / "points.npy").read_bytes()
    out = capsys.readouterr().out
    assert "2 of 4 jobs finished" in out and f"failed: {jobs[1].folder_name}: unknown label 99" in out


@pytest.mark.slow
def test_ctrl_c_stops_all_jobs_after_their_step_and_no_process_is_left(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP.replace("steps: 300", "steps: 100000"))
    job_dirs = planned_job_dirs(job_specs(read_spec(tmp_path / "sweep.yaml"))[::2], tmp_path / "out")
    runs = [Run(job_dir.path) for job_dir in job_dirs]
    child = driver(tmp_path, workers=2)
    until(lambda: all(lines(run) >= 1 for run in runs))
    os.killpg(child, signal.SIGINT)  # a terminal's Ctrl-C, which reaches all its processes
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 75
    for run in runs:
        status = run.status
        assert status.state == "stopped" and 1 <= status.step == status.checkpoint == lines(run)
        assert status.reason.startswith(f"the sweep was stopped after step {status.step} of 100000; to continue:")
    until(lambda: not alive(child), 20)


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_the_other_job_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP.replace("steps: 300", "steps: 800"))
    spec = read_spec(tmp_path / "sweep.yaml")
    run, job_dirs = open_sweep(spec, job_specs(spec)[::2], ["modeseek"], tmp_path / "out")
    before, killed, states = set(multiprocessing.active_children()), None, []
    for progress in run_sweep(run, job_dirs, local_workers(2), ["modeseek"]):
        if killed is None and len(progress.running) == 2 and all(job.done for _, job in progress.running):
            killed, _ = set(multiprocessing.active_children()) - before
            os.kill(killed.pid, signal.SIGKILL)
            killed.join()
            states = [job_dir.state for job_dir in job_dirs]
    assert sorted(states) == ["lost", "running"]
    sessions = {job_dir.path.name: job_dir.status.sessions for job_dir in job_dirs if job_dir.status is not None}
    (name,) = [name for name, count in sessions.items() if count == 2]
    (line,) = [line for line in Run(run.path).log if "was lost" in line]
    assert f"was lost on {name} (its process ended with code -9); retry 1 of 3" in line
    assert sorted(sessions.values()) == [1, 2] and job_dirs[0].state == job_dirs[1].state == "finished"
    assert set(multiprocessing.active_children()) <= before
