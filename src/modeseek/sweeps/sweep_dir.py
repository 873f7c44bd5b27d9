"""Folder of a sweep: the table of its jobs, and the folder and state of each job."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modeseek.config.config import read_config
from modeseek.config.paths import find_paths
from modeseek.config.yaml import write_yaml
from modeseek.io.atomic import remove_folder, write_atomic
from modeseek.io.errors import one_line
from modeseek.reports.tolerant_reading import observed_state
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status, utc_now
from modeseek.sweeps.jobs import JobSpec, config_id
from modeseek.sweeps.spec import SweepSpec

JOBS = "jobs"
TABLE = "sweep.json"
SESSION = ".session"  # exists while a sweep runs
_FORMAT = "modeseek-sweep-1"


@dataclass(frozen=True, eq=False)
class JobDir:
    """Folder of a job.

    Attributes:
        spec: specification of the job.
        path: folder of its run, absolute; it need not exist yet.
    """

    spec: JobSpec
    path: Path

    @property
    def status(self) -> Status | None:
        """Status of the run; None if the job was not started.

        Raises:
            ValueError: the folder is damaged.
        """
        return Run(self.path).status if (self.path / "status.json").is_file() else None

    @property
    def state(self) -> str:
        """State of the run: `waiting` if not started, `lost` if it says running but no process works on it."""
        status = self.status
        return "waiting" if status is None else observed_state(Run(self.path), status)


def planned_job_dirs(jobs: Sequence[JobSpec], out: Path) -> list[JobDir]:
    """Folders that the jobs have or will have; nothing is written.

    Raises:
        ValueError: the folder holds other files, or jobs that are not among these.
    """
    names, folder = _existing_names(out, jobs), Path(os.path.abspath(out)) / JOBS
    return [JobDir(job, folder / names.get(job.id, job.folder_name)) for job in jobs]


def open_sweep(spec: SweepSpec, jobs: Sequence[JobSpec], command: Sequence[str], out: Path) -> tuple[Run, list[JobDir]]:
    """Creates the folder of a sweep, or opens an existing one; jobs may be added to it, none may be missing.

    Args:
        spec: specification of the sweep.
        jobs: its jobs.
        command: command line as typed.
        out: folder of the sweep.

    Raises:
        ValueError: the folder holds other files or other jobs, or another process works on it.
        OSError: the folder cannot be written to.
    """
    _existing_names(out, jobs)
    settings = {"verb": "sweep", **spec.plain}
    if not (out / "status.json").is_file():
        titles = sorted({job.config.prior.title for job in jobs})
        run = Run.create(
            settings,
            name_parts=["sweep"],
            command=command,
            prior={"title": ", ".join(titles)[:200]},
            device=jobs[0].config.device,
            steps=len(jobs),
            out=out,
        )
        if run.path != out:
            remove_folder(run.path)
            raise ValueError(f"{out} was made by another process just now; run the command again")
    run = Run(out)
    with run.locked():
        job_dirs = planned_job_dirs(jobs, out)
        write_atomic(out / TABLE, json.dumps({"format": _FORMAT, "jobs": [_row(one) for one in job_dirs]}, indent=1))
        write_atomic(out / "config.yaml", write_yaml(settings))
        write_atomic(out / "command.txt", shlex.join(command) + "\n")
        (out / JOBS).mkdir(exist_ok=True)
    return run, job_dirs


def reset_failures(job_dirs: Sequence[JobDir]) -> int:
    """Makes failed jobs wait again, from their checkpoint if any, else from the start; returns their number."""
    count = 0
    for job_dir in job_dirs:
        status = job_dir.status
        if status is None or status.state != "failed":
            continue
        run, count = Run(job_dir.path), count + 1
        with run.locked():
            if run.checkpoints:
                replace(status, state="stopped", reason="to be tried again", updated=utc_now()).write(job_dir.path)
        if not run.checkpoints:
            remove_folder(job_dir.path)
    return count


def _existing_names(out: Path, jobs: Sequence[JobSpec]) -> dict[str, str]:
    """Folder names by job id, from the table of an existing sweep; empty if there is none yet."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return {}
    if not (out / "status.json").is_file():
        raise ValueError(f"{out} holds other files: it has no status.json; choose another --out")
    verb = Run(out).settings.get("verb")
    if verb != "sweep":
        raise ValueError(f"{out} belongs to modeseek {verb}, not to a sweep; choose another --out")
    if not (out / TABLE).exists():
        return {}
    ids = {job.id for job in jobs}
    names = dict(_read_row(row, ids, Run(out)) for row in _rows(out / TABLE))
    removed = [name for id, name in names.items() if id not in ids]
    if removed:
        raise ValueError(
            f"{out} has {len(names)} jobs, of which this sweep lacks {len(removed)}, such as {removed[0]}; jobs can be "
            "added but not changed or left out: put them back, or choose another --out"
        )
    return names


def _row(job_dir: JobDir) -> dict[str, Any]:
    job = job_dir.spec
    return {
        "id": job.id,
        "folder": job_dir.path.name,
        "labels": list(job.labels),
        "method": job.method,
        "seed": job.config.seed,
        "config": job.config.to_dict(),
    }


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        table = json.loads(path.read_bytes())
        if table["format"] != _FORMAT or not all(isinstance(row["folder"], str) for row in table["jobs"]):
            raise ValueError(f"its format is {str(table['format'])[:40]!r}")
        return table["jobs"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {one_line(error, 100)}; restore it, or choose another --out") from error


def _read_row(row: dict[str, Any], ids: Container[str], sweep: Run) -> tuple[str, str]:
    """Id and folder name of a row. An unknown id is recomputed: paths, and settings of other versions, may differ."""
    id, name = row.get("id"), row["folder"]
    if Path(name).name != name or name in ("", ".", ".."):
        raise ValueError(f"{TABLE} is damaged: {name[:60]!r} is no folder's name; restore it")
    if isinstance(id, str) and id in ids:
        return id, name
    settings = find_paths(row.get("config"), sweep.path, sweep.began_in)
    return config_id(read_config(settings, f"{TABLE}, {name}")), name
