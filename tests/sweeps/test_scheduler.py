"""Scheduler of sweeps: assignment of jobs, lost workers, failures and interrupts, with a worker in this process."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fabricated_runs import fabricate
from sweeping import BASE, ONE, TWO, InlineWorkerPool, begin, statuses, work
from sweeping import fixed_environment as fixed_environment

import modeseek as ms
import modeseek.rundir.checkpoint
import modeseek.sweeps.sweep_dir
import modeseek.sweeps.worker
from modeseek.rundir.run_dir import Run
from modeseek.runs.interrupts import RunFailed, RunInterrupted
from modeseek.sweeps.cost import prior_calls
from modeseek.sweeps.progress import RetryPolicy
from modeseek.sweeps.run_sweep import run_sweep
from modeseek.sweeps.worker import Worker, WorkerStatus
from modeseek.sweeps.worker_pool import JobRequest, WorkerLost, WorkerPool


def test_every_job_is_done_once(tmp_path: Path) -> None:
    pool, out = InlineWorkerPool(), tmp_path / "out"
    snapshots = work(out, pool)
    assert isinstance(pool, WorkerPool) and pool.closed and snapshots[-1].finished == 4 and snapshots[-1].steps == 24
    assert set(statuses(out).values()) == {("finished", 6, 1)}
    results = json.loads((out / "exports" / "results.json").read_text())
    assert results["last_session"] == {"workers_lost": 0, "priors_loaded": 1}, "one prior, loaded once for four jobs"
    assert Run(out).status.state == "finished" and Run(out).status.step == 4
    run, job_dirs = begin(out)
    for job_dir in job_dirs:
        assert job_dir.status is not None and job_dir.status.calls == prior_calls(job_dir.spec.config), (
            "as was forecast"
        )
    for job_dir in job_dirs[1:3]:
        alone = ms.run(job_dir.spec.config, tmp_path / job_dir.spec.id)
        ours, theirs = (path / "exports" / "points.npy" for path in (alone.path, job_dir.path))
        assert ours.read_bytes() == theirs.read_bytes(), "same bytes as a run outside the sweep"
    again = InlineWorkerPool()
    list(run_sweep(run, job_dirs, again, ["modeseek"]))
    assert again.spawned == 0 and set(statuses(out).values()) == {("finished", 6, 1)}


def test_a_worker_gets_the_jobs_of_its_prior_first(tmp_path: Path) -> None:
    class InstantPool(InlineWorkerPool):
        """Does nothing, at once."""

        def reply(self, request: JobRequest) -> WorkerStatus | WorkerLost:
            priors.append(request.args[1]["prior"]["problem"]["name"])
            return WorkerStatus("finished")

    priors: list[str] = []
    plain = TWO | {"axes": {"prior.problem.name": ["ring", "grid", "spiral"]}}
    work(tmp_path / "out", InstantPool(), plain)
    assert priors == ["ring", "ring", "grid", "grid", "spiral", "spiral"], "though the grid of seed 0 stands first"


def test_lost_workers_are_replaced_and_their_jobs_go_on(tmp_path: Path) -> None:
    pool = InlineWorkerPool({3: WorkerLost("killed"), 6: WorkerLost("killed"), 7: WorkerLost("killed")})
    work(tmp_path / "out", pool, ONE)
    assert pool.spawned == 4
    (path,) = (tmp_path / "out" / "jobs").iterdir()
    assert [row["step"] for row in Run(path).metrics] == list(range(6))
    assert list(statuses(tmp_path / "out").values()) == [("finished", 6, 3)], "the third died before its first step"
    log = [line for line in Run(tmp_path / "out").log if "was lost on" in line]
    assert len(log) == 3 and "(killed); retry 1 of 3" in log[0] and "retry 3 of 3" in log[2]


def test_a_job_that_kills_its_workers_is_given_up(tmp_path: Path) -> None:
    pool = InlineWorkerPool({n: WorkerLost("killed") for n in range(1, 4)})
    with pytest.raises(
        RunFailed, match=r"1 of 2 jobs failed, such as sds-seed0-\w+: 3 workers were lost on it: killed"
    ):
        work(tmp_path / "out", pool, TWO, retry_policy=RetryPolicy(retries=2))
    assert sorted(state for state, *_ in statuses(tmp_path / "out").values()) == ["created", "finished"]
    work(tmp_path / "out", InlineWorkerPool(), TWO)
    assert {state for state, *_ in statuses(tmp_path / "out").values()} == {"finished"}, "the same command tries again"


def test_workers_that_never_begin_end_the_sweep(tmp_path: Path) -> None:
    class FailingPool(InlineWorkerPool):
        def start(self) -> WorkerStatus | WorkerLost:
            return WorkerLost("no such module")

    pool = FailingPool()
    with pytest.raises(RunFailed, match="3 workers in a row ended before they began: no such module"):
        work(tmp_path / "out", pool)
    assert pool.spawned == 3 and pool.closed and not os.listdir(tmp_path / "out" / "jobs")

    class SilentPool(InlineWorkerPool):
        def spawn(self) -> int:
            return 1

    with pytest.raises(RunInterrupted, match="no worker was there for 0.01 s; what is done is kept"):
        work(tmp_path / "out", SilentPool(), retry_policy=RetryPolicy(seconds=0.01))


def test_a_job_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    gone = {"method": "sds", "prior": {"samples": {"path": str(tmp_path / "none.csv")}}}
    plain = ONE | {"methods": {"bad": {"method": "sds", "label": 99}, "gone": gone, "sds": None}}
    out = tmp_path / "out"
    with pytest.raises(RunFailed, match=r"2 of 3 jobs failed, such as bad-seed0-\w+: unknown label 99"):
        work(out, InlineWorkerPool(), plain)
    assert sorted(state for state, *_ in statuses(out).values()) == ["failed", "failed", "finished"]
    assert Run(out).status.state == "failed"
    page = (out / "report.html").read_text()
    assert "failed and is left out: unknown label 99" in page and "none.csv" in page
    pool = InlineWorkerPool()
    with pytest.raises(RunFailed, match="2 of 3"):
        work(out, pool, plain)
    assert pool.spawned == 0, "failed jobs are not run again"
    np.savetxt(tmp_path / "none.csv", np.eye(2), delimiter=",")
    with pytest.raises(RunFailed, match="1 of 3 jobs failed, such as bad"):
        work(out, InlineWorkerPool(), plain, retry_failed=True)
    assert sorted(state for state, *_ in statuses(out).values()) == ["failed", "finished", "finished"]


def test_a_full_disk_ends_the_sweep_and_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **more: Any) -> None:
        raise OSError(28, "No space left on device", "x")

    with (
        monkeypatch.context() as patched,
        pytest.raises(RunInterrupted, match=r"sds-seed0-\w+ stopped: .*cannot be created"),
    ):
        patched.setattr(modeseek.sweeps.worker, "collect_environment", full)
        work(tmp_path / "out", InlineWorkerPool(), TWO)
    with monkeypatch.context() as patched, pytest.raises(RunInterrupted, match=r"sds-seed0-\w+ stopped: No space left"):
        patched.setattr(modeseek.rundir.checkpoint, "atomic_folder", full)
        work(tmp_path / "out", InlineWorkerPool(), TWO)
    work(tmp_path / "out", InlineWorkerPool(), TWO)
    assert sorted(statuses(tmp_path / "out").values()) == [("finished", 6, 1), ("finished", 6, 2)]


def test_asked_to_stop_it_hands_nothing_out_any_more(tmp_path: Path) -> None:
    run, job_dirs = begin(tmp_path / "out", TWO)
    pool, interrupted = InlineWorkerPool(), False
    with pytest.raises(RunInterrupted, match=rf"SIGINT after 1 of 2 jobs; what is done is kept.*--out {tmp_path}/out"):
        for progress in run_sweep(run, job_dirs, pool, ["modeseek"]):
            if progress.finished == 1 and progress.running and progress.running[0][1].step == 3 and not interrupted:
                interrupted = True
                signal.raise_signal(signal.SIGINT)
    (stopped,) = [status for status in statuses(tmp_path / "out").values() if status[0] == "stopped"]
    assert interrupted and pool.closed and 3 <= stopped[1] < 6 and Run(tmp_path / "out").status.state == "stopped"
    list(run_sweep(run, job_dirs, InlineWorkerPool(), ["modeseek"]))
    assert sorted(statuses(tmp_path / "out").values()) == [("finished", 6, 1), ("finished", 6, 2)]


def test_a_worker_keeps_the_step_at_hand(tmp_path: Path) -> None:
    _, (job_dir,) = begin(tmp_path / "out", ONE | {"base": BASE | {"saving": {"seconds": 1000}}})
    worker, command = Worker(), ["modeseek"]
    assert worker.stop().state == "stopped" and worker.advance().state == "ready", "it has no job"
    plain = job_dir.spec.config.to_dict()
    assert worker.begin(str(job_dir.path), plain, command) == WorkerStatus("running", 0, 6, loads=1)
    assert worker.stop().state == "stopped" and job_dir.state == "created", "it had not begun"
    worker.begin(str(job_dir.path), plain, command)
    assert worker.advance(0.0).step == 1
    status = worker.stop(signal.SIGINT)
    assert (status.state, status.loads) == ("stopped", 1) and status.reason.startswith("SIGINT after step 2 of 6")
    assert job_dir.status is not None and job_dir.status.checkpoint == 2
    worker.begin(str(job_dir.path), plain, command)
    assert worker.advance(1000.0).state == "finished" and [row["step"] for row in Run(job_dir.path).metrics] == [
        *range(6)
    ]


def test_a_job_that_another_process_has_is_waited_for(tmp_path: Path) -> None:
    run, (job_dir,) = begin(tmp_path / "out", ONE)
    with ThreadPoolExecutor(1) as thread:
        other = Worker()
        thread.submit(other.begin, str(job_dir.path), job_dir.spec.config.to_dict(), ["modeseek"]).result()
        thread.submit(other.advance, 0.0).result()
        assert job_dir.state == "running"
        busy = 0
        for progress in run_sweep(run, [job_dir], InlineWorkerPool(), ["modeseek"]):
            if "is being worked on by another process" in progress.note and not busy:
                busy = progress.finished + 1
                thread.submit(other.stop).result()
    assert busy == 1 and statuses(tmp_path / "out") == {job_dir.path.name: ("finished", 6, 2)}
    assert [row["step"] for row in Run(job_dir.path).metrics] == list(range(6))


def test_a_job_folder_of_other_settings_is_refused(tmp_path: Path) -> None:
    _, (job_dir,) = begin(tmp_path / "out", ONE)
    fabricate(job_dir.path, steps=6, done=2)
    with pytest.raises(RunFailed, match="holds a run of other settings; remove it"):
        work(tmp_path / "out", InlineWorkerPool(), ONE)
