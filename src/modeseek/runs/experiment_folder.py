"""Run folder of an experiment: created once, resumed by the same settings."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeseek.config.paths import absolute_name
from modeseek.config.yaml import write_yaml
from modeseek.io.atomic import write_atomic
from modeseek.io.errors import one_line
from modeseek.rundir.prior_identity import changed_prior
from modeseek.rundir.run_dir import Run

_PATHS = ("prior", "features", "clip", "judge", "icons")  # settings that name a file or a folder
_NO_PATHS = ("renders", "digits")  # names of priors


@dataclass(frozen=True)
class ExperimentKind:
    """Type of an experiment.

    Attributes:
        name: its command, or its subcommand.
        mutable: settings that a resumed call may change without invalidating finished results.
        group: command that it is a subcommand of; empty for none.
    """

    name: str
    mutable: tuple[str, ...]
    group: str = "paper"

    @property
    def verb(self) -> str:
        """Command of the experiment."""
        return f"{self.group} {self.name}".strip()


BENCHMARK = ExperimentKind("benchmark", ("methods", "seeds"), group="")
TEXT_TO_IMAGE = ExperimentKind("text-to-image", ("methods", "features", "clip", "judge", "likelihood", "sweep"))
QUALITY = ExperimentKind("quality", ("methods", "budgets", "device"))
TEXT_TO_SVG = ExperimentKind("text-to-svg", ("methods", "words", "seeds", "device"))
RESTORATION = ExperimentKind("restoration", ("methods", "noises", "operators", "device"))
TEXT_TO_3D = ExperimentKind("text-to-3d", ("methods", "generators", "captions", "consistency", "seeds", "full"))


def open_experiment(
    kind: ExperimentKind,
    settings: Mapping[str, Any],
    prior: Mapping[str, Any],
    command: Sequence[str],
    out: str | os.PathLike[str] | None,
) -> Run:
    """Creates the folder of an experiment, or reopens the one that was created with the same settings.

    Args:
        kind: type of the experiment.
        settings: all settings, as plain data.
        prior: title of the prior, and its identity where it has one (`LoadedPrior.record`).
        command: command line as typed.
        out: folder to create or reopen; None creates one in `runs/`.

    Raises:
        ValueError: the folder holds other files, or was created with other settings or another prior.
        OSError: the folder cannot be written to.
    """
    all_settings = _with_absolute_paths({"verb": kind.verb, **settings})
    path = None if out is None else Path(out)
    if path is None or not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return Run.create(
            all_settings,
            name_parts=kind.verb.split(),
            command=command,
            prior=prior,
            device=str(settings["device"]),
            out=path,
        )
    if not (path / "status.json").is_file():
        raise ValueError(f"{path} holds other files: it has no status.json; choose another --out")
    run = Run(path)
    before = _with_absolute_paths(run.settings)
    if before.get("verb") != kind.verb:
        raise ValueError(f"{path} belongs to modeseek {before.get('verb')}, not to {kind.verb}; choose another --out")
    for name, value in all_settings.items():
        if name not in kind.mutable and before.get(name) != value:
            raise ValueError(
                f"{path} was begun with {name} {_short(before.get(name))}: got {_short(value)}; use the same settings "
                "to resume it, or choose another --out"
            )
    change = changed_prior(run.environment.get("prior", {}), prior)
    if change is not None:
        raise ValueError(
            f"the prior has changed since {path} was begun ({change}); restore the old prior or choose another --out"
        )
    with run.locked():
        write_atomic(path / "config.yaml", write_yaml(dict(all_settings)))
        write_atomic(path / "command.txt", shlex.join(command) + "\n")
    return run


def _with_absolute_paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    paths = {key: settings.get(key) for key in _PATHS}
    found = {key: absolute_name(path) for key, path in paths.items() if isinstance(path, str) and path not in _NO_PATHS}
    return {**settings, **found}


def _short(value: object) -> str:
    text = one_line(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
