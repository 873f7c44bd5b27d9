"""Reading of point sets from arrays and tables, and writing of tables."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.io.atomic import write_atomic
from modeseek.io.table_columns import choose_columns, name_columns, read_numbers
from modeseek.io.text_table import TextTable, read_text_table

_TEXT_SUFFIXES = (".csv", ".txt", ".tsv", ".dat")
POINT_SUFFIXES = (".npy", ".npz", *_TEXT_SUFFIXES)
_MAX_NAMES = 20  # columns named in a sentence


@dataclass(frozen=True)
class PointTable:
    """Points of a file, with the columns that they were read from.

    Attributes:
        points: points, (n, d), float64, finite.
        names: names of the columns of the coordinates; without a header line their numbers from 1.
        omitted: the other columns, each with the reason why it is no coordinate.
        header: whether the columns have names of their own.
    """

    points: Float[Tensor, "n d"]
    names: tuple[str, ...]
    omitted: tuple[str, ...] = ()
    header: bool = False

    @property
    def summary(self) -> str:
        """Columns that are taken and left out, one sentence without its stop."""
        names = ", ".join(self.names[:_MAX_NAMES]) + (
            f" and {len(self.names) - _MAX_NAMES} more" * (len(self.names) > _MAX_NAMES)
        )
        return f"columns {names}" + (f"; left out: {', '.join(self.omitted)}" if self.omitted else "")


def read_points(path: Path, columns: Sequence[str] = ()) -> Float[Tensor, "n d"]:
    """Reads points (n, d), float64, as `read_point_table` does."""
    return read_point_table(path, columns).points


def read_point_table(path: Path, columns: Sequence[str] = ()) -> PointTable:
    """Reads points from `.npy`, `.npz` of one array, `.csv`, `.tsv`, `.txt` and `.dat`, also as `.gz`.

    Text tables may separate numbers by commas, semicolons, tabs or spaces, write a decimal comma, and begin with a
    header line. Their columns of an index, ids, dates and text are left out, unless `columns` names them.

    Args:
        path: the file; `~` is the home folder.
        columns: columns of the coordinates, by name or by number from 1; empty for all that may be.

    Raises:
        ValueError: the file has another format, is not two-dimensional, is empty, or holds NaN or infinity; or it is
            unclear what its columns or numbers mean.
        OSError: the file cannot be read.
    """
    path = path.expanduser()
    if path.is_dir():
        raise ValueError(f"points must be a .npy or .csv file, got the folder {path}")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    suffix = suffixes[-2 if packed else -1] if len(suffixes) > packed else ""
    if suffix in (".npy", ".npz") and not packed:
        table = _of_array(_read_array(path), columns, path.name)
    elif suffix in _TEXT_SUFFIXES:
        table = _of_table(read_text_table(path), columns, path.name)
    else:
        raise ValueError(f"points must be a .npy or .csv file, got {path.name}; try exporting it as CSV")
    bad = (~table.points.isfinite().all(1)).nonzero()[:, 0]
    if len(bad):
        raise ValueError(
            f"points must be finite, got NaN or infinity in {len(bad)} of {len(table.points)} rows of {path.name}, the "
            f"first is row {int(bad[0])}; remove these rows"
        )
    return table


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


def _of_table(table: TextTable, wanted: Sequence[str], name: str) -> PointTable:
    columns = name_columns(table, name, wanted)
    taken = choose_columns(columns, wanted, name)
    omitted = tuple(f"{column.title} ({column.omitted or 'not chosen'})" for column in columns if column not in taken)
    points = torch.from_numpy(read_numbers(taken, name))
    return PointTable(points, tuple(column.name for column in taken), omitted, table.header is not None)


def _of_array(array: np.ndarray, wanted: Sequence[str], name: str) -> PointTable:
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"points must have shape (n, d), got {array.shape} in {name}")
    points, names = torch.from_numpy(array.astype(np.float64)), [str(i + 1) for i in range(array.shape[1])]
    if not wanted:
        return PointTable(points, tuple(names))
    for column in wanted:
        if column not in names:
            raise ValueError(f"{name} has no column {column!r}; choose by number, 1 to {len(names)}")
    omitted = tuple(f"{column} (not chosen)" for column in names if column not in wanted)
    return PointTable(points[:, [names.index(column) for column in wanted]], tuple(wanted), omitted)


def _read_array(path: Path) -> np.ndarray:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded:
                if len(loaded.files) != 1:
                    raise ValueError(
                        f"it holds {len(loaded.files)} arrays ({', '.join(loaded.files[:5])}) instead of one"
                    )
                array = loaded[loaded.files[0]]
        else:
            array = loaded
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path.name} is not a readable .npy file of numbers: {error}; save it with numpy.save"
        ) from error
    if array.dtype.kind not in "fiub":
        raise ValueError(f"points must be real numbers, got {array.dtype} in {path.name}")
    return array
