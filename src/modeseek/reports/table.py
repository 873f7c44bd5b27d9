"""Tables of metrics with intervals or deviations, for terminal, CSV, Markdown and HTML."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from modeseek.metrics.bootstrap import Estimate

_SIDES = ("low", "high", "spread")  # keys of a metric's interval and standard deviation end so


@dataclass(frozen=True)
class Column:
    """Column of a table: one metric.

    Attributes:
        key: name of the metric in files.
        heading: heading in tables.
        meaning: definition, one sentence.
        spec: format specification of the numbers.
        best: whether low or high values are better; empty for neither.
        references: citation keys of the metric.
    """

    key: str
    heading: str
    meaning: str
    spec: str = ".3f"
    best: Literal["low", "high", ""] = ""
    references: tuple[str, ...] = ()

    @property
    def arrow(self) -> str:
        """Mark of the better direction, to append to the heading; empty for neither."""
        return {"low": " ↓", "high": " ↑", "": ""}[self.best]


@dataclass(frozen=True)
class Row:
    """Row of a table: the metrics of one method or run.

    Attributes:
        name: name of the method or run.
        values: metrics by column key; metrics that do not apply are absent. `<key>_low` and `<key>_high` hold the 95 %
            interval of a metric, `<key>_spread` its standard deviation.
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

    @property
    def used_columns(self) -> list[Column]:
        """Columns that hold a value in at least one row."""
        return [column for column in self.columns if any(column.key in row.values for row in self.rows)]

    def text(self, row: Row, column: Column) -> str:
        """Text of a cell, with its interval or deviation; a dash if the metric does not apply."""
        value = row.values.get(column.key)
        if value is None or not math.isfinite(value):
            return "–" if value is None else str(value)
        text = format(value, column.spec)
        low, high, spread = (row.values.get(f"{column.key}_{side}") for side in _SIDES)
        if low is not None and high is not None:
            text += f" [{low:{column.spec}}, {high:{column.spec}}]"
        if spread is not None:
            text += f" ± {format(spread, column.spec if column.spec.endswith('f') else '.2g')}"
        return text

    def is_best(self, row: Row, column: Column) -> bool:
        """Whether no other row's formatted number is better, references excluded."""
        if not column.best or row.reference or column.key not in row.values:
            return False
        numbers = [self._rounded(r, column) for r in self.rows if not r.reference and column.key in r.values]
        return self._rounded(row, column) == (min(numbers) if column.best == "low" else max(numbers))

    def csv(self) -> str:
        """CSV in full precision, one line per row; intervals and deviations have columns of their own."""
        used = {key for row in self.rows for key in row.values}
        keys = []
        for column in self.columns:
            sides = [f"{column.key}_{side}" for side in _SIDES]
            keys += [column.key, *(key for key in sides if key in used)]
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["method", *keys])
        for row in self.rows:
            writer.writerow([row.name, *(repr(row.values[key]) if key in row.values else "" for key in keys)])
        return out.getvalue()

    def markdown(self, titles: Mapping[str, str]) -> str:
        """Markdown table with the best of each column in bold; columns without numbers are omitted.

        Args:
            titles: titles of rows by name; rows without one keep their name.
        """
        shown = self.used_columns
        lines = ["| Method | " + " | ".join(c.heading + c.arrow for c in shown) + " |"]
        lines.append("|---|" + "---:|" * len(shown))
        for row in self.rows:
            cells = [self.text(row, c) for c in shown]
            bold = [f"**{cell}**" if self.is_best(row, c) else cell for cell, c in zip(cells, shown, strict=True)]
            lines.append(f"| {titles.get(row.name, row.name)} | " + " | ".join(bold) + " |")
        return "\n".join(lines) + "\n"

    def _rounded(self, row: Row, column: Column) -> float:
        return float(format(row.values[column.key], column.spec))


def row_values(estimates: Mapping[str, Estimate]) -> dict[str, float]:
    """Values of a row: each estimate and, where it has an interval, its `_low` and `_high` bounds."""
    values: dict[str, float] = {}
    for name, estimate in estimates.items():
        values[name] = estimate.value
        if estimate.interval is not None:
            values[f"{name}_low"], values[f"{name}_high"] = estimate.interval
    return values
