"""The experiment's own folder: begun once, found again by the same settings, true about how it stands."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modeseek.config.yaml import write_yaml
from modeseek.io.atomic import LineFile, write_atomic
from modeseek.rundir.environment import collect_environment
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import StateName, Status, utc_now
from modeseek.runs.interrupts import RunInterrupted


@dataclass(frozen=True)
class ExperimentKind:
    """One experiment of the paper.

    Attributes:
        name: after `modeseek paper`.
        free: settings that a second call may change: what is done stays true.
    """

    name: str
    mutable: tuple[str, ...]

    @property
    def verb(self) -> str:
        """Its command."""
        return f"paper {self.name}"


TEXT_TO_IMAGE = ExperimentKind("text-to-image", ("methods", "features", "clip", "judge", "likelihood", "sweep"))
TEXT_TO_3D = ExperimentKind("text-to-3d", ("methods", "captions", "consistency", "seeds", "full"))


def open_experiment(
    kind: ExperimentKind,
    settings: Mapping[str, Any],
    prior: Mapping[str, Any],
    command: Sequence[str],
    out: str | os.PathLike[str] | None,
) -> Run:
    """The folder of an experiment: a new one, or the one that the same settings began.

    Args:
        kind: of experiment.
        settings: all of them, as plain data.
        prior: title of the prior, and its SHA-256 where it has one.
        command: as typed.
        out: the folder wanted; None makes one in `runs/`.

    Raises:
        ValueError: the folder holds something else, or was begun with other settings or another prior.
        OSError: it cannot be written to.
    """
    told = {"verb": kind.verb, **settings}
    path = None if out is None else Path(out)
    if path is None or not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return Run.create(
            told,
            name_parts=["paper", kind.name],
            command=command,
            environment=collect_environment(str(settings["device"]), dict(prior)),
            status=Status("created"),
            out=path,
        )
    if not (path / "status.json").is_file():
        raise ValueError(f"{path} holds something else: it has no status.json; choose another --out")
    run = Run(path)
    before = run.settings
    if before.get("verb") != kind.verb:
        raise ValueError(f"{path} belongs to modeseek {before.get('verb')}, not to {kind.verb}; choose another --out")
    for name, value in told.items():
        if name not in kind.mutable and before.get(name) != value:
            raise ValueError(
                f"{path} was begun with {name} {_short(before.get(name))}: got {_short(value)}; give the same settings "
                "to go on with it, or choose another --out"
            )
    if run.environment.get("prior", {}).get("sha256") != prior.get("sha256"):
        raise ValueError(
            f"the prior is no longer the one that {path} was begun with (its SHA-256 differs); put the old one back "
            "or choose another --out"
        )
    with run.locked():
        write_atomic(path / "config.yaml", write_yaml(dict(told)))
        write_atomic(path / "command.txt", shlex.join(command) + "\n")
    return run


@contextmanager
def experiment_session(run: Run) -> Generator[LineFile]:
    """Locks the folder and keeps its status true; gives its log.

    Raises:
        Stopped: Ctrl-C, or a job that was asked to stop; it says how to go on.
        ValueError: another process works on it.
    """
    began, before = time.perf_counter(), run.status.seconds
    with run.locked():
        log = LineFile(run.path / "log.txt")

        def tell(state: StateName, reason: str = "", sessions: int = 0) -> None:
            log.append(f"{utc_now()} {state}" + (f": {reason}" if reason else ""))
            status, seconds = run.status, before + time.perf_counter() - began
            told = replace(status, state=state, reason=reason, seconds=seconds, updated=utc_now())
            replace(told, sessions=status.sessions + sessions).write(run.path)

        try:
            tell("running", sessions=1)
            yield log
            tell("finished")
        except (KeyboardInterrupt, RunInterrupted) as error:
            reason = (
                "interrupted" if isinstance(error, KeyboardInterrupt) else " ".join(str(error).split(";")[0].split())
            )
            tell("stopped", reason)
            raise RunInterrupted(resume_hint(run, reason)) from error
        except GeneratorExit:
            tell("stopped", "left by who watched it")
            raise
        except Exception as error:
            tell("failed", " ".join(str(error).split())[:500])
            raise
        finally:
            log.close()


def resume_hint(run: Run, reason: str) -> str:
    """What to tell who stopped it."""
    return f"{reason}; what is done is kept, go on with the same command and --out {run.path}"


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
