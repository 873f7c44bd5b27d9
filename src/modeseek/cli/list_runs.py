"""Table of the runs of a folder: prompt, method, state, progress and age."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modeseek.cli.terminal import print_grid, terminal_width
from modeseek.reports.tolerant_reading import observed_state, try_read
from modeseek.rundir.run_dir import Run, find_runs
from modeseek.rundir.status import Status

_UNITS = (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))
_COLUMNS = ("run", "prompt", "method", "state", "step", "age")
_OTHERS = 54  # columns of a terminal that all but the name of a run need


def print_runs(folder: Path) -> None:
    """Prints the runs of a folder, newest first; a terminal without room for a name shows its last part, which does."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    runs = find_runs(folder)
    if not runs:
        print(f'There are no runs in {folder}; create one with modeseek image "an owl" --prior emoji, or modeseek toy.')
        return
    longest = max(len(run.path.name) for run in runs)
    short = sys.stdout.isatty() and longest > terminal_width() - _OTHERS
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    for name in _COLUMNS:
        table.add_column(name, no_wrap=name != "prompt", justify="right" if name in ("step", "age") else "left")
    for run in runs:
        table.add_row(run.id if short else run.path.name, *_cells(run))
    print_grid(table)


def _cells(run: Run) -> tuple[str, ...]:
    """Cells of a run after its name; those of a damaged file are empty."""
    status, _ = try_read(lambda: run.status)
    settings, _ = try_read(lambda: run.settings)
    settings = settings or {}
    if status is None:
        return (_prompt(settings), _method(settings), "damaged", "", "")
    progress = f"{status.step}/{status.steps}" if status.steps else ""
    return (_prompt(settings), _method(settings), observed_state(run, status), progress, age(status))


def age(status: Status) -> str:
    """Time since a run was created, in its largest whole unit: 5 min."""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(status.started)).total_seconds()
    unit, length = next(((unit, length) for unit, length in _UNITS if seconds >= length), _UNITS[-1])
    return f"{max(0, int(seconds / length))} {unit}"


def _prompt(settings: dict[str, Any]) -> str:
    """First prompt of a run, and how many more there are; of other runs the name or the prior."""
    prompts = settings.get("prompts") or []
    if isinstance(prompts, list) and prompts:
        return str(prompts[0]) + (f" and {len(prompts) - 1} more" if prompts[1:] else "")
    name = settings.get("name") or settings.get("problem")
    if name:
        return str(name)
    prior = settings.get("prior")
    inner = next(iter(prior.values()), None) if isinstance(prior, dict) else None
    if not isinstance(inner, dict):
        return str(prior or "")
    return str(inner.get("name") or Path(str(inner.get("path", ""))).name)


def _method(settings: dict[str, Any]) -> str:
    """Name of the method of a run; of other commands the verb."""
    method = settings.get("method")
    if isinstance(method, dict) and method:
        return str(next(iter(method)))
    return str(method or settings.get("verb", ""))
