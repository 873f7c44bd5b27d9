"""Scheduler of sweeps: assignment of jobs, lost workers, failures and interrupts, with a worker in this process."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fabricated_runs import fabricate
from sweeping import BASE, ONE, TWO, InlineWorker, InlineWorkers, begin, statuses, work
from sweeping import fixed_environment as fixed_environment
from sweeping import no_prior as no_prior

import modeseek as ms
import modeseek.rundir.checkpoint
import modeseek.rundir.run_dir
import modeseek.sweeps.worker
from modeseek.rundir.run_dir import Run
from modeseek.runs.interrupts import RunFailed, RunInterrupted
from modeseek.runs.train import train
from modeseek.sweeps.cost import prior_calls
from modeseek.sweeps.run_sweep import run_sweep
from modeseek.sweeps.sweep_dir import SESSION, JobDir
from modeseek.sweeps.worker import JobReport, run_job
from modeseek.sweeps.worker_pool import Worker, WorkerPool

SLOW = ONE | {"base": BASE | {"saving": {"seconds": 1000}}}  # no checkpoint before the last step


def hold_after(steps: int, monkeypatch: pytest.MonkeyPatch, hold: Callable[[], None]) -> None:
    """Calls a function in each job after that many steps, before its worker looks whether the sweep has ended."""

    def holding(*args: Any, **options: Any) -> Generator[Any, None, None]:
        for step, progress in enumerate(train(*args, **options)):
            if step + 1 == steps:
                hold()
            yield progress

    monkeypatch.setattr(modeseek.sweeps.worker, "train", holding)


def wait_for_end(run: Run) -> None:
    """Waits until the sweep stops, or, so that a test can fail, ten seconds."""
    ends = time.monotonic() + 10
    while (run.path / SESSION).exists() and time.monotonic() < ends:
        time.sleep(0.01)


def call(job_dir: JobDir, session_file: Path) -> JobReport:
    return run_job(job_dir.path, job_dir.spec.config.to_dict(), ["modeseek"], session_file)


@pytest.mark.slow
def test_every_job_is_done_once(tmp_path: Path) -> None:
    workers, out = InlineWorkers(), tmp_path / "out"
    snapshots = work(out, workers.pool)
    assert snapshots[-1].finished == 4 and snapshots[-1].steps == 24 and not (out / SESSION).exists()
    assert len(workers) == 1 and isinstance(workers[0], Worker) and workers[0].killed
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
    again = InlineWorkers()
    list(run_sweep(run, job_dirs, again.pool, ["modeseek"]))
    assert not again and set(statuses(out).values()) == {("finished", 6, 1)}


def test_a_worker_gets_the_jobs_of_its_prior_first(tmp_path: Path) -> None:
    class InstantWorker(InlineWorker):
        """Does nothing, at once."""

        def job(self, folder: Path, settings: dict[str, Any], *args: Any) -> JobReport:
            priors.append(settings["prior"]["problem"]["name"])
            return JobReport("finished")

    priors: list[str] = []
    plain = TWO | {"axes": {"prior.problem.name": ["ring", "grid", "spiral"]}}
    work(tmp_path / "out", WorkerPool(1, lambda number: InstantWorker([])), plain)
    assert priors == ["ring", "ring", "grid", "grid", "spiral", "spiral"], "though the grid of seed 0 stands first"


def test_lost_workers_are_replaced_and_their_jobs_go_on(tmp_path: Path) -> None:
    workers = InlineWorkers(2, 2, 0)
    work(tmp_path / "out", workers.pool, ONE)
    assert len(workers) == 4
    (path,) = (tmp_path / "out" / "jobs").iterdir()
    assert [row["step"] for row in Run(path).metrics] == list(range(6))
    assert list(statuses(tmp_path / "out").values()) == [("finished", 6, 3)], "the third died before its first step"
    log = [line for line in Run(tmp_path / "out").log if "was lost on" in line]
    assert len(log) == 3 and "(killed); retry 1 of 3" in log[0] and "retry 3 of 3" in log[2]


@pytest.mark.slow
def test_only_time_without_a_job_counts_as_time_without_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_after(2, monkeypatch, lambda: time.sleep(0.6))
    work(tmp_path / "out", InlineWorkers(2).pool, ONE, patience=0.5)
    assert list(statuses(tmp_path / "out").values()) == [("finished", 6, 2)], "a worker was lost after 0.6 s"


@pytest.mark.slow
def test_a_job_that_kills_its_workers_is_given_up(tmp_path: Path) -> None:
    workers = InlineWorkers(0, 0, 0)
    with pytest.raises(
        RunFailed, match=r"1 of 2 jobs failed, such as sds-seed0-\w+: 3 workers were lost on it: killed"
    ):
        work(tmp_path / "out", workers.pool, TWO, retries=2)
    assert sorted(state for state, *_ in statuses(tmp_path / "out").values()) == ["created", "finished"]
    work(tmp_path / "out", InlineWorkers().pool, TWO)
    assert {state for state, *_ in statuses(tmp_path / "out").values()} == {"finished"}, "the same command tries again"


def test_workers_that_never_begin_end_the_sweep(tmp_path: Path) -> None:
    class FailingWorker(InlineWorker):
        def submit(self, call: Callable[..., Any], *args: Any) -> Future[Any]:
            started.append(self)
            future: Future[Any] = Future()
            future.set_exception(BrokenExecutor("no such module"))
            return future

    started: list[FailingWorker] = []
    with pytest.raises(RunFailed, match="3 workers in a row ended before they began: no such module"):
        work(tmp_path / "out", WorkerPool(1, lambda number: FailingWorker([])))
    assert len(started) == 3 and all(worker.killed for worker in started)
    assert not os.listdir(tmp_path / "out" / "jobs")

    class SilentWorker(InlineWorker):
        def submit(self, call: Callable[..., Any], *args: Any) -> Future[Any]:
            return Future()

    with pytest.raises(RunInterrupted, match="no worker was there for 0.01 s; what is done is kept"):
        work(tmp_path / "out", WorkerPool(1, lambda number: SilentWorker([])), patience=0.01)


@pytest.mark.slow
def test_a_job_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    gone = {"method": "sds", "prior": {"samples": {"path": str(tmp_path / "none.csv")}}}
    plain = ONE | {"methods": {"bad": {"method": "sds", "label": 99}, "gone": gone, "sds": None}}
    out = tmp_path / "out"
    with pytest.raises(RunFailed, match=r"2 of 3 jobs failed, such as bad-seed0-\w+: unknown label 99"):
        work(out, InlineWorkers().pool, plain)
    assert sorted(state for state, *_ in statuses(out).values()) == ["failed", "failed", "finished"]
    assert Run(out).status.state == "failed"
    page = (out / "report.html").read_text()
    assert "failed and is left out: unknown label 99" in page and "none.csv" in page
    workers = InlineWorkers()
    with pytest.raises(RunFailed, match="2 of 3"):
        work(out, workers.pool, plain)
    assert not workers, "failed jobs are not run again"
    np.savetxt(tmp_path / "none.csv", np.eye(2), delimiter=",")
    with pytest.raises(RunFailed, match="1 of 3 jobs failed, such as bad"):
        work(out, InlineWorkers().pool, plain, retry_failed=True)
    assert sorted(state for state, *_ in statuses(out).values()) == ["failed", "finished", "finished"]


@pytest.mark.slow
def test_a_full_disk_ends_the_sweep_and_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **more: Any) -> None:
        raise OSError(28, "No space left on device", "x")

    begin(tmp_path / "out", TWO)
    with (
        monkeypatch.context() as patched,
        pytest.raises(RunInterrupted, match=r"sds-seed0-\w+ stopped: .*cannot be created"),
    ):
        patched.setattr(modeseek.rundir.run_dir, "collect_environment", full)
        work(tmp_path / "out", InlineWorkers().pool, TWO)
    with monkeypatch.context() as patched, pytest.raises(RunInterrupted, match=r"sds-seed0-\w+ stopped: No space left"):
        patched.setattr(modeseek.rundir.checkpoint, "atomic_folder", full)
        work(tmp_path / "out", InlineWorkers().pool, TWO)
    work(tmp_path / "out", InlineWorkers().pool, TWO)
    assert sorted(statuses(tmp_path / "out").values()) == [("finished", 6, 1), ("finished", 6, 2)]


@pytest.mark.slow
def test_asked_to_stop_it_hands_nothing_out_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, job_dirs = begin(tmp_path / "out", TWO)
    workers, reached, interrupted = InlineWorkers(), threading.Event(), False

    def until_stopped() -> None:
        if "finished" in {job_dir.state for job_dir in job_dirs}:
            reached.set()
            wait_for_end(run)

    with monkeypatch.context() as patched:
        hold_after(3, patched, until_stopped)
        with pytest.raises(RunInterrupted, match=rf"SIGINT after 1 of 2 jobs; what is done.*--out {tmp_path}/out"):
            for progress in run_sweep(run, job_dirs, workers.pool, ["modeseek"]):
                if reached.is_set() and progress.running and progress.running[0][1].done == 3 and not interrupted:
                    interrupted = True
                    assert (progress.finished, progress.waiting, progress.steps) == (1, 0, 9)
                    assert progress.running[0][1].note.startswith("|g| ")
                    signal.raise_signal(signal.SIGINT)
    (stopped,) = [job_dir.status for job_dir in job_dirs if job_dir.state == "stopped"]
    assert interrupted and stopped is not None and stopped.step == stopped.checkpoint == 4
    assert stopped.reason.startswith("the sweep was stopped after step 4 of 6; to continue: modeseek resume")
    assert workers[0].killed and Run(tmp_path / "out").status.state == "stopped"
    list(run_sweep(run, job_dirs, InlineWorkers().pool, ["modeseek"]))
    assert sorted(statuses(tmp_path / "out").values()) == [("finished", 6, 1), ("finished", 6, 2)]


def test_closed_midway_it_checkpoints_the_step_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, (job_dir,) = begin(tmp_path / "out", SLOW)
    reached = threading.Event()

    def until_closed() -> None:
        reached.set()
        wait_for_end(run)

    hold_after(2, monkeypatch, until_closed)
    sweep = run_sweep(run, [job_dir], InlineWorkers().pool, ["modeseek"])
    while not reached.is_set():
        next(sweep)
    sweep.close()  # as a second Ctrl-C does
    assert job_dir.status is not None and (job_dir.state, job_dir.status.checkpoint) == ("stopped", 3)


def test_a_job_is_kept_at_its_step_once_the_sweep_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, (job_dir,) = begin(tmp_path / "out", SLOW)
    session = tmp_path / "session"
    assert call(job_dir, session) == JobReport("stopped", "it had not begun", 1) and job_dir.state == "created"
    session.touch()
    with monkeypatch.context() as patched:
        hold_after(2, patched, session.unlink)
        report = call(job_dir, session)
    assert (report.state, report.loads) == ("stopped", 0) and report.reason.startswith("the sweep was stopped after")
    assert job_dir.status is not None and job_dir.status.checkpoint == 3
    session.touch()
    assert call(job_dir, session) == JobReport("finished")
    assert [row["step"] for row in Run(job_dir.path).metrics] == [*range(6)]


@pytest.mark.slow
def test_a_job_that_another_process_has_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, (job_dir,) = begin(tmp_path / "out", ONE)
    (session := tmp_path / "session").touch()
    reached, released, busy = threading.Event(), threading.Event(), 0
    with ThreadPoolExecutor(1) as thread:
        with monkeypatch.context() as patched:
            hold_after(1, patched, lambda: (reached.set(), released.wait()))
            other = thread.submit(call, job_dir, session)
            assert reached.wait(60)
        assert job_dir.state == "running"
        for progress in run_sweep(run, [job_dir], InlineWorkers().pool, ["modeseek"]):
            if "is being worked on by another process" in progress.note and not busy:
                busy = progress.finished + 1
                session.unlink()
                released.set()
                assert other.result().state == "stopped"
    assert busy == 1 and statuses(tmp_path / "out") == {job_dir.path.name: ("finished", 6, 2)}
    assert [row["step"] for row in Run(job_dir.path).metrics] == list(range(6))


def test_a_job_folder_that_another_process_has_just_created_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(config: Any) -> Any:
        loaded = config.prior.load("cpu")
        Run.create_for(config, loaded, ["modeseek"], job_dir.path)
        return loaded

    _, (job_dir,) = begin(tmp_path / "out", ONE)
    (session := tmp_path / "session").touch()
    monkeypatch.setattr(modeseek.sweeps.worker, "_load", load)
    assert call(job_dir, session) == JobReport("finished") and os.listdir(job_dir.path.parent) == [job_dir.path.name]


def test_a_job_folder_of_something_else_is_kept(tmp_path: Path) -> None:
    _, (job_dir,) = begin(tmp_path / "out", ONE)
    job_dir.path.mkdir()
    (job_dir.path / "notes.txt").touch()
    with pytest.raises(RunFailed, match="holds other files; remove it"):
        work(tmp_path / "out", InlineWorkers().pool, ONE)
    assert os.listdir(job_dir.path.parent) == [job_dir.path.name] and os.listdir(job_dir.path) == ["notes.txt"]


def test_a_job_folder_of_other_settings_is_refused(tmp_path: Path) -> None:
    _, (job_dir,) = begin(tmp_path / "out", ONE)
    fabricate(job_dir.path, steps=6, done=2)
    with pytest.raises(RunFailed, match="holds a run of other settings; remove it"):
        work(tmp_path / "out", InlineWorkers().pool, ONE)
