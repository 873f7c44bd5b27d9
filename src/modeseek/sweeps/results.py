"""Results of sweep jobs: metrics of each job, and their mean and standard deviation over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from modeseek.reports.curves import finite_number
from modeseek.reports.table import Column, Row, Table
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status
from modeseek.sweeps.log_densities import mean_log_density
from modeseek.sweeps.sweep_dir import JobDir

COLUMNS = (
    Column("jobs", "Jobs", "Number of finished jobs, one per seed; the other columns are means over these.", ",.0f"),
    Column("calls", "Prior calls", "Evaluations of the prior, one per row; guidance costs two.", ",.0f"),
    Column("seconds", "Seconds", "Optimisation time over all sessions, seconds.", ",.1f"),
    Column("relative_shift", "Relative shift", "Last |shift| / (h √d), mean over rows; mean shifts only.", ".3g"),
    Column("direction_norm", "|g|", "Last |dL/dz|, mean over rows, units of z; its scale is each method's own.", ".3g"),
    Column(
        "log_density",
        "Log-density",
        "log p_h of the results, h the finest kernel worth a run, mean over rows; exact priors only.",
        ".3f",
    ),
)
_LAST_METRICS = ("relative_shift", "direction_norm")


@dataclass(frozen=True)
class SweepResult:
    """Result of one job.

    Attributes:
        job_dir: folder of the job.
        state: state of its run, see `JobDir.state`.
        status: full status of its run; None if not started.
        values: metrics by column key; empty unless finished.
    """

    job_dir: JobDir
    state: str
    status: Status | None
    values: dict[str, float]


def collect(job_dirs: Sequence[JobDir]) -> list[SweepResult]:
    """Reads the results from the jobs' folders.

    Raises:
        ValueError: one is damaged; the line names it.
        OSError: one cannot be read.
    """
    results = []
    for job_dir in job_dirs:
        state, status = job_dir.state, job_dir.status
        values: dict[str, float] = {}
        if status is not None and state == "finished":
            run = Run(job_dir.path)
            rows = run.metrics
            last = rows[-1] if rows else {}
            metrics = {key: finite_number(last.get(key)) for key in _LAST_METRICS}
            metrics["log_density"] = mean_log_density(run, job_dir.spec.config)
            values = {"calls": float(status.calls), "seconds": status.seconds}
            values |= {key: value for key, value in metrics.items() if value is not None and math.isfinite(value)}
        results.append(SweepResult(job_dir, state, status, values))
    return results


def summary_table(results: Sequence[SweepResult]) -> Table:
    """Table with one row per setting and method, in the order of the sweep: mean and deviation over seeds."""
    groups: dict[str, list[SweepResult]] = {}
    for result in results:
        groups.setdefault(result.job_dir.spec.group, []).append(result)
    rows = []
    for name, members in groups.items():
        finished = [member.values for member in members if member.state == "finished"]
        values: dict[str, float] = {"jobs": float(len(finished))}
        for column in COLUMNS[1:]:
            samples = [metrics[column.key] for metrics in finished if column.key in metrics]
            if samples:
                values[column.key] = fmean(samples)
            if len(samples) > 1:
                values[f"{column.key}_spread"] = stdev(samples)
        rows.append(Row(name, values))
    return Table(COLUMNS, tuple(rows))


def job_table(results: Sequence[SweepResult]) -> Table:
    """Table with one row per finished job."""
    finished = [result for result in results if result.state == "finished"]
    return Table(COLUMNS[1:], tuple(Row(result.job_dir.path.name, result.values) for result in finished))
