"""Sweep worker: runs one job at a time, in slices of a few steps, and keeps the prior loaded between jobs."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from modeseek.config.config import Config, read_config
from modeseek.config.priors import LoadedPrior, PriorConfig
from modeseek.io.progress import Progress
from modeseek.rundir.environment import collect_environment
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status, utc_now
from modeseek.runs.build import build
from modeseek.runs.interrupts import RunFailed, RunInterrupted
from modeseek.runs.train import train

_SLICE_SECONDS = 0.5  # between two replies to the scheduler


@dataclass(frozen=True)
class WorkerStatus:
    """Status of a worker and its job.

    Attributes:
        state: ready (no job yet), running, finished, failed (an error of the job itself), stopped (resumable), or busy
            (another process works on the job).
        step: number of steps done of the job.
        steps: total number of steps of the job.
        note: latest metric to display, or empty.
        reason: why the job is not finished, one line, or empty.
        loads: number of priors that this worker has loaded.
    """

    state: Literal["ready", "running", "finished", "failed", "stopped", "busy"]
    step: int = 0
    steps: int = 0
    note: str = ""
    reason: str = ""
    loads: int = 0


class Worker:
    """Runs jobs in its own process, one at a time; all arguments and replies are plain data and can be pickled.

    Args:
        threads: number of threads of tensor operations.
        folder: working folder, to which relative paths of configurations refer; None keeps the current one.
    """

    def __init__(self, threads: int = 1, folder: str | None = None) -> None:
        torch.set_num_threads(threads)
        if folder is not None:
            os.chdir(folder)
        self._prior: tuple[PriorConfig, str, LoadedPrior] | None = None
        self._loads = 0
        self._run: Run | None = None
        self._steps: Generator[Progress, None, None] | None = None
        self._progress = Progress("optimising", 0, 0)
        self._stepped = False

    def ready(self) -> WorkerStatus:
        """Reports that the worker accepts requests."""
        return self._status("ready")

    def begin(self, path: str, plain: dict[str, Any], command: Sequence[str]) -> WorkerStatus:
        """Starts a job, or resumes it from its folder.

        Args:
            path: folder of the run.
            plain: configuration, as plain data.
            command: command line of the sweep.
        """
        folder, config = Path(path), read_config(plain)
        self._progress, self._stepped = Progress("optimising", 0, config.steps), False
        exists = (folder / "status.json").is_file()
        if exists and Run(folder).running:
            return self._status("busy", f"{folder.name} is being worked on by another process")
        self._run = Run(folder) if exists else None
        try:
            loaded, load_error = self._load(config), None
        except Exception as error:
            loaded, load_error = None, error
        try:
            self._run = run = self._run or _create(folder, config, command, None if loaded is None else loaded.sha256)
        except OSError as error:
            return self._status("stopped", f"{folder} cannot be created: {_line(error)}")
        if loaded is None or load_error is not None:
            return self._fail(run, load_error)
        try:
            _check(run, config, loaded)
            total = run.status.steps or config.steps
            self._steps = train(run, build(config, loaded), total)
            self._progress = Progress("optimising", run.status.step, total)
            return self._status("running")
        except Exception as error:
            return self._fail(run, error)

    def advance(self, seconds: float = _SLICE_SECONDS) -> WorkerStatus:
        """Works on the job for about that many seconds, at least one step."""
        run, steps, deadline = self._run, self._steps, time.monotonic() + seconds
        if run is None or steps is None:
            return self._status("ready")
        try:
            while True:
                self._progress = next(steps)
                self._stepped = True
                if time.monotonic() >= deadline:
                    return self._status("running")
        except StopIteration:
            self._release()
            return self._status("finished")
        except RunInterrupted as error:
            self._release()
            return self._status("stopped", _line(error))
        except Exception as error:
            return self._fail(run, error)

    def stop(self, number: int = signal.SIGTERM) -> WorkerStatus:
        """Stops the job after its current step, with a checkpoint.

        Args:
            number: number of the signal that the run names as the reason.
        """
        if self._steps is None or not self._stepped:
            self._release()
            return self._status("stopped", "it had not begun")
        if threading.current_thread() is threading.main_thread():
            signal.raise_signal(number)  # the run handles it while it works: see `interrupts.stop_on_signal`
            return self.advance(float("inf"))
        self._steps.close()
        self._release()
        return self._status("stopped", "resumable from its last checkpoint")

    def _load(self, config: Config) -> LoadedPrior:
        if self._prior is None or self._prior[:2] != (config.prior, config.device):
            self._prior = None  # frees its memory before the next one is loaded
            gc.collect()
            loaded = config.prior.load(config.device)
            self._prior = (config.prior, config.device, loaded)
            self._loads += 1
        return self._prior[2]

    def _fail(self, run: Run, error: Exception | None) -> WorkerStatus:
        """Marks the job as failed, in its folder too; or reports busy where another process works on it."""
        self._release()
        if error is None or run.running:
            return self._status("busy", f"{run.path.name} is being worked on by another process")
        expected = isinstance(error, RunFailed | ValueError | OSError)
        reason = _line(error) if expected else f"{type(error).__name__}: {_line(error)}"
        status = run.status
        if status.state != "failed":
            replace(status, state="failed", reason=reason, updated=utc_now()).write(run.path)
        return self._status("failed", reason)

    def _release(self) -> None:
        """Releases the job, not the prior."""
        self._steps = self._run = None

    def _status(self, state: Any, reason: str = "") -> WorkerStatus:
        return WorkerStatus(state, self._progress.done, self._progress.total, self._progress.note, reason, self._loads)


def _create(folder: Path, config: Config, command: Sequence[str], sha256: str | None) -> Run:
    prior = {"title": config.prior.title} | ({} if sha256 is None else {"sha256": sha256})
    run = Run.create(
        {"verb": "run", **config.to_dict()},
        name_parts=[config.method_name],
        command=command,
        environment=collect_environment(config.device, prior),
        status=Status("created", steps=config.steps),
        out=folder,
    )
    if run.path != folder:
        raise ValueError(f"{folder} holds something else; remove it, and {run.path.name} beside it")
    return run


def _check(run: Run, config: Config, loaded: LoadedPrior) -> None:
    """Raises ValueError unless the folder holds this job, begun with the same prior."""
    if run.config != config:
        raise ValueError(f"{run.path} holds a run of other settings; remove it")
    if run.environment.get("prior", {}).get("sha256") != loaded.sha256:
        raise ValueError(
            f"the prior {config.prior.title} is no longer the one that {run.path.name} began with (its SHA-256 "
            "differs); put the old one back, or remove the run"
        )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
