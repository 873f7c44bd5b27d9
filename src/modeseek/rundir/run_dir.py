"""A run's folder: made once, never over another, and found again."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shlex
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from modeseek.config.config import Config, read_config, read_yaml_file
from modeseek.config.yaml import write_yaml
from modeseek.io.atomic import unused_path, read_whole_lines, recover_folder, atomic_folder, write_synced
from modeseek.rundir.checkpoint import Checkpoint, newest_checkpoint, list_checkpoints
from modeseek.rundir.status import Status, read_status

_FOLDERS = ("checkpoints", "previews", "media", "exports")


@dataclass(frozen=True)
class Run:
    """A run on disk. Reading it never changes it.

    Attributes:
        path: its folder.
    """

    path: Path

    @classmethod
    def create(
        cls,
        settings: Mapping[str, Any],
        *,
        name_parts: Sequence[str],
        command: Sequence[str],
        environment: Mapping[str, Any],
        status: Status,
        out: str | os.PathLike[str] | None = None,
    ) -> Run:
        """Makes the folder with all that is known before the first step; it appears whole or not at all.

        Args:
            settings: what `config.yaml` says, its verb first.
            words: method and subject, for the default name `runs/<words>-<UTC>-<id>`.
            command: as typed.
            environment: what `env.json` says.
            status: the first one.
            out: the folder wanted instead; one that has something in it is kept, and the new one gets a number.

        Raises:
            OSError: the place cannot be written to.
        """
        target = Path("runs") / default_name(name_parts) if out is None else Path(out)
        if target.name in ("", ".."):
            raise ValueError(f"the output is a folder with a name: got {str(out)!r}; choose one, such as runs/mine")
        if target.exists() and not target.is_dir():
            raise FileExistsError(f"the output is a folder: got {target}, which is a file; choose another name")
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        files = {
            "config.yaml": write_yaml(dict(settings)),
            "command.txt": shlex.join(command) + "\n",
            "env.json": json.dumps(dict(environment), indent=2) + "\n",
        }
        while True:
            place = unused_path(target)
            try:
                with atomic_folder(place, fresh=True) as scratch:
                    for name in _FOLDERS:
                        (scratch / name).mkdir()
                    for name, text in files.items():
                        write_synced(scratch / name, text.encode(errors="surrogateescape"))
                    status.write(scratch)
                return cls(place)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise  # else another process took the name in between: try the next

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Run:
        """The run in that folder, or the one of that name in `runs/`.

        Raises:
            ValueError: there is none; the nearest name is told.
        """
        given = Path(path)
        if (given / "status.json").is_file():
            return cls(given)
        beside = Path("runs") / given
        if (beside / "status.json").is_file():
            return cls(beside)
        if given.is_dir():
            raise ValueError(f"{given} is no run: it has no status.json; name a folder that modeseek made")
        names = [run.path.name for run in find_runs(given.parent if given.parent.name else Path("runs"))]
        near = get_close_matches(given.name, names, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else "modeseek list runs shows those there are"
        raise ValueError(f"there is no run {given}: {hint}")

    @property
    def status(self) -> Status:
        """Where it stands, as last written; ValueError where that is damaged."""
        return read_status(self.path)

    @property
    def running(self) -> bool:
        """Whether a process is working on it now."""
        if not (self.path / ".lock").exists():
            return False
        try:
            with self._lock().acquire(timeout=0):
                return False
        except TimeoutError:
            return True
        except OSError:  # a folder that cannot be written to has no process working in it
            return False

    @property
    def settings(self) -> dict[str, Any]:
        """What `config.yaml` says; ValueError where it is damaged."""
        settings = read_yaml_file(self.path / "config.yaml")
        if not isinstance(settings, dict):
            raise ValueError(f"{self.path / 'config.yaml'} holds no settings; restore it or start anew")
        return settings

    @property
    def config(self) -> Config:
        """The configuration; ValueError where it is damaged or belongs to another verb."""
        return read_config(self.settings, str(self.path / "config.yaml"))

    @property
    def command(self) -> str:
        """As typed."""
        return (self.path / "command.txt").read_text(encoding="utf-8", errors="replace").strip()

    @property
    def environment(self) -> dict[str, Any]:
        """What `env.json` says; ValueError where it is damaged."""
        try:
            told = json.loads((self.path / "env.json").read_bytes())
            if not isinstance(told, dict):
                raise ValueError("it is no table")
            return told
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self.path / 'env.json'} is damaged: {' '.join(str(error).split())[:100]}") from error

    @property
    def checkpoints(self) -> list[Path]:
        """Oldest first, verified or not."""
        return list_checkpoints(self.path / "checkpoints")

    def checkpoint(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest whole checkpoint, and a line for each newer one that is damaged."""
        return newest_checkpoint(self.path / "checkpoints")

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """One dict a step; a torn or damaged line is left out."""
        rows = []
        for line in read_whole_lines(self.path / "metrics.jsonl"):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):  # a damaged line costs its own step only
                continue
            if isinstance(row, dict) and isinstance(row.get("step"), int):
                rows.append(row)
        return rows

    @property
    def log(self) -> list[str]:
        """The lines of `log.txt`."""
        return read_whole_lines(self.path / "log.txt")

    @contextmanager
    def locked(self) -> Generator[None]:
        """Keeps other processes from working on it; what a killed one left half done is removed.

        Raises:
            ValueError: another process is working on it.
            OSError: the folder cannot be written to.
        """
        if not os.access(self.path, os.W_OK):
            raise PermissionError(13, "the folder is read-only", str(self.path))
        lock = self._lock()
        try:
            lock.acquire(timeout=0.5)  # `running` in another process holds it for an instant
        except TimeoutError as error:
            raise ValueError(f"{self.path} is being worked on by another process; wait for it or stop it") from error
        try:
            for folder in (self.path, *(self.path / name for name in _FOLDERS)):
                folder.mkdir(exist_ok=True)
                recover_folder(folder)
            yield
        finally:
            lock.release()

    def _lock(self) -> Any:
        from filelock import FileLock

        return FileLock(self.path / ".lock")


def find_runs(folder: Path) -> list[Run]:
    """The runs in a folder, newest first."""
    if not folder.is_dir():
        return []
    there = [path for path in folder.iterdir() if not path.name.startswith(".")]  # else one that is being made
    return sorted((Run(path) for path in there if (path / "status.json").is_file()), key=_made, reverse=True)


def default_name(words: Sequence[str]) -> str:
    """`<words>-<UTC>-<id>`, in letters that every file system takes."""
    parts = [re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")[:40].strip("-") for word in words]
    slug = "-".join(filter(None, parts)) or "run"
    return f"{slug}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def _made(run: Run) -> float:
    config = run.path / "config.yaml"
    return config.stat().st_mtime if config.exists() else 0.0
