"""Comparison of several runs: their metrics in one table, and their differing settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modeseek.config.config import Config
from modeseek.reports.curves import finite_number
from modeseek.reports.settings_diff import differing, format_setting
from modeseek.reports.table import Column, Row, Table
from modeseek.reports.tolerant_reading import damaged_lines, observed_state, try_read
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status

COLUMNS = (
    Column("steps", "Steps", "Number of optimisation steps done.", ",.0f"),
    Column("calls", "Prior calls", "Evaluations of the prior, one per row; guidance costs two.", ",.0f"),
    Column("seconds", "Seconds", "Optimisation time over all sessions, seconds.", ",.1f"),
    Column("direction_norm", "Direction norm", "Last |dL/dz|, mean over rows, units of z.", ".3g"),
    Column("relative_shift", "Relative shift", "Last |shift| / (h √d), mean over rows.", ".3g"),
    Column("bandwidth", "Bandwidth", "Last width h of the kernel, mean over rows, units of z.", ".3g"),
)


@dataclass(frozen=True)
class RunSummary:
    """Everything that could be read of one run.

    Attributes:
        run: the run.
        config: its configuration.
        status: its status; None if damaged.
        rows: its metrics, one row per step.
        environment: versions, device, commit and prior, as recorded.
        damage: a line for each file that cannot be read.
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
    """Reads the runs to compare.

    Raises:
        ValueError: no runs, or a run of another verb, or a damaged configuration.
        OSError: a configuration cannot be read.
    """
    if not runs:
        raise ValueError("a comparison must have at least one run, got none; name their folders")
    return [_read_run(run) for run in runs]


def comparison_table(runs: Sequence[Run]) -> Table:
    """Table of metrics with one row per run, then the numeric settings that all runs have but that differ.

    The name of a run that is not finished ends with its state. Values from damaged files are absent.

    Raises:
        ValueError, OSError: as `read_runs`.
    """
    return summary_table(read_runs(runs))


def summary_table(summaries: Sequence[RunSummary]) -> Table:
    """`comparison_table` of runs that have been read."""
    columns, values_of_runs = [], [_values(summary) for summary in summaries]
    for name, values in differing([summary.config.to_dict() for summary in summaries]).items():
        numbers = [finite_number(value) for value in values]
        if None not in numbers:
            columns.append(Column(f"config.{name}", f"config.{name}", "A setting that differs.", "g"))
            values_of_runs = [
                {**row, f"config.{name}": value} for row, value in zip(values_of_runs, numbers, strict=True)
            ]
    rows = [
        Row(_row_name(summary), {k: v for k, v in row.items() if v is not None})
        for summary, row in zip(summaries, values_of_runs, strict=True)
    ]
    return Table((*COLUMNS, *columns), tuple(rows))


def differences(summaries: Sequence[RunSummary]) -> dict[str, list[str]]:
    """Settings, then environment entries (`env.`), that differ: dotted name, and one value per run.

    A run without the setting has `settings_diff.ABSENT` there.
    """
    values_by_name = differing([summary.config.to_dict() for summary in summaries])
    environments = differing([summary.environment for summary in summaries])
    values_by_name |= {f"env.{name}": values for name, values in environments.items()}
    return {name: [format_setting(value) for value in values] for name, values in values_by_name.items()}


def _read_run(run: Run) -> RunSummary:
    verb = run.settings.get("verb", "run")
    if verb != "run":
        raise ValueError(f"{run.path} must be made by modeseek run, got modeseek {verb}; remove it")
    status, no_status = try_read(lambda: run.status)
    rows, no_rows = try_read(lambda: run.metrics)
    environment, no_environment = try_read(lambda: run.environment)
    lost = [] if rows is None else damaged_lines(run, rows)
    damage = tuple(line for line in (no_status, no_rows, *lost, no_environment) if line)
    return RunSummary(run, run.config, status, rows or [], environment or {}, damage)


def _values(summary: RunSummary) -> dict[str, float | None]:
    last = summary.rows[-1] if summary.rows else {}
    metrics = {column.key: finite_number(last.get(column.key)) for column in COLUMNS[3:]}
    if summary.status is None:
        return metrics
    status = {"steps": summary.status.step, "calls": summary.status.calls, "seconds": summary.status.seconds}
    return {name: finite_number(value) for name, value in status.items()} | metrics


def _row_name(summary: RunSummary) -> str:
    return summary.run.path.name if summary.state == "finished" else f"{summary.run.path.name} ({summary.state})"
