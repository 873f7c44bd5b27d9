"""Reading of point sets from `.npy` and `.csv` files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.io.atomic import write_atomic


def read_points(path: Path) -> Float[Tensor, "n d"]:
    """Reads points (n, d), float64, from `.npy`, `.csv`, `.tsv` or `.txt`.

    Text files may separate numbers by commas, semicolons, tabs or spaces and may begin with one header line.

    Raises:
        ValueError: the file has another format, is not two-dimensional, is empty, or holds NaN or infinity.
        OSError: the file cannot be read.
    """
    if path.is_dir():
        raise ValueError(f"points must be a .npy or .csv file, got the folder {path}")
    if path.suffix.lower() == ".npy":
        array = _read_npy(path)
    elif path.suffix.lower() in (".csv", ".txt", ".tsv"):
        array = _read_csv(path)
    else:
        raise ValueError(f"points must be a .npy or .csv file, got {path.name}")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"points must have shape (n, d), got {array.shape} in {path.name}")
    points = torch.from_numpy(array.astype(np.float64))
    bad = (~points.isfinite().all(1)).nonzero()[:, 0]
    if len(bad):
        raise ValueError(
            f"points must be finite, got NaN or infinity in {len(bad)} of {len(points)} rows of {path.name}, the first "
            f"is row {int(bad[0])}; remove these rows"
        )
    return points


def write_csv(tables: Mapping[Path, Sequence[Sequence[Any]]]) -> None:
    """Writes tables of rows as new CSV files: all of them, or none.

    Raises:
        FileExistsError: one of the files exists.
        OSError: a folder cannot be written to; no file is left.
    """
    taken = [path for path in tables if path.exists()]
    if taken:
        raise FileExistsError(f"tables must be written to new files, got {taken[0]}, which exists; try another name")
    try:
        for path, rows in tables.items():
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(rows)
            write_atomic(path, text.getvalue(), shared=True)
    except OSError:
        for path in tables:
            path.unlink(missing_ok=True)
        raise


def _read_npy(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{path.name} is not a readable .npy file of numbers: {error}; save it with numpy.save"
        ) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
        raise ValueError(f"points must be real numbers, got {getattr(array, 'dtype', type(array))} in {path.name}")
    return array


def _read_csv(path: Path) -> np.ndarray:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is not text: {error.reason}; save it as CSV in UTF-8") from error
    lines = [line for line in text.splitlines() if line.strip()]
    rows = [_cells(line) for line in lines]
    if rows and not any(map(_is_number, rows[0])):
        rows = rows[1:]
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise ValueError(f"all rows must have the same number of values, got {sorted(widths)} in {path.name}")
    if not rows:
        raise ValueError(f"points must have shape (n, d), n >= 1, got no rows in {path.name}")
    for number, row in enumerate(rows):
        for cell in row:
            if not _is_number(cell):
                raise ValueError(
                    f"points must be numbers, got {cell!r} in row {number} of {path.name}; correct or remove the row"
                )
    return np.array([[float(cell) for cell in row] for row in rows])


def _cells(line: str) -> list[str]:
    for delimiter in (",", ";", "\t"):
        if delimiter in line:
            return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]
    return line.split()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
