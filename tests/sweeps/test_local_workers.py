"""Sweeps with processes of this machine: the driver is killed, started again, and interrupted."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

import modeseek as ms
from modeseek.cli.sweep import SweepCommand
from modeseek.rundir.run_dir import Run
from modeseek.runs.interrupts import RunFailed, RunInterrupted
from modeseek.sweeps.jobs import job_specs
from modeseek.sweeps.local_workers import LocalWorkerPool
from modeseek.sweeps.spec import read_spec
from modeseek.sweeps.sweep_dir import open_sweep
from modeseek.sweeps.worker_pool import JobRequest, WorkerLost, WorkerPool

SWEEP = """
base:
  prior: {problem: {name: ring}}
  generator: {points: {start: {noise: {n: 16}}}}
  steps: 800
  saving: {seconds: 1000}
  previews: 0
methods:
  sds:
  labelled: {method: sds, label: 99}
seeds: 2
"""
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the driver is forked: POSIX only")


def driver(folder: Path) -> int:
    """Starts a sweep with one worker in a child; returns the child's number."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        quiet = os.open(folder / "driver.txt", os.O_WRONLY | os.O_CREAT)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        SweepCommand(folder / "sweep.yaml", workers=1, out=folder / "out").run(["modeseek", "sweep"])
    except RunInterrupted:
        code = 75
    except RunFailed:
        code = 1
    finally:
        os._exit(code)


def lines(run: Run) -> int:
    path = run.path / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def until(true: object, seconds: float = 120) -> None:
    ends = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < ends
        time.sleep(0.02)


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
    stopped, stamp = second.status, (first.path / "status.json").stat().st_mtime_ns
    assert stopped.state == "stopped" and 1 <= stopped.step == stopped.checkpoint == lines(second) < 800
    assert first.status.state == "finished" and [len(list((tmp_path / "out" / "jobs").iterdir()))] == [3]
    with pytest.raises(RunFailed, match=r"2 of 4 jobs failed, such as labelled-seed0-\w+: unknown label 99"):
        SweepCommand(tmp_path / "sweep.yaml", workers=1, out=tmp_path / "out").run(["modeseek", "sweep"])
    assert (first.path / "status.json").stat().st_mtime_ns == stamp and first.status.sessions == 1
    assert (second.status.state, second.status.step, second.status.sessions) == ("finished", 800, 2)
    assert [row["step"] for row in second.metrics] == list(range(800))
    alone = ms.run(second.config, tmp_path / "alone")
    assert (alone.path / "exports" / "points.npy").read_bytes() == (second.path / "exports" / "points.npy").read_bytes()
    out = capsys.readouterr().out
    assert "2 of 4 jobs finished" in out and f"failed: {jobs[1].folder_name}: unknown label 99" in out


def test_a_killed_process_is_a_lost_worker(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    spec = read_spec(tmp_path / "sweep.yaml")
    _, job_dirs = open_sweep(spec, job_specs(spec), ["modeseek"], tmp_path / "out")
    with pytest.raises(ValueError, match="at least one worker: got 0"):
        LocalWorkerPool(0)
    pool = LocalWorkerPool(2)
    try:
        assert isinstance(pool, WorkerPool) and pool.poll(0.0) == [] and pool.spawn() == 0
        replies = []
        until(lambda: replies.extend(pool.poll(1.0)) or replies)
        assert [(worker, status.state) for worker, status in replies] == [(0, "ready")]
        pool.submit(0, JobRequest("begin", (str(job_dirs[0].path), job_dirs[0].spec.config.to_dict(), ["modeseek"])))
        until(lambda: replies.extend(pool.poll(1.0)) or replies[1:])
        assert replies[1][1].state == "running" and replies[1][1].loads == 1
        os.kill(pool.process_id(0), signal.SIGINT)  # a terminal's Ctrl-C, which reaches all its processes
        pool.submit(0, JobRequest("advance", (0.0,)))
        until(lambda: replies.extend(pool.poll(1.0)) or replies[2:])
        assert replies[2][1].step == 1 and job_dirs[0].state == "running"
        os.kill(pool.process_id(0), signal.SIGKILL)
        until(lambda: replies.extend(pool.poll(1.0)) or replies[3:])
        assert replies[3:] == [(0, WorkerLost("its process ended with code -9"))]
        assert job_dirs[0].state == "lost" and pool.poll(0.0) == []
    finally:
        pool.close()
