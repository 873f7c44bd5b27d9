"""Tables of results: numbers with names, headings and meanings, for the terminal, CSV and HTML alike."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Column:
    """One measure.

    Attributes:
        key: in files.
        heading: in tables.
        meaning: one sentence.
        spec: format of its numbers.
        best: which end is better, or neither.
    """

    key: str
    heading: str
    meaning: str
    spec: str = ".3f"
    best: Literal["low", "high", ""] = ""


@dataclass(frozen=True)
class Row:
    """One contestant's measures; what does not apply is absent.

    Attributes:
        name: of the contestant.
        values: by column key.
        reference: not a contestant of equal standing: it is never marked best.
    """

    name: str
    values: dict[str, float]
    reference: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under columns."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def text(self, row: Row, column: Column) -> str:
        """A cell for people; a dash where the measure does not apply."""
        value = row.values.get(column.key)
        if value is None or not math.isfinite(value):
            return "–" if value is None else str(value)
        return format(value, column.spec)

    def is_best(self, row: Row, column: Column) -> bool:
        """Whether no other contestant's printed number is better."""
        if not column.best or row.reference or column.key not in row.values:
            return False
        rivals = [self._printed(r, column) for r in self.rows if not r.reference and column.key in r.values]
        mine = self._printed(row, column)
        return mine == (min(rivals) if column.best == "low" else max(rivals))

    def csv(self) -> str:
        """All numbers in full, one line a row."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["method", *(c.key for c in self.columns)])
        for row in self.rows:
            writer.writerow([row.name, *(repr(row.values[c.key]) if c.key in row.values else "" for c in self.columns)])
        return out.getvalue()

    def markdown(self, titles: Mapping[str, str]) -> str:
        """For documents; the best of each column in bold, columns without a number left out."""
        shown = [c for c in self.columns if any(c.key in row.values for row in self.rows)]
        arrows = {"low": " ↓", "high": " ↑", "": ""}
        lines = ["| Method | " + " | ".join(c.heading + arrows[c.best] for c in shown) + " |"]
        lines.append("|---|" + "---:|" * len(shown))
        for row in self.rows:
            cells = [self.text(row, c) for c in shown]
            bold = [f"**{cell}**" if self.is_best(row, c) else cell for cell, c in zip(cells, shown, strict=True)]
            lines.append(f"| {titles.get(row.name, row.name)} | " + " | ".join(bold) + " |")
        return "\n".join(lines) + "\n"

    def _printed(self, row: Row, column: Column) -> float:
        return float(format(row.values[column.key], column.spec))
