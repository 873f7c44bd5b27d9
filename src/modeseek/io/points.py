"""Points read from `.npy` and `.csv` files."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def read_points(path: Path) -> Float[Tensor, "n d"]:
    """Points (n, d), float64, from `.npy` or `.csv` (commas, semicolons or spaces; one header line may lead).

    Raises:
        ValueError: not such a file, not two-dimensional, empty, or with NaN or infinite numbers.
        OSError: the file cannot be read.
    """
    if path.is_dir():
        raise ValueError(f"points are read from a file: got the folder {path}; name a .npy or .csv file")
    if path.suffix.lower() == ".npy":
        array = _read_npy(path)
    elif path.suffix.lower() in (".csv", ".txt", ".tsv"):
        array = _read_csv(path)
    else:
        raise ValueError(f"points are read from .npy or .csv: got {path.name}; convert it")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"points are rows of a table (n, d): got shape {array.shape} in {path.name}; reshape it")
    points = torch.from_numpy(array.astype(np.float64))
    bad = (~points.isfinite().all(1)).nonzero()[:, 0]
    if len(bad):
        raise ValueError(
            f"points must be finite: got NaN or infinity in {len(bad)} of {len(points)} rows of {path.name}, the first "
            f"is row {int(bad[0])}; drop them"
        )
    return points


def _read_npy(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{path.name} is not a readable .npy file of numbers: {error}; save it with numpy.save"
        ) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
        raise ValueError(
            f"points are real numbers: got {getattr(array, 'dtype', type(array))} in {path.name}; convert it"
        )
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
        raise ValueError(f"all rows need equally many numbers: got {sorted(widths)} in {path.name}; mend the file")
    if not rows:
        raise ValueError(f"points are rows of a table (n, d): got none in {path.name}; check the file")
    for number, row in enumerate(rows):
        for cell in row:
            if not _is_number(cell):
                raise ValueError(f"points are numbers: got {cell!r} in row {number} of {path.name}; mend or drop it")
    return np.array([[float(cell) for cell in row] for row in rows])


def _cells(line: str) -> list[str]:
    for mark in (",", ";", "\t"):
        if mark in line:
            return [cell.strip() for cell in next(csv.reader([line], delimiter=mark))]
    return line.split()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
