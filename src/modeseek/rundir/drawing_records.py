"""Record of the drawings that a run exported: files, prompts and numbers, `exports/drawings.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeseek.rundir.record_files import read_rows, write_rows

RECORDS = Path("exports") / "drawings.json"


@dataclass(frozen=True)
class DrawingRecord:
    """Numbers of an exported drawing.

    Attributes:
        file: name of its SVG file in `exports/`.
        prompt: its prompt, or the name of the run where there is none.
        paths: number of paths in the file.
        bytes: size of the file, bytes.
        dropped: number of paths that changed no pixel and were left out.
        merged: number of paths that became part of a neighbour of the same colour.
        removed: number of visible paths that were left out for the size of the file.
        error: mean absolute difference between the file, rendered by resvg, and the optimised image, in [0, 1]; None
            where it was not measured.
    """

    file: str
    prompt: str
    paths: int
    bytes: int
    dropped: int
    merged: int
    removed: int
    error: float | None


def write_records(run: Path, records: Sequence[DrawingRecord]) -> None:
    """Writes the records of the drawings of a run folder.

    Raises:
        OSError: the file cannot be written.
    """
    write_rows(run, RECORDS, records)


def read_records(run: Path) -> tuple[DrawingRecord, ...]:
    """Reads the records of the drawings of a run folder; none where it exported no drawings.

    Raises:
        ValueError: the file is damaged.
        OSError: it cannot be read.
    """
    return read_rows(run, RECORDS, DrawingRecord)
