"""Run folder: creation without overwriting, loading, locking and reading of its files."""

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
from modeseek.config.loaded_prior import LoadedPrior
from modeseek.config.paths import find_paths, with_absolute_paths
from modeseek.config.yaml import write_yaml
from modeseek.io.atomic import atomic_folder, read_whole_lines, recover_folder, unused_path, write_synced
from modeseek.io.errors import one_line
from modeseek.io.paths import absolute_path, slug
from modeseek.rundir.checkpoint import Checkpoint, list_checkpoints, newest_checkpoint
from modeseek.rundir.environment import collect_environment
from modeseek.rundir.metrics_tail import read_metrics
from modeseek.rundir.status import Status, read_status

_NAMED = re.compile(r".*-\d{8}T\d{6}Z-([0-9a-f]{4})")
_LATEST = "latest"
_FOLDERS = ("checkpoints", "previews", "media", "exports")


@dataclass(frozen=True)
class Run:
    """Run on disk. Reading its properties never changes the folder.

    Attributes:
        path: path of the run folder.
    """

    path: Path

    @classmethod
    def create(
        cls,
        settings: Mapping[str, Any],
        *,
        name_parts: Sequence[str],
        command: Sequence[str],
        prior: Mapping[str, Any],
        device: str = "cpu",
        steps: int = 0,
        out: str | os.PathLike[str] | None = None,
    ) -> Run:
        """Creates the folder atomically, with all files that are known before the first step.

        Args:
            settings: contents of `config.yaml`, the verb first.
            name_parts: method and subject, for the default name `runs/<name-parts>-<UTC>-<id>`.
            command: command line as typed.
            prior: title of the prior, and its identity where it has one (`LoadedPrior.record`).
            device: device of the run.
            steps: number of steps of the whole run, 0 if there are none.
            out: folder to create instead; if it exists and is not empty, a number is appended.

        Raises:
            ValueError: out has no folder name.
            OSError: the folder cannot be created.
        """
        target = Path("runs") / default_name(name_parts) if out is None else Path(out)
        if target.name in ("", ".."):
            raise ValueError(f"the output must be a folder with a name, got {str(out)!r}; pass one such as runs/mine")
        if target.exists() and not target.is_dir():
            raise FileExistsError(f"the output must be a folder, got {target}, which is a file; choose another name")
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        environment = collect_environment(device, dict(prior))
        files = {"config.yaml": write_yaml(dict(settings)), "command.txt": shlex.join(command) + "\n"}
        while True:
            folder = unused_path(target)
            began_in = str(absolute_path(folder))
            files["env.json"] = json.dumps({**environment, "folder": began_in}, indent=2) + "\n"
            try:
                with atomic_folder(folder, fresh=True) as scratch:
                    for name in _FOLDERS:
                        (scratch / name).mkdir()
                    for name, text in files.items():
                        write_synced(scratch / name, text.encode(errors="surrogateescape"))
                    Status("created", steps=steps).write(scratch)
                return cls(folder)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise  # another process took the name in between: try the next

    @classmethod
    def create_for(
        cls,
        config: Config,
        loaded: LoadedPrior | None,
        command: Sequence[str],
        out: str | os.PathLike[str] | None = None,
    ) -> Run:
        """Creates the folder of a configuration, as `create` does; `loaded` is its prior, None if unknown."""
        title = config.prior.title
        config = with_absolute_paths(config)
        return cls.create(
            {"verb": "run", **config.to_dict()},
            name_parts=[config.method_name, config.name or config.prior.title],
            command=command,
            prior={"title": title, "sha256": None} if loaded is None else loaded.record(title),
            device=config.device,
            steps=config.steps,
            out=out,
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Run:
        """Loads the run in that folder, or the run of that name in `runs/`.

        The last part of a name will do, "ab12", and "latest" is the newest run.

        Raises:
            ValueError: there is no such run; the message suggests the closest name.
        """
        given = Path(path)
        if (given / "status.json").is_file():
            return cls(given)
        if given.name == _LATEST and not given.exists():
            return newest_run(given.parent if given.parent.name else Path("runs"))
        in_runs = Path("runs") / given
        if (in_runs / "status.json").is_file():
            return cls(in_runs)
        if given.is_dir():
            raise ValueError(f"{given} is not a run: it has no status.json; pass a folder that modeseek created")
        runs = find_runs(given.parent if given.parent.name else Path("runs"))
        same = [run for run in runs if run.id == given.name]
        if len(same) == 1:
            return same[0]
        names = [run.path.name for run in runs]
        matches = get_close_matches(given.name, names, n=1, cutoff=0.4)
        hint = f"did you mean {matches[0]}?" if matches else "modeseek list runs shows the existing ones"
        raise ValueError(f"there is no run {given}: {hint}")

    @classmethod
    def find(cls, path: str | os.PathLike[str] | None = None) -> Run:
        """Loads a run as `load` does; None is the newest run in `runs/`.

        Raises:
            ValueError: there is no such run, or none at all.
        """
        return newest_run() if path is None else cls.load(path)

    @property
    def id(self) -> str:
        """Last part of the name that modeseek gave it, four hexadecimal digits; the whole name of another folder."""
        match = _NAMED.fullmatch(self.path.name)
        return self.path.name if match is None else match[1]

    @property
    def status(self) -> Status:
        """Status as last written; ValueError if the file is damaged."""
        return read_status(self.path)

    @property
    def running(self) -> bool:
        """Whether a process holds the lock of the run."""
        if not (self.path / ".lock").exists():
            return False
        try:
            with self._lock().acquire(timeout=0):
                return False
        except TimeoutError:
            return True
        except OSError:  # no process can work in a read-only folder
            return False

    @property
    def settings(self) -> dict[str, Any]:
        """Contents of `config.yaml`; ValueError if it is damaged."""
        settings = read_yaml_file(self.path / "config.yaml")
        if not isinstance(settings, dict):
            raise ValueError(f"{self.path / 'config.yaml'} holds no settings; restore it or start a new run")
        return settings

    @property
    def config(self) -> Config:
        """Configuration of the run, its paths found from anywhere; ValueError if damaged or of another command."""
        return read_config(find_paths(self.settings, self.path, self.began_in), str(self.path / "config.yaml"))

    def began_in(self) -> Path | None:
        """Path of the run folder when the run began, which may have been moved since; None if unknown."""
        folder = self.environment.get("folder")
        return Path(folder) if isinstance(folder, str) else None

    @property
    def command(self) -> str:
        """Command line as typed."""
        return (self.path / "command.txt").read_text(encoding="utf-8", errors="replace").strip()

    @property
    def environment(self) -> dict[str, Any]:
        """Contents of `env.json`; ValueError if it is damaged."""
        try:
            values = json.loads((self.path / "env.json").read_bytes())
            if not isinstance(values, dict):
                raise ValueError("it is not a mapping")
            return values
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self.path / 'env.json'} is damaged: {one_line(error, 100)}") from error

    @property
    def checkpoints(self) -> list[Path]:
        """Paths of the checkpoints, oldest first, not verified."""
        return list_checkpoints(self.path / "checkpoints")

    def checkpoint(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest intact checkpoint, and an error line for each newer, damaged one."""
        return newest_checkpoint(self.path / "checkpoints")

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Metrics, one dict per step; torn and damaged lines are skipped."""
        return read_metrics(self.path / "metrics.jsonl")

    @property
    def log(self) -> list[str]:
        """Lines of `log.txt`."""
        return read_whole_lines(self.path / "log.txt")

    @contextmanager
    def locked(self) -> Generator[None]:
        """Holds the lock of the run while open; first removes partial files that a killed process left.

        Raises:
            ValueError: another process holds the lock.
            OSError: the folder cannot be written to.
        """
        if not os.access(self.path, os.W_OK):
            raise PermissionError(13, "the folder is read-only", str(self.path))
        lock = self._lock()
        try:
            lock.acquire(timeout=0.5)  # `running` in another process holds it briefly
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
    """Runs in a folder, newest first."""
    if not folder.is_dir():
        return []
    paths = [path for path in folder.iterdir() if not path.name.startswith(".")]  # hidden: still being created
    return sorted((Run(path) for path in paths if (path / "status.json").is_file()), key=_creation_time, reverse=True)


def newest_run(folder: Path = Path("runs")) -> Run:
    """The run of a folder that was created last.

    Raises:
        ValueError: the folder holds no run.
    """
    runs = find_runs(folder)
    if not runs:
        raise ValueError(f"{folder} must hold a run, got none; pass the folder of one, or make one: modeseek image ...")
    return runs[0]


def default_name(parts: Sequence[str]) -> str:
    """Folder name `<parts>-<UTC>-<id>`, in characters that every file system accepts."""
    stem = "-".join(filter(None, map(slug, parts))) or "run"
    return f"{stem}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def _creation_time(run: Run) -> float:
    config = run.path / "config.yaml"
    return config.stat().st_mtime if config.exists() else 0.0
