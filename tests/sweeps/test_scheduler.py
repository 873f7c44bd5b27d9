"""Sweeps: who is handed what, and what becomes of it when something goes wrong; the worker lives in this process."""

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
from sweeping import known as known

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
    staff, out = InlineWorkerPool(), tmp_path / "out"
    told = work(out, staff)
    assert isinstance(staff, WorkerPool) and staff.closed and told[-1].finished == 4 and told[-1].steps == 24
    assert set(statuses(out).values()) == {("finished", 6, 1)}
    results = json.loads((out / "exports" / "results.json").read_text())
    assert results["last_session"] == {"workers_lost": 0, "priors_loaded": 1}, "one prior, loaded once for four jobs"
    assert Run(out).status.state == "finished" and Run(out).status.step == 4
    run, slots = begin(out)
    for slot in slots:
        assert slot.status is not None and slot.status.calls == prior_calls(slot.spec.config), "as was forecast"
    for slot in slots[1:3]:
        alone = ms.run(slot.spec.config, tmp_path / slot.spec.id)
        ours, theirs = (path / "exports" / "points.npy" for path in (alone.path, slot.path))
        assert ours.read_bytes() == theirs.read_bytes(), "as if it had been run by itself"
    again = InlineWorkerPool()
    list(run_sweep(run, slots, again, ["modeseek"]))
    assert again.spawned == 0 and set(statuses(out).values()) == {("finished", 6, 1)}


def test_a_worker_gets_the_jobs_of_its_prior_first(tmp_path: Path) -> None:
    class Quick(InlineWorkerPool):
        """Does nothing, at once."""

        def answer(self, request: JobRequest) -> WorkerStatus | WorkerLost:
            priors.append(request.args[1]["prior"]["problem"]["name"])
            return WorkerStatus("finished")

    priors: list[str] = []
    plain = TWO | {"axes": {"prior.problem.name": ["ring", "grid", "spiral"]}}
    work(tmp_path / "out", Quick(), plain)
    assert priors == ["ring", "ring", "grid", "grid", "spiral", "spiral"], "though the grid of seed 0 stands first"


def test_lost_workers_are_replaced_and_their_jobs_go_on(tmp_path: Path) -> None:
    staff = InlineWorkerPool({3: WorkerLost("killed"), 6: WorkerLost("killed"), 7: WorkerLost("killed")})
    work(tmp_path / "out", staff, ONE)
    assert staff.spawned == 4
    (path,) = (tmp_path / "out" / "jobs").iterdir()
    assert [row["step"] for row in Run(path).metrics] == list(range(6))
    assert list(statuses(tmp_path / "out").values()) == [("finished", 6, 3)], "the third died before its first step"
    log = [line for line in Run(tmp_path / "out").log if "was lost on" in line]
    assert len(log) == 3 and "(killed); retry 1 of 3" in log[0] and "retry 3 of 3" in log[2]


def test_a_job_that_kills_its_workers_is_given_up(tmp_path: Path) -> None:
    staff = InlineWorkerPool({n: WorkerLost("killed") for n in range(1, 4)})
    with pytest.raises(
        RunFailed, match=r"1 of 2 jobs failed, such as sds-seed0-\w+: 3 workers were lost on it: killed"
    ):
        work(tmp_path / "out", staff, TWO, retry_policy=RetryPolicy(retries=2))
    assert sorted(state for state, *_ in statuses(tmp_path / "out").values()) == ["created", "finished"]
    work(tmp_path / "out", InlineWorkerPool(), TWO)
    assert {state for state, *_ in statuses(tmp_path / "out").values()} == {"finished"}, "the same command tries again"


def test_workers_that_never_begin_end_the_sweep(tmp_path: Path) -> None:
    class Stillborn(InlineWorkerPool):
        def born(self) -> WorkerStatus | WorkerLost:
            return WorkerLost("no such module")

    staff = Stillborn()
    with pytest.raises(RunFailed, match="3 workers in a row ended before they began: no such module"):
        work(tmp_path / "out", staff)
    assert staff.spawned == 3 and staff.closed and not os.listdir(tmp_path / "out" / "jobs")

    class Absent(InlineWorkerPool):
        def spawn(self) -> int:
            return 1

    with pytest.raises(RunInterrupted, match="no worker was there for 0.01 s; what is done is kept"):
        work(tmp_path / "out", Absent(), retry_policy=RetryPolicy(seconds=0.01))


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
    staff = InlineWorkerPool()
    with pytest.raises(RunFailed, match="2 of 3"):
        work(out, staff, plain)
    assert staff.spawned == 0, "what failed by its own fault is not tried again"
    np.savetxt(tmp_path / "none.csv", np.eye(2), delimiter=",")
    with pytest.raises(RunFailed, match="1 of 3 jobs failed, such as bad"):
        work(out, InlineWorkerPool(), plain, retry_failed=True)
    assert sorted(state for state, *_ in statuses(out).values()) == ["failed", "finished", "finished"]


def test_a_full_disk_ends_the_sweep_and_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **more: Any) -> None:
        raise OSError(28, "No space left on device", "x")

    with (
        monkeypatch.context() as patched,
        pytest.raises(RunInterrupted, match=r"sds-seed0-\w+ stopped: .*cannot be made"),
    ):
        patched.setattr(modeseek.sweeps.worker, "environment", full)
        work(tmp_path / "out", InlineWorkerPool(), TWO)
    with monkeypatch.context() as patched, pytest.raises(RunInterrupted, match=r"sds-seed0-\w+ stopped: No space left"):
        patched.setattr(modeseek.rundir.checkpoint, "whole_folder", full)
        work(tmp_path / "out", InlineWorkerPool(), TWO)
    work(tmp_path / "out", InlineWorkerPool(), TWO)
    assert sorted(statuses(tmp_path / "out").values()) == [("finished", 6, 1), ("finished", 6, 2)]


def test_asked_to_stop_it_hands_nothing_out_any_more(tmp_path: Path) -> None:
    run, slots = begin(tmp_path / "out", TWO)
    staff, asked = InlineWorkerPool(), False
    with pytest.raises(RunInterrupted, match=rf"SIGINT after 1 of 2 jobs; what is done is kept.*--out {tmp_path}/out"):
        for now in run_sweep(run, slots, staff, ["modeseek"]):
            if now.finished == 1 and now.running and now.running[0][1].step == 3 and not asked:
                asked = True
                signal.raise_signal(signal.SIGINT)
    (stopped,) = [told for told in statuses(tmp_path / "out").values() if told[0] == "stopped"]
    assert asked and staff.closed and 3 <= stopped[1] < 6 and Run(tmp_path / "out").status.state == "stopped"
    list(run_sweep(run, slots, InlineWorkerPool(), ["modeseek"]))
    assert sorted(statuses(tmp_path / "out").values()) == [("finished", 6, 1), ("finished", 6, 2)]


def test_a_worker_keeps_the_step_at_hand(tmp_path: Path) -> None:
    _, (slot,) = begin(tmp_path / "out", ONE | {"base": BASE | {"saving": {"seconds": 1000}}})
    worker, command = Worker(), ["modeseek"]
    assert worker.stop().state == "stopped" and worker.advance().state == "ready", "it has no job"
    plain = slot.spec.config.to_dict()
    assert worker.begin(str(slot.path), plain, command) == WorkerStatus("going", 0, 6, loads=1)
    assert worker.stop().state == "stopped" and slot.state == "created", "it had not begun"
    worker.begin(str(slot.path), plain, command)
    assert worker.advance(0.0).step == 1
    told = worker.stop(signal.SIGINT)
    assert (told.state, told.loads) == ("stopped", 1) and told.reason.startswith("SIGINT after step 2 of 6")
    assert slot.status is not None and slot.status.checkpoint == 2
    worker.begin(str(slot.path), plain, command)
    assert worker.advance(1000.0).state == "finished" and [row["step"] for row in Run(slot.path).metrics] == [*range(6)]


def test_a_job_that_another_process_has_is_waited_for(tmp_path: Path) -> None:
    run, (slot,) = begin(tmp_path / "out", ONE)
    with ThreadPoolExecutor(1) as thread:
        other = Worker()
        thread.submit(other.begin, str(slot.path), slot.spec.config.to_dict(), ["modeseek"]).result()
        thread.submit(other.advance, 0.0).result()
        assert slot.state == "running"
        busy = 0
        for now in run_sweep(run, [slot], InlineWorkerPool(), ["modeseek"]):
            if "is being worked on by another process" in now.note and not busy:
                busy = now.finished + 1
                thread.submit(other.stop).result()
    assert busy == 1 and statuses(tmp_path / "out") == {slot.path.name: ("finished", 6, 2)}
    assert [row["step"] for row in Run(slot.path).metrics] == list(range(6))


def test_a_job_folder_of_other_settings_is_refused(tmp_path: Path) -> None:
    _, (slot,) = begin(tmp_path / "out", ONE)
    fabricate(slot.path, steps=6, done=2)
    with pytest.raises(RunFailed, match="holds a run of other settings; remove it"):
        work(tmp_path / "out", InlineWorkerPool(), ONE)
