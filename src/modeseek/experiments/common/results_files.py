"""What a run was: its numbers, its command and the machine it ran on, as JSON and CSV."""

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
    """What a contest leaves.

    Attributes:
        folder: where its files lie.
        table: its numbers.
        findings: what one sees, a sentence each.
    """

    folder: Path
    table: Table
    findings: tuple[str, ...]


@dataclass(frozen=True)
class RunRecord:
    """What fixes a run, for people who want to repeat it.

    Attributes:
        title: of the run.
        command: the exact command line.
        settings: every choice, the defaults among them.
    """

    title: str
    command: str
    settings: dict[str, Any]


def write_results(folder: Path, record: RunRecord, table: Table, facts: dict[str, Any]) -> None:
    """Writes `results.json` and `results.csv`; `facts` are further numbers of the run."""
    told = {
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
    text = json.dumps(told, indent=2, allow_nan=False) + "\n"
    (folder / "results.json").write_text(text, encoding="utf-8")
    (folder / "results.csv").write_text(table.csv(), encoding="utf-8")


def write_metrics(run: Run, table: Table) -> None:
    """One line a contestant in `metrics.jsonl`."""
    lines = [json.dumps({"method": row.name} | row.values) for row in table.rows]
    write_atomic(run.path / "metrics.jsonl", "\n".join(lines) + "\n")
