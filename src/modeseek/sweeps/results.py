"""What came of the jobs: each one's numbers, and their mean and spread over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from modeseek.reports.curves import finite_number
from modeseek.reports.table import Column, Row, Table
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status
from modeseek.sweeps.densities import LogDensityEvaluator
from modeseek.sweeps.sweep_dir import JobDir

COLUMNS = (
    Column("jobs", "Jobs", "Finished ones, one a seed; the other numbers are of these.", ",.0f"),
    Column("calls", "Prior calls", "Evaluations of the prior, one a row; guidance costs two.", ",.0f"),
    Column("seconds", "Seconds", "Spent optimising, over all sessions.", ",.1f"),
    Column("relative_shift", "Relative shift", "Last |shift| / (h √d), mean over rows; of mean shifts.", ".3g"),
    Column("direction_norm", "|g|", "Last |dL/dz|, mean over rows, units of z; its scale is each method's own.", ".3g"),
    Column(
        "log_density",
        "Log-density",
        "log p_h of what was found, h the finest kernel worth a run, mean over rows; where the prior is exact.",
        ".3f",
    ),
)
_LAST = ("relative_shift", "direction_norm")


@dataclass(frozen=True)
class SweepResult:
    """What came of a job.

    Attributes:
        slot: the job.
        state: as its folder says.
        status: all of what it says; None where it was not begun.
        values: by column key; those of a job that is not finished are left out of tables.
    """

    job_dir: JobDir
    state: str
    status: Status | None
    values: dict[str, float]


class SpreadTable(Table):
    """A table whose cells are a mean and, after ±, the standard deviation over seeds: `key_spread` in the values."""

    def text(self, row: Row, column: Column) -> str:
        told, spread = super().text(row, column), row.values.get(f"{column.key}_spread")
        return told if spread is None else f"{told} ± {_brief(spread, column)}"

    def csv(self) -> str:
        """Spreads in columns of their own."""
        there = {key for row in self.rows for key in row.values}
        wide: list[Column] = []
        for column in self.columns:
            wide.append(column)
            key = f"{column.key}_spread"
            wide += [Column(key, key, column.meaning)] if key in there else []
        return Table(tuple(wide), self.rows).csv()


def collect(slots: Sequence[JobDir]) -> list[SweepResult]:
    """Reads the jobs' folders.

    Raises:
        ValueError: one is damaged; the line names it.
        OSError: one cannot be read.
    """
    densities = LogDensityEvaluator()
    found = []
    for slot in slots:
        state, status = slot.state, slot.status
        values: dict[str, float] = {}
        if status is not None and state == "finished":
            run = Run(slot.path)
            rows = run.metrics
            last = rows[-1] if rows else {}
            told = {key: finite_number(last.get(key)) for key in _LAST} | {
                "log_density": densities.mean_log_density(run, slot.spec.config)
            }
            values = {"calls": float(status.calls), "seconds": status.seconds}
            values |= {key: value for key, value in told.items() if value is not None and math.isfinite(value)}
        found.append(SweepResult(slot, state, status, values))
    return found


def summary_table(results: Sequence[SweepResult]) -> SpreadTable:
    """A row for each setting and method, in the order of the sweep: means, and spreads where there are seeds."""
    groups: dict[str, list[SweepResult]] = {}
    for one in results:
        groups.setdefault(one.job_dir.spec.group, []).append(one)
    rows = []
    for name, members in groups.items():
        done = [one.values for one in members if one.state == "finished"]
        values: dict[str, float] = {"jobs": float(len(done))}
        for column in COLUMNS[1:]:
            told = [one[column.key] for one in done if column.key in one]
            if told:
                values[column.key] = fmean(told)
            if len(told) > 1:
                values[f"{column.key}_spread"] = stdev(told)
        rows.append(Row(name, values))
    return SpreadTable(COLUMNS, tuple(rows))


def job_table(results: Sequence[SweepResult]) -> Table:
    """A row for each finished job."""
    done = [one for one in results if one.state == "finished"]
    return Table(COLUMNS[1:], tuple(Row(one.job_dir.path.name, one.values) for one in done))


def _brief(spread: float, column: Column) -> str:
    """A spread in as many digits as its mean has after the point, or in two."""
    return format(spread, column.spec) if column.spec.endswith("f") else f"{spread:.2g}"
