"""JSON files of a pipeline's folder: `model_index.json` and the configurations of its components."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modeseek.io.errors import reason


def read_object(path: Path) -> dict[str, Any]:
    """Returns the JSON object in a file.

    Raises:
        ValueError: the file holds none.
        OSError: the file cannot be read.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("it holds no JSON object")
    return content


def is_number(value: object) -> bool:
    """Whether a value of a configuration is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def model_index(folder: Path) -> dict[str, Any]:
    """Returns the content of `model_index.json`.

    Raises:
        ValueError: the file is missing or damaged.
    """
    try:
        return read_object(folder / "model_index.json")
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder} is no diffusers pipeline: model_index.json: {reason(error)}; save one") from error


def component_class(folder: Path, name: str) -> tuple[str, str] | None:
    """Returns library and class of a component, from `model_index.json`; None where it is null or not named.

    Raises:
        ValueError: the entry is damaged.
    """
    entry = model_index(folder).get(name)
    if entry is None or entry == [None, None]:
        return None
    if not (isinstance(entry, list) and len(entry) == 2 and all(isinstance(part, str) for part in entry)):
        raise ValueError(
            f"{folder / 'model_index.json'} must name library and class of {name}, got {entry!r}; save the pipeline "
            "again"
        )
    return entry[0], entry[1]


def read_config(folder: Path) -> dict[str, Any]:
    """Returns the `config.json` of a component's folder.

    Raises:
        ValueError: the folder or the file is missing, or damaged.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is missing: model_index.json names it; copy or download it again")
    try:
        return read_object(folder / "config.json")
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder / 'config.json'} cannot be read: {reason(error)}; save it again") from error
