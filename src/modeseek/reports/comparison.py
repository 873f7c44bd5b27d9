"""What is known of several runs side by side: their numbers, and in what they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modeseek.config.config import Config
from modeseek.reports.curves import finite_number
from modeseek.reports.settings_diff import differing, format_setting
from modeseek.reports.table import Column, Row, Table
from modeseek.reports.tolerant import n_damaged_lines, observed_state, try_read
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status

COLUMNS = (
    Column("steps", "Steps", "Steps done.", ",.0f"),
    Column("calls", "Prior calls", "Evaluations of the prior, one a row; guidance costs two.", ",.0f"),
    Column("seconds", "Seconds", "Spent optimising, over all sessions.", ",.1f"),
    Column("direction_norm", "Direction norm", "Last |dL/dz|, mean over rows, units of z.", ".3g"),
    Column("relative_shift", "Relative shift", "Last |shift| / (h √d), mean over rows.", ".3g"),
    Column("bandwidth", "Bandwidth", "Last width h of the kernel, mean over rows, units of z.", ".3g"),
)


@dataclass(frozen=True)
class RunSummary:
    """What is known of one run.

    Attributes:
        run: the run.
        config: its configuration.
        status: where it stands, or None.
        rows: its metrics.
        environment: what it was made with.
        damage: a line for each piece that cannot be read.
    """

    run: Run
    config: Config
    status: Status | None
    rows: list[dict[str, Any]]
    environment: dict[str, Any]
    damage: tuple[str, ...]

    @property
    def state(self) -> str:
        return "unknown" if self.status is None else observed_state(self.run, self.status)


def read_runs(runs: Sequence[Run]) -> list[RunSummary]:
    """Reads the runs.

    Raises:
        ValueError: no runs, or one of another verb, or one whose configuration is damaged.
        OSError: a configuration that cannot be read.
    """
    if not runs:
        raise ValueError("a comparison needs runs: got none; name their folders")
    return [_known(run) for run in runs]


def comparison_table(runs: Sequence[Run]) -> Table:
    """The numbers of runs, one a row; after them the numeric settings that all have, but not all the same.

    A run that is not finished has its state behind its name. Numbers that a damaged file held are absent.

    Raises:
        As `known`.
    """
    return summary_table(read_runs(runs))


def summary_table(several: Sequence[RunSummary]) -> Table:
    """`comparison_table` of runs that were read already."""
    columns, told = [], [_values(one) for one in several]
    for name, values in differing([one.config.to_dict() for one in several]).items():
        numbers = [finite_number(value) for value in values]
        if None not in numbers:
            columns.append(Column(f"config.{name}", f"config.{name}", "A setting that differs.", "g"))
            told = [{**row, f"config.{name}": value} for row, value in zip(told, numbers, strict=True)]
    rows = [
        Row(_row_name(one), {k: v for k, v in row.items() if v is not None})
        for one, row in zip(several, told, strict=True)
    ]
    return Table((*COLUMNS, *columns), tuple(rows))


def differences(several: Sequence[RunSummary]) -> dict[str, list[str]]:
    """Settings, then surroundings (`env.`), that are not the same in all: dotted name, and a value per run.

    A run that does not have the setting has `flat.ABSENT` there.
    """
    apart = differing([one.config.to_dict() for one in several])
    apart |= {f"env.{name}": values for name, values in differing([one.environment for one in several]).items()}
    return {name: [format_setting(value) for value in values] for name, values in apart.items()}


def _known(run: Run) -> RunSummary:
    verb = run.settings.get("verb", "run")
    if verb != "run":
        raise ValueError(f"{run.path} was made by modeseek {verb}: runs of modeseek run are compared; leave it out")
    status, no_status = try_read(lambda: run.status)
    rows, no_rows = try_read(lambda: run.metrics)
    environment, no_environment = try_read(lambda: run.environment)
    lost = 0 if rows is None else n_damaged_lines(run, rows)
    torn = f"{lost} of the lines of metrics.jsonl {'is' if lost == 1 else 'are'} damaged and left out" if lost else ""
    damage = tuple(line for line in (no_status, no_rows, torn, no_environment) if line)
    return RunSummary(run, run.config, status, rows or [], environment or {}, damage)


def _values(one: RunSummary) -> dict[str, float | None]:
    last = one.rows[-1] if one.rows else {}
    told = {column.key: finite_number(last.get(column.key)) for column in COLUMNS[3:]}
    if one.status is None:
        return told
    status = {"steps": one.status.step, "calls": one.status.calls, "seconds": one.status.seconds}
    return {name: finite_number(value) for name, value in status.items()} | told


def _row_name(one: RunSummary) -> str:
    return one.run.path.name if one.state == "finished" else f"{one.run.path.name} ({one.state})"
