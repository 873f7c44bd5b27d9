"""Small sweeps, and a pool of one worker in a thread of this process."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import modeseek.sweeps.sweep_dir
import modeseek.sweeps.worker
from modeseek.rundir.environment import collect_environment
from modeseek.rundir.run_dir import Run
from modeseek.sweeps.jobs import job_specs
from modeseek.sweeps.progress import SweepProgress
from modeseek.sweeps.run_sweep import run_sweep
from modeseek.sweeps.spec import parse_spec
from modeseek.sweeps.sweep_dir import JobDir, open_sweep
from modeseek.sweeps.worker import Worker, WorkerStatus
from modeseek.sweeps.worker_pool import JobRequest, WorkerLost, WorkerPool

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


class InlineWorkerPool:
    """Pool of one worker in a thread; `plan` may replace its n-th reply, for example by `WorkerLost`."""

    def __init__(self, plan: dict[int, WorkerStatus | WorkerLost] | None = None) -> None:
        self.plan, self.count, self.spawned, self.closed = plan or {}, 0, 0, False
        self.thread = ThreadPoolExecutor(1)
        self.worker: Worker | None = None
        self.replies: list[tuple[int, Future[WorkerStatus | WorkerLost]]] = []

    @property
    def size(self) -> int:
        return 1

    def spawn(self) -> int:
        self.spawned += 1
        self.replies.append((self.spawned, self.thread.submit(self.start)))
        return self.spawned

    def start(self) -> WorkerStatus | WorkerLost:
        self.worker = Worker()
        return self.worker.ready()

    def submit(self, worker: int, request: JobRequest) -> None:
        assert worker == self.spawned and not self.replies, "one call at a time"
        self.replies.append((worker, self.thread.submit(self.reply, request)))

    def reply(self, request: JobRequest) -> WorkerStatus | WorkerLost:
        status = getattr(self.worker, request.method)(*((0.0,) if request.method == "advance" else request.args))
        self.count += 1
        if isinstance(self.plan.get(self.count), WorkerLost):
            self.worker.stop()  # a killed process releases its locks, too
        return self.plan.get(self.count, status)

    def poll(self, seconds: float) -> Sequence[tuple[int, WorkerStatus | WorkerLost]]:
        replies, self.replies = self.replies, []
        return [(worker, reply.result()) for worker, reply in replies]

    def close(self) -> None:
        self.closed = True
        self.thread.shutdown()


ENVIRONMENT = collect_environment("cpu", {})


@pytest.fixture(autouse=True)
def fixed_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is collected once: git takes longer than these jobs."""
    for module in (modeseek.sweeps.worker, modeseek.sweeps.sweep_dir):
        monkeypatch.setattr(module, "collect_environment", lambda device, prior: ENVIRONMENT | {"prior": prior})


def begin(out: Path, plain: dict[str, Any] = SMALL) -> tuple[Run, list[JobDir]]:
    spec = parse_spec(plain)
    return open_sweep(spec, job_specs(spec), ["modeseek", "sweep", "my sweep.yaml"], out)


def work(out: Path, pool: WorkerPool, plain: dict[str, Any] = SMALL, **more: Any) -> list[SweepProgress]:
    run, job_dirs = begin(out, plain)
    return list(run_sweep(run, job_dirs, pool, ["modeseek", "sweep", "it.yaml"], **more))


def statuses(out: Path) -> dict[str, tuple[str, int, int]]:
    found = {path.name: Run(path).status for path in (out / "jobs").iterdir()}
    return {name: (status.state, status.step, status.sessions) for name, status in found.items()}
