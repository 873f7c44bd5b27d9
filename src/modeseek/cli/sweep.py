"""`modeseek sweep`: prompts or settings x methods x seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro

from modeseek.cli.run import RunCommand
from modeseek.cli.sweep_view import follow_sweep, show_jobs
from modeseek.cli.terminal import print_table
from modeseek.io.thread_pool import available_cores
from modeseek.rundir.run_dir import Run
from modeseek.runs.interrupts import RunFailed
from modeseek.sweeps.sweep_dir import JobDir, open_sweep, planned_job_dirs
from modeseek.sweeps.jobs import JobSpec, job_specs
from modeseek.sweeps.local_workers import LocalWorkerPool
from modeseek.sweeps.progress import RetryPolicy
from modeseek.sweeps.ray_workers import RayWorkerPool
from modeseek.sweeps.results import collect, summary_table
from modeseek.sweeps.run_sweep import run_sweep
from modeseek.sweeps.spec import SweepSpec, read_spec
from modeseek.sweeps.worker_pool import WorkerPool


@dataclass(frozen=True)
class SweepCommand:
    """Run prompts or settings x methods x seeds, each a run folder; the same command goes on where it was left.

    The file has a base (the settings of a run, or the config.yaml of one), and any of prompts, axes (places as --set
    takes them, with their values), methods (each maybe with settings of its own) and seeds. Finished jobs are never
    done twice; interrupted ones go on from their checkpoints; jobs can be added to the file, not changed. Ctrl-C
    finishes the steps at hand and ends with code 75; jobs that fail are named at the end, which is code 1.

    Examples:
      modeseek sweep examples/sweep.yaml --dry-run

      modeseek sweep examples/sweep.yaml --workers 2

      modeseek sweep prompts.yaml --executor ray --address 192.0.2.7:6379 --out /shared/prompts
    """

    sweep: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="SWEEP.YAML")]]
    """What to do; or the folder of a sweep, to do it again elsewhere."""
    executor: Literal["local", "ray"] = "local"
    """local: processes of this machine. ray: actors of a Ray cluster (pip install 'modeseek[distributed]')."""
    address: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT")] = None
    """Of a Ray cluster whose machines share the output folder; without it one of this machine alone, on loopback."""
    workers: int | None = None
    """Jobs at a time; by default one a core, or one an accelerator where the device is cuda."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder of the sweep, by default runs/NAME-OF-THE-FILE. One that this sweep began is gone on with."""
    retries: int = 3
    """Times that a job is handed out again after its worker was lost."""
    retry_failed: bool = False
    """Also do again what failed by its own fault before."""
    dry_run: bool = False
    """Print the jobs and what they will cost, and do nothing."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs what is missing, and shows what came out."""
        if self.address is not None and self.executor != "ray":
            raise ValueError(f"only the executor ray has an address: got {self.address}; add --executor ray")
        patience = RetryPolicy(self.retries)
        spec = read_spec(self.sweep)
        jobs = job_specs(spec, RunCommand().resolve_config)
        out = Path("runs") / self._name if self.out is None else self.out
        if self.dry_run:
            show_jobs(planned_job_dirs(jobs, out), out)
            return
        todo = any(slot.state != "finished" for slot in planned_job_dirs(jobs, out))  # and refuses what is not its folder
        staff = self._staff(jobs) if todo else LocalWorkerPool(1)
        try:
            self._work(spec, jobs, out, staff, argv, patience)
        finally:
            staff.close()

    @property
    def _name(self) -> str:
        path = self.sweep.absolute()
        return f"{path.name}-again" if path.is_dir() else path.stem

    def _staff(self, jobs: Sequence[JobSpec]) -> WorkerPool:
        gpu = any(torch.device(entry.config.device).type == "cuda" for entry in jobs)
        if self.executor == "ray":
            return RayWorkerPool(self.workers, self.address, gpu)
        gpus = [str(i) for i in range(torch.cuda.device_count())] if gpu else []
        named = any(":" in entry.config.device for entry in jobs)
        most = (max(1, len(gpus)) if gpu else available_cores()) if self.workers is None else self.workers
        return LocalWorkerPool(min(most, len(jobs)), () if named or len(gpus) < 2 else gpus)

    def _work(
        self,
        spec: SweepSpec,
        jobs: Sequence[JobSpec],
        out: Path,
        staff: WorkerPool,
        argv: Sequence[str],
        patience: RetryPolicy,
    ) -> None:
        run, slots = open_sweep(spec, jobs, argv, out)
        print(f"Sweep: {run.path}, {len(slots)} jobs")
        try:
            follow_sweep(run_sweep(run, slots, staff, argv, patience, self.retry_failed))
        except RunFailed:
            _tell(run, slots)
            raise
        _tell(run, slots)


def _tell(run: Run, slots: Sequence[JobDir]) -> None:
    results = collect(slots)
    print_table(summary_table(results), {}, f"{sum(one.state == 'finished' for one in results)} of {len(results)} jobs finished")
    for one in results:
        if one.state != "finished":
            print(f"{one.state}: {one.job_dir.path.name}: {'' if one.status is None else one.status.reason}")
    if (run.path / "report.html").exists():
        print(f"Report: {run.path / 'report.html'}")
