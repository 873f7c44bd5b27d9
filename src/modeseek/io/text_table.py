"""Cells of text tables as spreadsheets, pandas, R and NumPy write them."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MISSING = frozenset(
    ("", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "<na>", "nat", "?", "-", ".")
)  # lower case
_NUMBER = re.compile(
    r"[-+\u2212]?(?:\d+[.,]?\d*|[.,]\d+|\d{1,3}(?:[.,' \u00a0\u2019\u202f]\d{3})+(?:[.,]\d*)?)(?:[eE][-+\u2212]?\d+)?"
)
_ONE = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_PLAIN = re.compile(rf"{_ONE}(?:\n{_ONE})*+", re.ASCII)
_DECIMALS = re.compile(r"[.,eE]").search
_SAMPLE = 200  # lines by which the separator is chosen
_MARKS = (";", "\t", " ", ",")  # in order of preference where a table can be read in several ways


@dataclass(frozen=True)
class TextTable:
    """Table of texts.

    Attributes:
        header: names of the columns; None without a header line.
        rows: cells of each row, stripped, of equal number; at least one row.
        lines: number of lines before the first row, for messages that name a line.
    """

    header: tuple[str, ...] | None
    rows: tuple[tuple[str, ...], ...]
    lines: int = 0


def read_text_table(path: Path) -> TextTable:
    """Reads a table of cells between commas, semicolons, tabs or spaces; `.gz` is unpacked.

    The separator is the one that gives rows of equal length and the most numbers. Lines of `#` are comments; the last
    one before the data may be the header. A header with one name less than there are columns is that of R, whose first
    column has none.

    Raises:
        ValueError: the file is no text, its rows have different lengths, or there are none; or it is unclear whether
            the first row is a header.
        OSError: the file cannot be read.
    """
    lines, comment, skipped = _lines(_text(path))
    if not lines:
        raise ValueError(f"points must have shape (n, d), n >= 1, got no rows in {path.name}")
    mark = max(_MARKS, key=lambda mark: _plausibility(_split(lines[:_SAMPLE], mark), mark))
    rows = _split(lines, mark)
    names = None
    if comment is not None:
        names = next((cells for cells in (_split([comment], mark)[0] for mark in _MARKS) if _fits(cells, rows)), None)
    if names is None and mark != "," and _lacks_a_name(rows):
        rows[0] = ["", *rows[0]]
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise ValueError(f"all rows must have the same number of values, got {sorted(widths)} in {path.name}")
    if names is None and _is_header(rows, path.name):
        names, rows, skipped = rows[0], rows[1:], skipped + 1
    if not rows:
        raise ValueError(f"points must have shape (n, d), n >= 1, got no rows in {path.name}")
    return TextTable(None if names is None else tuple(names), tuple(map(tuple, rows)), skipped)


def is_number(cell: str) -> bool:
    """Whether a cell is a finite number: with a decimal point or a decimal comma, its thousands set apart or not."""
    return _NUMBER.fullmatch(cell) is not None


def are_plain(cells: Sequence[str]) -> bool:
    """Whether all cells are numbers with a decimal point or none, without marks of thousands."""
    return _PLAIN.fullmatch("\n".join(cells)) is not None and "" not in cells


def is_missing(cell: str) -> bool:
    """Whether a cell is empty or one of the marks of a missing value: NA, NaN, null ..."""
    return cell.lower() in MISSING


def _is_number_or_missing(cell: str) -> bool:
    return is_number(cell) or is_missing(cell)


def _text(path: Path) -> str:
    data = path.read_bytes()
    if path.suffix.lower() == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError) as error:
            raise ValueError(f"{path.name} is no intact gzip file: {error}; pack it again") from error
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is not text: {error.reason}; save it as CSV in UTF-8") from error


def _lines(text: str) -> tuple[list[str], str | None, int]:
    """Lines of the table, the last comment before them without its mark, and the number of lines before them."""
    lines, comment, skipped = [], None, 0
    for line in text.splitlines():
        if not lines and (line[:4].lower() == "sep=" or not line.strip()):  # Excel's own first line
            skipped += 1
        elif line.lstrip().startswith("#"):
            comment, skipped = (line.lstrip().lstrip("#").strip() if not lines else comment), skipped + (not lines)
        elif line.strip(" \t\r"):
            lines.append(line)
    return lines, comment, skipped


def _split(lines: list[str], mark: str) -> list[list[str]]:
    """Rows of cells between a separator; a quoted cell may hold separators and line breaks."""
    if mark == " ":
        reader = csv.reader((" ".join(line.split()) for line in lines), delimiter=" ")
    else:
        reader = csv.reader(io.StringIO("\n".join(lines)), delimiter=mark, skipinitialspace=mark != "\t")
    try:
        return [[cell.strip() for cell in row] for row in reader]
    except csv.Error:
        return [[line] for line in lines]


def _plausibility(rows: list[list[str]], mark: str) -> tuple[bool, int]:
    """Whether all rows below the first have the same length, and how many cells hold a number."""
    regular = len({len(row) for row in rows}) == 1 or (mark != "," and _lacks_a_name(rows))  # not 1,5 below x
    alone = len(rows[-1]) == 1 and any("," in cell for row in rows for cell in row)
    if alone and (is_number(rows[0][0]) or "," in rows[0][0]):  # 1,5 alone in its row: rather two cells of uneven rows
        return False, 0
    return regular, sum(is_number(cell) for row in rows for cell in row)


def _lacks_a_name(rows: list[list[str]]) -> bool:
    """Whether there is a header with one name less than there are columns."""
    return _all_text(rows[0]) and {len(row) for row in rows[1:]} == {len(rows[0]) + 1}


def _all_text(row: list[str]) -> bool:
    return all(cell and not is_number(cell) for cell in row)  # a column may bear the name NA


def _fits(cells: list[str], rows: list[list[str]]) -> bool:
    return len(cells) == len(rows[0]) and _all_text(cells)


def _is_header(rows: list[list[str]], name: str) -> bool:
    """Whether the first row names the columns: words above numbers, or whole numbers in even steps above decimals."""
    first, below = rows[0], rows[1:]
    if not below:
        return _all_text(first)
    columns = list(zip(*below, strict=True))
    numeric = [i for i, cells in enumerate(columns) if are_plain(cells) or all(map(_is_number_or_missing, cells))]
    words = [i for i in range(len(first)) if not is_missing(first[i]) and not is_number(first[i])]
    if not any(is_number(cell) for cell in first):
        return bool(set(words) & set(numeric)) or not any(any(map(is_number, cells)) for cells in columns)
    if any(i in numeric for i in words):
        return True
    labels = [first[i] for i in numeric if first[i]]
    if not all(re.fullmatch(r"\d+", label) for label in labels) or not _even_steps([int(label) for label in labels]):
        return False
    labelled = [[cell for cell in columns[i] if cell] for i in numeric if first[i]]
    if all(all(map(_DECIMALS, cells)) for cells in labelled) or (not first[0] and len(numeric) == len(first)):
        return True
    whole = not any(any(map(_DECIMALS, cells)) for cells in labelled)
    if whole and labels == [str(i) for i in range(len(labels))] and len(labels) > 1:
        raise ValueError(
            f"the first row of {name} is {', '.join(labels)}: the names of columns (pandas) or a point; write "
            "names such as x,y above it, or in its place"
        )
    return False


def _even_steps(labels: list[int]) -> bool:
    steps = {b - a for a, b in zip(labels, labels[1:], strict=False)}
    return labels == [0] or (len(steps) == 1 and min(steps) > 0)
