"""Sessions of runs: status, log, lock, signals, and how a stopped one says that it can be resumed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from modeseek.rundir.run_dir import Run
from modeseek.runs.interrupts import RunFailed, RunInterrupted
from modeseek.runs.session import run_session


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create({"verb": "toy"}, name_parts=["a"], command=["x"], prior={}, out=tmp_path / "run")


def log_of(run: Run) -> list[str]:
    return [line.split(" ", 1)[1] for line in (run.path / "log.txt").read_text().splitlines()]


@pytest.mark.parametrize("resumable", [False, True])
def test_status_follows_the_session(run: Run, resumable: bool) -> None:
    with run_session(run, resumable=resumable) as log:
        assert run.status.state == "running" and run.running
        log.append("a line of the run")
        time.sleep(0.02)
    first = run.status
    assert first.state == "finished" and not run.running and first.sessions == 1
    assert first.seconds >= 0.02 and first.peak_memory_mb > 1
    assert log_of(run) == ["running", "line of the run", "finished"]
    with run_session(run, resumable=resumable):
        time.sleep(0.02)
    assert run.status.sessions == 2 and run.status.seconds >= first.seconds + 0.02


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), "SIGTERM"])
def test_a_stopped_session_says_how_to_go_on(run: Run, stop: KeyboardInterrupt | str) -> None:
    """Ctrl-C and SIGTERM alike; only a resumable one names the command."""
    before = signal.getsignal(signal.SIGTERM)

    def interrupt() -> None:
        if isinstance(stop, KeyboardInterrupt):
            raise stop
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    with pytest.raises(KeyboardInterrupt), run_session(run):
        interrupt()
    assert (run.status.state, run.status.reason) == ("stopped", "interrupted; start it again")
    with pytest.raises(RunInterrupted, match=rf"interrupted; what is done is kept.*--out {run.path}"):
        with run_session(run, resumable=True):
            interrupt()
    assert (run.status.state, run.status.reason) == ("stopped", "interrupted")
    assert signal.getsignal(signal.SIGTERM) is before and not run.running


def test_a_job_that_was_stopped_stops_the_experiment(run: Run) -> None:
    with pytest.raises(RunInterrupted, match="SIGINT after step 3; what is done is kept"):
        with run_session(run, resumable=True):
            raise RunInterrupted("SIGINT after step 3; to continue: modeseek resume somewhere/else")
    assert (run.status.state, run.status.reason) == ("stopped", "SIGINT after step 3")


@pytest.mark.parametrize("resumable", [False, True])
def test_errors_are_reasons(run: Run, resumable: bool) -> None:
    with pytest.raises(RunFailed), run_session(run, resumable=resumable):
        raise RunFailed("two\n lines " + 600 * "x")
    assert run.status.state == "failed" and run.status.reason.startswith("two lines xxx")
    assert len(run.status.reason) == 500 and log_of(run)[-1] == f"failed: {run.status.reason}"


def test_two_sessions_do_not_share_a_folder(run: Run) -> None:
    with run_session(run), pytest.raises(ValueError, match="another process"), run_session(run, resumable=True):
        raise AssertionError("the folder is locked")
