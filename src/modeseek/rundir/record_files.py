"""Records of what a run exported, as a list of JSON objects in its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from modeseek.io.atomic import write_atomic

Record = TypeVar("Record")


def write_rows(run: Path, file: Path, records: Sequence[Any]) -> None:
    """Writes dataclasses of plain values, an object each.

    Args:
        run: run folder.
        file: path of the file in it.
        records: the records.

    Raises:
        OSError: the file cannot be written.
    """
    write_atomic(run / file, json.dumps([asdict(record) for record in records], indent=1))


def read_rows(run: Path, file: Path, kind: type[Record]) -> tuple[Record, ...]:
    """Reads records of a dataclass; none where there is no file.

    Args:
        run: run folder.
        file: path of the file in it.
        kind: class of the records.

    Raises:
        ValueError: the file is damaged.
        OSError: it cannot be read.
    """
    if not (run / file).exists():
        return ()
    names = {field.name for field in fields(kind)}  # pyright: ignore[reportArgumentType] - a dataclass
    try:
        return tuple(kind(**{name: row[name] for name in names}) for row in json.loads((run / file).read_text("utf-8")))
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{file} is damaged: {error}; resume the run, which writes it again") from error
