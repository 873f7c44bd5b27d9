"""`modeseek sweep`: grid of runs over prompts or settings, methods and seeds."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro

from modeseek.cli.sweep_view import follow_sweep, show_jobs
from modeseek.cli.terminal import print_table
from modeseek.config.config import Config
from modeseek.device import AUTO
from modeseek.io.thread_pool import available_cores
from modeseek.rundir.run_dir import Run
from modeseek.runs.interrupts import RunFailed
from modeseek.sweeps.jobs import JobSpec, job_specs
from modeseek.sweeps.local_workers import local_workers
from modeseek.sweeps.ray_workers import ray_workers
from modeseek.sweeps.results import collect, summary_table
from modeseek.sweeps.run_sweep import run_sweep
from modeseek.sweeps.spec import read_spec
from modeseek.sweeps.sweep_dir import JobDir, open_sweep, planned_job_dirs
from modeseek.sweeps.worker_pool import WorkerPool


@dataclass(frozen=True)
class SweepCommand:
    """Run a grid of prompts or settings x methods x seeds, one run folder per job; rerun the command to resume.

    The file holds a base (settings of a run, or a config.yaml), and any of prompts, axes (keys as in --set, with lists
    of values), methods (optionally with settings) and seeds. Finished jobs are skipped, interrupted ones resume from
    their checkpoints; jobs can be added to the file, not changed. Ctrl-C finishes the current steps and exits with
    code 75; failed jobs are listed at the end, with exit code 1.

    Examples:
      modeseek sweep examples/sweep.yaml --dry-run

      modeseek sweep examples/sweep.yaml --workers 2

      modeseek sweep prompts.yaml --executor ray --address 192.0.2.7:6379 --out /shared/prompts
    """

    sweep: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="SWEEP.YAML")]]
    """Sweep file, or the folder of a sweep to repeat in another folder."""
    executor: Literal["local", "ray"] = "local"
    """Executor: local processes, or ray actors of a Ray cluster (pip install 'modeseek[distributed]')."""
    address: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT")] = None
    """Address of a Ray cluster whose machines share the output folder; default: a new local cluster on loopback."""
    workers: int | None = None
    """Number of parallel jobs; default one per CPU core, or one per GPU if the device is cuda."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Sweep folder to create or resume; default runs/NAME-OF-THE-FILE."""
    retries: int = 3
    """Maximum number of retries of a job whose worker was lost."""
    retry_failed: bool = False
    """Retry of jobs that failed with an error."""
    dry_run: bool = False
    """Dry run: print the jobs and their cost and exit."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs the unfinished jobs and prints the table of results."""
        if self.address is not None and self.executor != "ray":
            raise ValueError(f"--address needs --executor ray, got {self.address} with --executor {self.executor}")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"a sweep needs at least one worker: got {self.workers}; raise --workers")
        if self.retries < 0:
            raise ValueError(f"--retries must be >= 0, got {self.retries}; try 3")
        spec = read_spec(self.sweep)
        jobs = job_specs(spec)
        out = Path("runs") / self._name if self.out is None else self.out
        planned = planned_job_dirs(jobs, out)  # raises if the folder is not one of this sweep
        if self.dry_run:
            show_jobs(planned, out)
            return
        with self._workers(jobs, any(job_dir.state != "finished" for job_dir in planned)) as pool:
            run, job_dirs = open_sweep(spec, jobs, argv, out)
            print(f"Sweep: {run.path}, {len(job_dirs)} jobs")
            try:
                follow_sweep(run_sweep(run, job_dirs, pool, argv, self.retries, self.retry_failed))
            except RunFailed:
                _print_results(run, job_dirs)
                raise
            _print_results(run, job_dirs)

    @property
    def _name(self) -> str:
        path = self.sweep.absolute()
        return f"{path.name}-again" if path.is_dir() else path.stem

    @contextmanager
    def _workers(self, jobs: Sequence[JobSpec], needed: bool) -> Generator[WorkerPool]:
        devices = [_device(job.config) for job in jobs]
        gpu = any(device.startswith("cuda") for device in devices)
        if self.executor == "ray" and needed:
            with ray_workers(self.workers, self.address, gpu) as pool:
                yield pool
            return
        gpus = [str(i) for i in range(torch.cuda.device_count())] if gpu else []
        indexed = any(":" in device for device in devices)
        count = (max(1, len(gpus)) if gpu else available_cores()) if self.workers is None else self.workers
        yield local_workers(min(count, len(jobs)), () if indexed or len(gpus) < 2 else gpus)


def _device(config: Config) -> str:
    """Device of a job: auto is what it would be on this machine; one that is named may be another machine's."""
    return config.with_device().device if config.device == AUTO else config.device


def _print_results(run: Run, job_dirs: Sequence[JobDir]) -> None:
    results = collect(job_dirs)
    print_table(
        summary_table(results),
        {},
        f"{sum(result.state == 'finished' for result in results)} of {len(results)} jobs finished",
    )
    for result in results:
        if result.state != "finished":
            print(
                f"{result.state}: {result.job_dir.path.name}: {'' if result.status is None else result.status.reason}"
            )
    if (run.path / "report.html").exists():
        print(f"Report: {run.path / 'report.html'}")
