"""Who does the work: one job at a time, in slices, with a prior that stays loaded."""

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

_SLICE = 0.5  # seconds between two words with who drives


@dataclass(frozen=True)
class WorkerStatus:
    """How a worker stands.

    Attributes:
        state: ready (nothing to do yet), going, finished, failed (the job's own fault), stopped (resumable), or busy
            (another process works on the job).
        step: of its job.
        steps: in all.
        note: a number worth seeing.
        reason: why it is not finished, one line.
        loads: priors that this worker loaded so far.
    """

    state: Literal["ready", "going", "finished", "failed", "stopped", "busy"]
    step: int = 0
    steps: int = 0
    note: str = ""
    reason: str = ""
    loads: int = 0


class Worker:
    """Does jobs in the process it lives in; every answer is plain, so that it can live anywhere.

    Args:
        threads: of tensor operations.
        folder: to work in, which relative paths of configurations start from; None stays.
    """

    def __init__(self, threads: int = 1, folder: str | None = None) -> None:
        torch.set_num_threads(threads)
        if folder is not None:
            os.chdir(folder)
        self._prior: tuple[PriorConfig, str, LoadedPrior] | None = None
        self._loads = 0
        self._run: Run | None = None
        self._walk: Generator[Progress, None, None] | None = None
        self._last = Progress("optimising", 0, 0)
        self._began = False

    def ready(self) -> WorkerStatus:
        """Says that it lives."""
        return self._told("ready")

    def begin(self, path: str, plain: dict[str, Any], command: Sequence[str]) -> WorkerStatus:
        """Takes a job up: makes its folder, or finds where it was left.

        Args:
            path: the run's folder.
            plain: its configuration.
            command: of the sweep.
        """
        folder, config = Path(path), read_config(plain)
        self._last, self._began = Progress("optimising", 0, config.steps), False
        there = (folder / "status.json").is_file()
        if there and Run(folder).running:
            return self._told("busy", f"{folder.name} is being worked on by another process")
        self._run = Run(folder) if there else None
        try:
            loaded, wrong = self._load(config), None
        except Exception as error:
            loaded, wrong = None, error
        try:
            self._run = run = self._run or _create(folder, config, command, None if loaded is None else loaded.sha256)
        except OSError as error:
            return self._told("stopped", f"{folder} cannot be made: {_line(error)}")
        if loaded is None or wrong is not None:
            return self._gave_up(run, wrong)
        try:
            _check(run, config, loaded)
            total = run.status.steps or config.steps
            self._walk = train(run, build(config, loaded), total)
            self._last = Progress("optimising", run.status.step, total)
            return self._told("going")
        except Exception as error:
            return self._gave_up(run, error)

    def advance(self, seconds: float = _SLICE) -> WorkerStatus:
        """Works on the job for about so long, at least one step."""
        run, walk, ends = self._run, self._walk, time.monotonic() + seconds
        if run is None or walk is None:
            return self._told("ready")
        try:
            while True:
                self._last = next(walk)
                self._began = True
                if time.monotonic() >= ends:
                    return self._told("going")
        except StopIteration:
            self._rest()
            return self._told("finished")
        except RunInterrupted as error:
            self._rest()
            return self._told("stopped", _line(error))
        except Exception as error:
            return self._gave_up(run, error)

    def stop(self, number: int = signal.SIGTERM) -> WorkerStatus:
        """Makes the step at hand the job's last for now, and keeps it.

        Args:
            number: of the signal that the run shall name as the reason.
        """
        if self._walk is None or not self._began:
            self._rest()
            return self._told("stopped", "it had not begun")
        if threading.current_thread() is threading.main_thread():
            signal.raise_signal(number)  # the run listens to it while it works: see `stop.on_request`
            return self.advance(float("inf"))
        self._walk.close()
        self._rest()
        return self._told("stopped", "kept up to its last checkpoint")

    def _load(self, config: Config) -> LoadedPrior:
        if self._prior is None or self._prior[:2] != (config.prior, config.device):
            self._prior = None  # room for the next one
            gc.collect()
            loaded = config.prior.load(config.device)
            self._prior = (config.prior, config.device, loaded)
            self._loads += 1
        return self._prior[2]

    def _gave_up(self, run: Run, error: Exception | None) -> WorkerStatus:
        """The job's own fault, told in its folder too; or not its fault, where somebody else has it."""
        self._rest()
        if error is None or run.running:
            return self._told("busy", f"{run.path.name} is being worked on by another process")
        ours = isinstance(error, RunFailed | ValueError | OSError)
        reason = _line(error) if ours else f"{type(error).__name__}: {_line(error)}"
        status = run.status
        if status.state != "failed":
            replace(status, state="failed", reason=reason, updated=utc_now()).write(run.path)
        return self._told("failed", reason)

    def _rest(self) -> None:
        """Lets go of the job, not of the prior."""
        self._walk = self._run = None

    def _told(self, state: Any, reason: str = "") -> WorkerStatus:
        return WorkerStatus(state, self._last.done, self._last.total, self._last.note, reason, self._loads)


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
    """Whether the folder is this job's."""
    if run.config != config:
        raise ValueError(f"{run.path} holds a run of other settings; remove it")
    if run.environment.get("prior", {}).get("sha256") != loaded.sha256:
        raise ValueError(
            f"the prior {config.prior.title} is no longer the one that {run.path.name} began with (its SHA-256 "
            "differs); put the old one back, or remove the run"
        )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:500]
