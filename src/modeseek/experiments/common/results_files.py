"""Result files of an experiment: `results.json`, `results.csv` and `metrics.jsonl`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modeseek.io.atomic import write_atomic
from modeseek.reports.table import Table
from modeseek.rundir.environment import describe_machine, package_versions
from modeseek.rundir.run_dir import Run


@dataclass(frozen=True)
class ExperimentResult:
    """Result of a toy experiment.

    Attributes:
        folder: run folder.
        table: metrics, a row per entry.
        findings: summary of the table, a sentence each.
    """

    folder: Path
    table: Table
    findings: tuple[str, ...]


@dataclass(frozen=True)
class RunRecord:
    """Settings that reproduce a run.

    Attributes:
        title: title of the report.
        command: command line as typed.
        settings: all settings, defaults included.
    """

    title: str
    command: str
    settings: dict[str, Any]


def write_results(folder: Path, record: RunRecord, table: Table, facts: dict[str, Any]) -> None:
    """Writes `results.json` and `results.csv`; `facts` are further numbers for the JSON file."""
    results = {
        "title": record.title,
        "command": record.command,
        "settings": record.settings,
        "facts": facts,
        "columns": {c.key: {"heading": c.heading, "meaning": c.meaning, "better": c.best} for c in table.columns},
        "methods": {row.name: row.values for row in table.rows},
        "versions": package_versions(),
        "machine": describe_machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    text = json.dumps(results, indent=2, allow_nan=False) + "\n"
    (folder / "results.json").write_text(text, encoding="utf-8")
    (folder / "results.csv").write_text(table.csv(), encoding="utf-8")


def environment_line() -> str:
    """Package versions and machine, for the footer of a report."""
    packages, host = ", ".join(f"{name} {number}" for name, number in package_versions().items()), describe_machine()
    return f"{packages}; {host['system']} {host['architecture']}, {host['cores']} cores."


def write_metrics(run: Run, table: Table) -> None:
    """Writes `metrics.jsonl`, a line per row of the table."""
    lines = [json.dumps({"method": row.name} | row.values) for row in table.rows]
    write_atomic(run.path / "metrics.jsonl", "\n".join(lines) + "\n")
