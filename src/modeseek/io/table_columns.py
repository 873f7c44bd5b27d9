"""Columns of a table: which of them are coordinates, and their numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from modeseek.io.text_table import TextTable, are_plain, is_missing, is_number

Decimal = Literal[".", ","]
_SIGNS = str.maketrans({"\N{MINUS SIGN}": "-", **dict.fromkeys("' \N{NO-BREAK SPACE}\u2019\u202f", None)})
_E = r"(?:[eE][-+]?\d+)?"
_PLAIN = re.compile(rf"[-+]?(?:\d+\.?\d*|\.\d+){_E}")
_POINT = re.compile(rf"[-+]?[1-9]\d{{0,2}}(?:,\d{{3}})+(?:\.\d*)?{_E}")  # commas between thousands
_COMMA = re.compile(rf"[-+]?(?:\d+,\d*|,\d+|[1-9]\d{{0,2}}(?:\.\d{{3}})+(?:,\d*)?){_E}")  # a decimal comma
_GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}(?:\.\d{3})+")  # 1.234: with a decimal comma elsewhere 1234
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?|\d{1,2}:\d{2}(:\d{2})?.*")
_INDEX = re.compile(
    r"(?i)unnamed: ?\d+.*|index|level_\d+|(row|obs|sample|point)?[ _.-]?(idx|no|nr|number)|row(names?)?"
)
_ID = re.compile(r"(?i:(.*[ _.-])?(id|ids|uuid|guid|key))|.*[a-z](Id|ID)")
_TIME = re.compile(r"(?i)(.*[ _.-])?(date|datetime|timestamp|year|month|day)")
_RESULT = ("mode", "weight")  # first columns of a table that `modeseek modes` writes


@dataclass(frozen=True)
class TableColumn:
    """Column of a table.

    Attributes:
        name: name of the column; its number from 1 where the table has no header.
        cells: cells of all rows.
        omitted: why it is no coordinate: an index, ids, dates, text, empty; empty for a coordinate.
    """

    name: str
    cells: tuple[str, ...]
    omitted: str = ""

    @property
    def title(self) -> str:
        """Name for messages."""
        return repr(self.name) if self.name else "the column without a name"


def name_columns(table: TextTable, title: str, wanted: Sequence[str] = ()) -> list[TableColumn]:
    """Columns of a table, with the reason of those that are no coordinates.

    Left out are the index that pandas and R write, ids, dates, text and empty columns. `wanted` are the columns that
    were chosen, if any were.

    Raises:
        ValueError: without a header the first column counts the rows, and it is unclear whether it is an index.
    """
    cells = list(zip(*table.rows, strict=True))
    if table.header is None:
        columns = [TableColumn(str(i + 1), column, _reason("#", column, False)) for i, column in enumerate(cells)]
        if not wanted and _counts_rows(columns):
            first, rest = columns[0].name, " ".join(column.name for column in columns[1:])
            raise ValueError(
                f"the first column of {title} counts its rows: an index or a coordinate; choose columns {rest}, or "
                f"{first} {rest}, or write a header line"
            )
        return columns
    own = table.header[:2] == _RESULT
    named = zip(table.header, cells, strict=True)
    columns = [TableColumn(name, column, _reason(name, column, i == 0)) for i, (name, column) in enumerate(named)]
    if not own:
        return columns
    return [
        TableColumn(c.name, c.cells, "of the mode") if c.name in (*_RESULT, "log_prob") and not c.omitted else c
        for c in columns
    ]


def choose_columns(columns: Sequence[TableColumn], wanted: Sequence[str], title: str) -> list[TableColumn]:
    """Columns that hold the coordinates: those that are wanted, by name or number from 1, else all that may be.

    Raises:
        ValueError: there is no such column, or two have the name, or none is left.
    """
    if wanted:
        return [_find(columns, name, title) for name in wanted]
    chosen = [column for column in columns if not column.omitted]
    if not chosen:
        reasons = ", ".join(f"{column.title} ({column.omitted})" for column in columns[:8])
        raise ValueError(f"points must have a column of numbers, got {reasons} in {title}; choose columns by name")
    return chosen


def read_numbers(columns: Sequence[TableColumn], title: str) -> np.ndarray:
    """Numbers of columns, (n, d), float64; NaN and infinity as they stand.

    Raises:
        ValueError: a cell is empty or no number, or it is unclear whether its comma or point sets the decimals apart.
    """
    decimal = _decimal(columns, title)
    return np.stack([_numbers(column, decimal, title) for column in columns], 1)


def _find(columns: Sequence[TableColumn], name: str, title: str) -> TableColumn:
    named = [column for column in columns if column.name == name]
    if len(named) == 1:
        return named[0]
    if len(named) > 1:
        raise ValueError(
            f"{title} has {len(named)} columns of the name {name!r}; choose by number, 1 to {len(columns)}"
        )
    if name.isdecimal() and 1 <= int(name) <= len(columns):
        return columns[int(name) - 1]
    known = ", ".join(column.name or "(no name)" for column in columns[:20])
    raise ValueError(f"{title} has no column {name!r}; known are {known}, or numbers from 1 to {len(columns)}")


def _reason(name: str, cells: Sequence[str], first: bool) -> str:
    """Why a column is no coordinate; empty for a coordinate."""
    present = cells if are_plain(cells) else [cell for cell in cells if not is_missing(cell)]
    if not any(cells):
        return "empty"
    if present and not any(map(is_number, present)):
        return "dates" if all(map(_DATE.fullmatch, present)) else "text"
    if first and not name:
        return "an index"
    if not all(re.fullmatch(r"[-+]?\d+(\.0*)?", cell) for cell in present):
        return ""
    if _INDEX.fullmatch(name) and len(set(present)) == len(present):
        return "an index"
    if _ID.fullmatch(name):
        return "ids"
    return "dates" if _TIME.fullmatch(name) and all(len(cell) >= 8 for cell in present) else ""


def _counts_rows(columns: Sequence[TableColumn]) -> bool:
    """Whether the first of several columns counts the rows from 0 or 1, beside columns of decimals."""
    taken = [column for column in columns if not column.omitted]
    if len(taken) < 2 or taken[0] is not columns[0] or len(columns[0].cells) < 3:
        return False
    start = columns[0].cells[0]
    if start not in ("0", "1") or columns[0].cells != tuple(str(int(start) + i) for i in range(len(columns[0].cells))):
        return False
    return all(any(re.search(r"[.,eE]", cell) for cell in column.cells) for column in taken[1:])


def _decimal(columns: Sequence[TableColumn], title: str) -> Decimal:
    """Mark of the decimals: a comma where some number can be read in no other way."""
    columns = [column for column in columns if not are_plain(column.cells)]
    marked = (cell for column in columns for cell in column.cells if "," in cell or cell.count(".") > 1)
    cells = [cell.translate(_SIGNS) for cell in marked]
    point = [cell for cell in cells if _POINT.fullmatch(cell)]
    comma = [cell for cell in cells if _COMMA.fullmatch(cell)]
    surely_point, surely_comma = set(point) - set(comma), set(comma) - set(point)
    if surely_point and surely_comma:
        pair = f"{min(surely_point)!r} and {min(surely_comma)!r}"
        raise ValueError(f"numbers must be written in one way, got {pair} in {title}; write 1234.5")
    if surely_comma:
        plain = {
            cell for column in columns for cell in column.cells if "." in cell and "," not in cell and is_number(cell)
        }
        odd = sorted(cell for cell in plain if not _GROUPED.fullmatch(cell))
        if odd:
            pair = f"{min(surely_comma)!r} and {odd[0]!r}"
            raise ValueError(f"numbers must be written in one way, got {pair} in {title}; write 1234.5")
        return ","
    if point and not surely_point:
        raise ValueError(f"{point[0]!r} in {title} may be 1 thousand or 1 and decimals; write it as 1234 or 1.234")
    return "."


def _numbers(column: TableColumn, decimal: Decimal, title: str) -> np.ndarray:
    """Numbers of one column, (n,)."""
    if decimal == "." and are_plain(column.cells):
        return np.array(column.cells, np.float64)
    values, grouped = np.empty(len(column.cells)), _POINT if decimal == "." else _COMMA
    for index, cell in enumerate(column.cells):
        text = cell.translate(_SIGNS) if is_number(cell) else cell
        if grouped.fullmatch(text):
            text = text.replace("," if decimal == "." else ".", "").replace(decimal, ".")
        elif decimal == "," and _GROUPED.fullmatch(text):
            text = text.replace(".", "")
        if _PLAIN.fullmatch(text):
            values[index] = float(text)
        elif cell.lstrip("+-").lower() == "nan":
            values[index] = np.nan
        elif cell.lstrip("+-").lower() in ("inf", "infinity"):
            values[index] = np.inf
        else:
            raise ValueError(
                f"points must be numbers, got {cell[:40]!r}{', a missing value,' * is_missing(cell)} in row {index}, "
                f"column {column.title}, of {title}; correct or remove the row, or choose other columns"
            )
    return values
