"""A sweep's own folder: its table of jobs, each job's place, and how each stands by its own word."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modeseek.config.config import read_config
from modeseek.config.yaml import write_yaml
from modeseek.io.atomic import remove_folder, write_atomic
from modeseek.reports.tolerant import observed_state
from modeseek.rundir.environment import collect_environment
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status, utc_now
from modeseek.sweeps.jobs import JobSpec, config_id
from modeseek.sweeps.spec import SweepSpec

JOBS = "jobs"
TABLE = "sweep.json"
_FORMAT = "modeseek-sweep-1"


@dataclass(frozen=True, eq=False)
class JobDir:
    """A job and its place.

    Attributes:
        entry: the job.
        path: its run's folder, absolute; it may not be there yet.
    """

    spec: JobSpec
    path: Path

    @property
    def status(self) -> Status | None:
        """What its folder says; None where it was not begun.

        Raises:
            ValueError: the folder is damaged.
        """
        return Run(self.path).status if (self.path / "status.json").is_file() else None

    @property
    def state(self) -> str:
        """waiting, or as the run says, or `lost` where it says running and no process works on it."""
        status = self.status
        return "waiting" if status is None else observed_state(Run(self.path), status)


def planned_job_dirs(entries: Sequence[JobSpec], out: Path) -> list[JobDir]:
    """The places that the jobs have or would have; nothing is written.

    Raises:
        ValueError: the folder holds something else, or jobs that are not among these.
    """
    return _slots(entries, out, _told(out, entries))


def open_sweep(
    spec: SweepSpec, entries: Sequence[JobSpec], command: Sequence[str], out: Path
) -> tuple[Run, list[JobDir]]:
    """Begins the folder, or finds it again; the same jobs and new ones may be in it, none may be missing.

    Args:
        spec: what the file said.
        entries: its jobs.
        command: as typed.
        out: the folder.

    Raises:
        ValueError: the folder holds something else or other jobs, or another process works on it.
        OSError: it cannot be written to.
    """
    _told(out, entries)
    settings = {"verb": "sweep", **spec.plain}
    if not (out / "status.json").is_file():
        titles = sorted({entry.config.prior.title for entry in entries})
        run = Run.create(
            settings,
            name_parts=["sweep"],
            command=command,
            environment=collect_environment(entries[0].config.device, {"title": ", ".join(titles)[:200]}),
            status=Status("created", steps=len(entries)),
            out=out,
        )
        if run.path != out:
            remove_folder(run.path)
            raise ValueError(f"{out} was made by another process just now; give the command again")
    run = Run(out)
    with run.locked():
        told = _told(out, entries)
        slots = _slots(entries, out, told)
        write_atomic(out / TABLE, json.dumps({"format": _FORMAT, "jobs": [_row(slot) for slot in slots]}, indent=1))
        write_atomic(out / "config.yaml", write_yaml(settings))
        write_atomic(out / "command.txt", shlex.join(command) + "\n")
        (out / JOBS).mkdir(exist_ok=True)
    return run, slots


def reset_failures(slots: Sequence[JobDir]) -> int:
    """Makes failed jobs wait again: from their checkpoint where they have one, else from the start; how many."""
    count = 0
    for slot in slots:
        status = slot.status
        if status is None or status.state != "failed":
            continue
        run, count = Run(slot.path), count + 1
        with run.locked():
            if run.checkpoints:
                replace(status, state="stopped", reason="to be tried again", updated=utc_now()).write(slot.path)
        if not run.checkpoints:
            remove_folder(slot.path)
    return count


def _slots(entries: Sequence[JobSpec], out: Path, told: dict[str, str]) -> list[JobDir]:
    place = Path(os.path.abspath(out)) / JOBS
    return [JobDir(entry, place / told.get(entry.id, entry.folder_name)) for entry in entries]


def _told(out: Path, entries: Sequence[JobSpec]) -> dict[str, str]:
    """Folder names by id, as the folder's own table has them; empty where there is none yet."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return {}
    if not (out / "status.json").is_file():
        raise ValueError(f"{out} holds something else: it has no status.json; choose another --out")
    verb = Run(out).settings.get("verb")
    if verb != "sweep":
        raise ValueError(f"{out} belongs to modeseek {verb}, not to a sweep; choose another --out")
    if not (out / TABLE).exists():
        return {}
    ours = {entry.id for entry in entries}
    told = dict(_read_row(row, ours) for row in _rows(out / TABLE))
    gone = [folder for id, folder in told.items() if id not in ours]
    if gone:
        raise ValueError(
            f"{out} has {len(told)} jobs, of which this sweep lacks {len(gone)}, such as {gone[0]}; jobs can be added "
            "but not changed or left out: put them back, or choose another --out"
        )
    return told


def _row(slot: JobDir) -> dict[str, Any]:
    entry = slot.spec
    return {
        "id": entry.id,
        "folder": slot.path.name,
        "labels": list(entry.labels),
        "method": entry.method,
        "seed": entry.config.seed,
        "config": entry.config.to_dict(),
    }


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        told = json.loads(path.read_bytes())
        if told["format"] != _FORMAT or not all(isinstance(row["folder"], str) for row in told["jobs"]):
            raise ValueError(f"its format is {str(told['format'])[:40]!r}")
        return told["jobs"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise ValueError(f"{path} is damaged: {reason}; restore it, or choose another --out") from error


def _read_row(row: dict[str, Any], ours: Container[str]) -> tuple[str, str]:
    """Its id and folder; an id that is not ours is worked out anew: another version may have one setting more."""
    id, folder = row.get("id"), row["folder"]
    if Path(folder).name != folder or folder in ("", ".", ".."):
        raise ValueError(f"{TABLE} is damaged: {folder[:60]!r} is no folder's name; restore it")
    if isinstance(id, str) and id in ours:
        return id, folder
    return config_id(read_config(row.get("config"), f"{TABLE}, {folder}")), folder
