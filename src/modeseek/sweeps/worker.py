"""Work of a sweep's worker process: one job per call, with the prior kept loaded between calls."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from modeseek.config.config import Config, read_config
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.config.priors import PriorConfig
from modeseek.io.atomic import remove_folder
from modeseek.io.errors import one_line
from modeseek.rundir.prior_identity import changed_prior
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import utc_now
from modeseek.runs.build import build
from modeseek.runs.interrupts import RunFailed, RunInterrupted, StopRequest
from modeseek.runs.train import train

_loaded: dict[tuple[PriorConfig, str], LoadedPrior] = {}  # the one prior of this process, by configuration and device


@dataclass(frozen=True)
class JobReport:
    """Outcome of one call of a worker.

    Attributes:
        state: finished, failed (an error of the job itself), stopped (resumable), or busy (another process works on
            the job).
        reason: why the job is not finished, one line, or empty.
        loads: number of priors loaded for it, 0 or 1.
    """

    state: Literal["finished", "failed", "stopped", "busy"]
    reason: str = ""
    loads: int = 0


def run_job(folder: Path, settings: Mapping[str, Any], command: Sequence[str], session_file: Path) -> JobReport:
    """Runs a job to its end, from its newest checkpoint if it has one.

    Args:
        folder: folder of the run; created if it does not exist.
        settings: configuration, as plain data.
        command: command line of the sweep.
        session_file: file that exists while the sweep runs; without it the job stops after its step, with a
            checkpoint.
    """
    config = read_config(dict(settings))
    before = next(iter(_loaded.values()), None)
    report = _run_job(folder, config, command, session_file)
    return replace(report, loads=int(next(iter(_loaded.values()), None) is not before))


def _run_job(folder: Path, config: Config, command: Sequence[str], session_file: Path) -> JobReport:
    busy = JobReport("busy", f"{folder.name} is being worked on by another process")
    exists = (folder / "status.json").is_file()
    if exists and Run(folder).running:
        return busy
    try:
        config = config.with_device()
        loaded = _load(config)
    except Exception as error:  # raised below, once there is a folder to record it in
        loaded = error
    try:
        run = Run(folder) if exists else _create(folder, config, command, loaded)
    except OSError as error:
        return JobReport("stopped", f"{folder} cannot be created: {one_line(error, 500)}")
    except ValueError as error:
        return JobReport("failed", one_line(error, 500))
    if _has_ended(session_file):
        return JobReport("stopped", "it had not begun")
    try:
        if isinstance(loaded, Exception):
            raise loaded
        _check(run, config, loaded)
        stop_request = StopRequest()
        for _ in train(run, build(config, loaded), run.status.steps or config.steps, stop_request=stop_request):
            if _has_ended(session_file):
                stop_request.signal = stop_request.signal or "the sweep was stopped"
    except RunInterrupted as error:
        return JobReport("stopped", one_line(error, 500))
    except Exception as error:
        return busy if run.running else _record_failure(run, error)
    return JobReport("finished")


def _load(config: Config) -> LoadedPrior:
    key = (config.prior, config.device)
    if key not in _loaded:
        _loaded.clear()  # frees its memory before the next one is loaded
        gc.collect()
        _loaded[key] = config.prior.load(config.device)
    return _loaded[key]


def _create(folder: Path, config: Config, command: Sequence[str], loaded: LoadedPrior | Exception) -> Run:
    run = Run.create_for(config, None if isinstance(loaded, Exception) else loaded, command, folder)
    if run.path == folder:
        return run
    remove_folder(run.path)
    if not (folder / "status.json").is_file():
        raise ValueError(f"{folder} holds other files; remove it")
    return Run(folder)  # another process created it in between


def _check(run: Run, config: Config, loaded: LoadedPrior) -> None:
    """Raises ValueError unless the folder holds this job, begun with the same prior."""
    if run.config != replace(config, device=run.config.device):
        raise ValueError(f"{run.path} holds a run of other settings; remove it")
    change = changed_prior(run.environment.get("prior", {}), loaded.record(config.prior.title))
    if change is not None:
        raise ValueError(
            f"the prior {config.prior.title} is no longer the one that {run.path.name} began with ({change}); "
            "restore the old prior, or remove the run"
        )


def _record_failure(run: Run, error: Exception) -> JobReport:
    expected = isinstance(error, RunFailed | ValueError | OSError)
    reason = one_line(error, 500) if expected else f"{type(error).__name__}: {one_line(error, 500)}"
    status = run.status
    if status.state != "failed":
        replace(status, state="failed", reason=reason, updated=utc_now()).write(run.path)
    return JobReport("failed", reason)


def _has_ended(session_file: Path) -> bool:
    """Whether the file is gone or out of reach; opened, since a network file system may answer a stat from a cache."""
    try:
        session_file.open("rb").close()
    except OSError:
        return True
    return False
