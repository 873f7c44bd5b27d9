"""Metric table with confidence intervals, and its HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modeseek.metrics.bootstrap import Estimate
from modeseek.reports.html import safe
from modeseek.reports.table import Column, Row, Table

_ARROWS = {"low": " ↓", "high": " ↑", "": ""}


@dataclass(frozen=True)
class MetricTable(Table):
    """Table whose cells show 95 % intervals, held as `key_low` and `key_high` in a row's values."""

    def text(self, row: Row, column: Column) -> str:
        estimate = super().text(row, column)
        edges = [row.values.get(f"{column.key}_{side}") for side in ("low", "high")]
        if edges[0] is None or edges[1] is None:
            return estimate
        return f"{estimate} [{edges[0]:{column.spec}}, {edges[1]:{column.spec}}]"

    def csv(self) -> str:
        """CSV text with interval bounds in columns of their own."""
        keys = {key for row in self.rows for key in row.values}
        wide = []
        for column in self.columns:
            wide.append(column)
            sides = [f"{column.key}_{side}" for side in ("low", "high")]
            wide += [Column(key, key, column.meaning) for key in sides if key in keys]
        return Table(tuple(wide), self.rows).csv()


def flatten(estimates: Mapping[str, Estimate]) -> dict[str, float]:
    """Values of a row: each estimate and, where it has an interval, its `_low` and `_high` bounds."""
    values: dict[str, float] = {}
    for name, estimate in estimates.items():
        values[name] = estimate.value
        if estimate.interval is not None:
            values[f"{name}_low"], values[f"{name}_high"] = estimate.interval
    return values


def used_columns(table: Table) -> list[Column]:
    """Columns that hold a value in at least one row."""
    return [column for column in table.columns if any(column.key in row.values for row in table.rows)]


def html_table(table: Table, titles: Mapping[str, str], corner: str = "Method") -> str:
    """HTML `<table>` of the used columns; best cells and reference rows carry classes of their own.

    Args:
        table: the numbers.
        titles: display title of each row by its name; a row without one shows its name.
        corner: heading of the first column.
    """
    columns = used_columns(table)
    head = "".join(f"<th title='{safe(c.meaning)}'>{safe(c.heading)}{_ARROWS[c.best]}</th>" for c in columns)
    body = ""
    for row in table.rows:
        cells = "".join(
            f"<td{' class=best' if table.is_best(row, c) else ''}>{safe(table.text(row, c))}</td>" for c in columns
        )
        kind = " class='reference'" if row.reference else ""
        body += f"<tr{kind}><th scope='row'>{safe(titles.get(row.name, row.name))}</th>{cells}</tr>"
    return f"<table><thead><tr><th>{safe(corner)}</th>{head}</tr></thead><tbody>{body}</tbody></table>"
