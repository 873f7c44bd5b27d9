"""Tables and last lines in the terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modeseek.reports.results_files import ExperimentResult
from modeseek.reports.table import Column, Row, Table
from modeseek.rundir.run_dir import Run

_UNBOUNDED = 1_000_000  # columns of a file or a pipe


def print_report_path(run: Run, out: Path | None) -> None:
    """Prints the path of the report, and the name of the folder if `out` existed and a number was appended."""
    if out is not None and run.path != out:
        print(f"{out} exists and is kept; this run is in {run.path.name}.")
    print(f"Report: {run.path / 'report.html'}")


def print_result(result: ExperimentResult, heading: str) -> None:
    """Prints the tables of an experiment, its findings and what is missing."""
    for title, table in {heading: result.table, **result.more}.items():
        if table.rows:
            print_table(table, result.titles, title)
    for line in (*result.findings, *result.missing):
        print(line)


def print_table(table: Table, titles: Mapping[str, str], heading: str) -> None:
    """Prints a table: best value of each column in bold, reference rows dim."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Grid
    from rich.text import Text

    names = [titles.get(row.name, row.name) for row in table.rows]
    width = terminal_width() - max(map(len, names), default=0) - 6
    print(heading)
    for columns in _split_columns(table, table.used_columns, width):
        grid = Grid(box=SIMPLE_HEAD)
        grid.add_column("method", no_wrap=True)
        for column, least in columns:
            grid.add_column(Text(_heading(column)), justify="right", min_width=least)
        for name, row in zip(names, table.rows, strict=True):
            cells = [_cell(table, row, column) for column, _ in columns]
            grid.add_row(Text(name), *cells, style="dim" if row.reference else None)
        print_grid(grid)


def print_grid(grid: Any) -> None:
    """Prints a table of rich: fitted to a terminal, whole into a file or a pipe."""
    from rich.console import Console

    if sys.stdout.isatty():
        Console(emoji=False).print(grid)
        return
    text = io.StringIO()
    Console(file=text, width=_UNBOUNDED, emoji=False).print(grid)
    print(text.getvalue(), end="")


def terminal_width() -> int:
    """Number of columns of the terminal; unbounded for a file or a pipe."""
    from rich.console import Console

    return Console().width if sys.stdout.isatty() else _UNBOUNDED


def _split_columns(table: Table, columns: list[Column], available: int) -> list[list[tuple[Column, int]]]:
    """Columns with their minimum widths, split into as many tables as it takes to wrap no number."""
    groups: list[list[tuple[Column, int]]] = [[]]
    left = available
    for column in columns:
        words = [len(word) for word in _heading(column).split(" ")]
        width = max(*words, *(len(table.text(row, column)) for row in table.rows))
        if groups[-1] and width + 3 > left:
            groups.append([])
            left = available
        groups[-1].append((column, width))
        left -= width + 3
    return groups


def _heading(column: Column) -> str:
    return column.heading + column.arrow.replace(" ", "\N{NO-BREAK SPACE}")


def _cell(table: Table, row: Row, column: Column) -> Any:
    from rich.text import Text

    return Text(table.text(row, column), "bold cyan" if table.is_best(row, column) else "")
