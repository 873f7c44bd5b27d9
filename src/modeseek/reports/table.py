"""Tables of metrics with headings and definitions, for terminal, CSV, Markdown and HTML."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Column:
    """Column of a table: one metric.

    Attributes:
        key: name of the metric in files.
        heading: heading in tables.
        meaning: definition, one sentence.
        spec: format specification of the numbers.
        best: whether low or high values are better; empty for neither.
    """

    key: str
    heading: str
    meaning: str
    spec: str = ".3f"
    best: Literal["low", "high", ""] = ""


@dataclass(frozen=True)
class Row:
    """Row of a table: the metrics of one method or run.

    Attributes:
        name: name of the method or run.
        values: metrics by column key; metrics that do not apply are absent.
        reference: whether the row is a reference, which is never marked best.
    """

    name: str
    values: dict[str, float]
    reference: bool = False


@dataclass(frozen=True)
class Table:
    """Table of metrics.

    Attributes:
        columns: metrics, in order.
        rows: methods or runs, in order.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def text(self, row: Row, column: Column) -> str:
        """Text of a cell; a dash if the metric does not apply."""
        value = row.values.get(column.key)
        if value is None or not math.isfinite(value):
            return "–" if value is None else str(value)
        return format(value, column.spec)

    def is_best(self, row: Row, column: Column) -> bool:
        """Whether no other row's formatted number is better, references excluded."""
        if not column.best or row.reference or column.key not in row.values:
            return False
        numbers = [self._rounded(r, column) for r in self.rows if not r.reference and column.key in r.values]
        return self._rounded(row, column) == (min(numbers) if column.best == "low" else max(numbers))

    def csv(self) -> str:
        """CSV with all numbers in full precision, one line per row."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["method", *(c.key for c in self.columns)])
        for row in self.rows:
            writer.writerow([row.name, *(repr(row.values[c.key]) if c.key in row.values else "" for c in self.columns)])
        return out.getvalue()

    def markdown(self, titles: Mapping[str, str]) -> str:
        """Markdown table with the best of each column in bold; columns without numbers are omitted.

        Args:
            titles: titles of rows by name; rows without one keep their name.
        """
        shown = [c for c in self.columns if any(c.key in row.values for row in self.rows)]
        arrows = {"low": " ↓", "high": " ↑", "": ""}
        lines = ["| Method | " + " | ".join(c.heading + arrows[c.best] for c in shown) + " |"]
        lines.append("|---|" + "---:|" * len(shown))
        for row in self.rows:
            cells = [self.text(row, c) for c in shown]
            bold = [f"**{cell}**" if self.is_best(row, c) else cell for cell, c in zip(cells, shown, strict=True)]
            lines.append(f"| {titles.get(row.name, row.name)} | " + " | ".join(bold) + " |")
        return "\n".join(lines) + "\n"

    def _rounded(self, row: Row, column: Column) -> float:
        return float(format(row.values[column.key], column.spec))
