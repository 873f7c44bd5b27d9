"""Small sweeps, and a pool of one worker in a thread of this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import modeseek.rundir.run_dir
import modeseek.sweeps.worker
from modeseek.rundir.environment import collect_environment
from modeseek.rundir.run_dir import Run
from modeseek.sweeps.jobs import job_specs
from modeseek.sweeps.progress import SweepProgress
from modeseek.sweeps.run_sweep import run_sweep
from modeseek.sweeps.spec import parse_spec
from modeseek.sweeps.sweep_dir import JobDir, open_sweep
from modeseek.sweeps.worker import JobReport
from modeseek.sweeps.worker_pool import WorkerPool

MSD = {"msd": {"bandwidth": {"adaptive": {"end": 0.1}}}}
BASE = {
    "prior": {"problem": {"name": "ring"}},
    "generator": {"points": {"start": {"noise": {"n": 3}}}},
    "steps": 6,
    "saving": {"steps": 1},
    "previews": 0,
}
SMALL = {"base": BASE, "methods": {"msd": {"method": MSD, "optimizer": "sgd"}, "sds": None}, "seeds": 2}

TWO = SMALL | {"methods": ["sds"]}
ONE = TWO | {"seeds": 1}


class Killed(BaseException):
    """End of a worker's process."""


class InlineWorker:
    """Worker in a thread of this process.

    Args:
        kills: numbers of steps after which the worker of each next job is killed, None for not; shared by all workers.
    """

    def __init__(self, kills: list[int | None]) -> None:
        self.kills, self.thread, self.killed = kills, ThreadPoolExecutor(1), False
        self.calls: list[Future[Any]] = []

    def submit(self, call: Callable[..., Any], *args: Any) -> Future[Any]:
        self.calls.append(self.thread.submit(self.job if call is not os.getpid else call, *args))
        return self.calls[-1]

    def job(self, *args: Any) -> JobReport:
        steps = self.kills.pop(0) if self.kills else None
        try:
            with pytest.MonkeyPatch.context() as patched:
                if steps is not None:
                    train = modeseek.sweeps.worker.train
                    patched.setattr(
                        modeseek.sweeps.worker, "train", lambda *a, **k: killed_after(steps, train(*a, **k))
                    )
                return modeseek.sweeps.worker.run_job(*args)
        except Killed as error:
            raise BrokenExecutor("killed") from error

    def exit_reason(self, error: Exception) -> str | None:
        return str(error) if isinstance(error, BrokenExecutor) else None

    def kill(self) -> None:
        assert all(call.done() for call in self.calls), "killed at work"
        self.killed = True
        self.thread.shutdown()


def killed_after(steps: int, run: Generator[Any, None, None]) -> Generator[Any, None, None]:
    """Trains for some steps, and then the process ends, which releases its locks."""
    for _ in range(steps):
        yield next(run)
    run.close()
    raise Killed


class InlineWorkers(list[InlineWorker]):
    """The workers that a pool of one has started; see `InlineWorker`."""

    def __init__(self, *kills: int | None) -> None:
        self.kills = list(kills)

    def start(self, number: int) -> InlineWorker:
        assert number == 0 and all(worker.killed for worker in self), "one at a time"
        self.append(InlineWorker(self.kills))
        return self[-1]

    @property
    def pool(self) -> WorkerPool:
        return WorkerPool(1, self.start)


ENVIRONMENT = collect_environment("cpu", {})


@pytest.fixture(autouse=True)
def fixed_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is collected once: git takes longer than these jobs."""
    monkeypatch.setattr(
        modeseek.rundir.run_dir, "collect_environment", lambda device, prior: ENVIRONMENT | {"prior": prior}
    )


@pytest.fixture(autouse=True)
def no_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    """No prior is loaded, as in a new process."""
    monkeypatch.setattr(modeseek.sweeps.worker, "_loaded", {})


def begin(out: Path, plain: dict[str, Any] = SMALL) -> tuple[Run, list[JobDir]]:
    spec = parse_spec(plain)
    return open_sweep(spec, job_specs(spec), ["modeseek", "sweep", "my sweep.yaml"], out)


def work(out: Path, pool: WorkerPool, plain: dict[str, Any] = SMALL, **more: Any) -> list[SweepProgress]:
    run, job_dirs = begin(out, plain)
    return list(run_sweep(run, job_dirs, pool, ["modeseek", "sweep", "it.yaml"], **more))


def statuses(out: Path) -> dict[str, tuple[str, int, int]]:
    found = {path.name: Run(path).status for path in (out / "jobs").iterdir()}
    return {name: (status.state, status.step, status.sessions) for name, status in found.items()}
