"""Settings that a tuning of learning rates tried, and the ones that it chose."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from modeseek.experiments.common.entries import Entry
from modeseek.io.atomic import write_atomic

FILE = "tuning.json"
E = TypeVar("E", bound=Entry)
T = TypeVar("T", bound="Tuned")


@dataclass(frozen=True)
class Trial:
    """Settings that were tried.

    Attributes:
        lr: learning rate.
        fall: final learning rate relative to the first.
        score: mean of the main score.
        optimizer: name of the optimizer.
    """

    lr: float
    fall: float
    score: float
    optimizer: str = "adam"


@dataclass(frozen=True)
class Tuned:
    """Settings chosen for a method.

    Attributes:
        trials: all settings tried, the best first.
        default: the trial of the settings that the method has without tuning; None if its run failed.
    """

    trials: tuple[Trial, ...]
    default: Trial | None

    @property
    def best(self) -> Trial:
        """The chosen settings."""
        return self.trials[0]

    def apply(self, entry: E) -> E:
        """The entry with the chosen settings."""
        return replace(entry, lr=self.best.lr, fall=self.best.fall)


def write_tuning(path: Path, tuned: Mapping[str, Tuned]) -> None:
    """Writes the choices by method."""
    text = json.dumps({name: asdict(choice) for name, choice in tuned.items()}, indent=2)
    write_atomic(path, text + "\n")


def read_tuning(path: Path, kind: Callable[..., T]) -> dict[str, T]:
    """Choices of this kind that an earlier session has written; none without the file."""
    if not path.is_file():
        return {}
    choices: dict[str, T] = {}
    for name, plain in json.loads(path.read_text(encoding="utf-8")).items():
        values: dict[str, Any] = {**plain, "trials": tuple(Trial(**trial) for trial in plain["trials"])}
        values["default"] = None if plain["default"] is None else Trial(**plain["default"])
        choices[name] = kind(**values)
    return choices
