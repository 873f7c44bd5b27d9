"""Result of an experiment and its files: `results.json`, `results.csv`, `metrics.jsonl` and `table.md`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modeseek.io.atomic import write_atomic
from modeseek.reports.table import Table
from modeseek.rundir.environment import describe_machine, package_versions
from modeseek.rundir.run_dir import Run


@dataclass(frozen=True)
class ExperimentResult:
    """Result of an experiment.

    Attributes:
        folder: run folder.
        table: metrics, a row per entry.
        findings: summary of the table, a sentence each.
        titles: display titles of the rows of all tables by name.
        missing: missing results and caveats, a sentence each.
        more: further tables by heading.
    """

    folder: Path
    table: Table
    findings: tuple[str, ...]
    titles: Mapping[str, str]
    missing: tuple[str, ...] = ()
    more: Mapping[str, Table] = field(default_factory=dict)


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


def write_experiment(run: Run, title: str, result: ExperimentResult, facts: dict[str, Any]) -> None:
    """Writes the files of `write_metrics` and `write_results`, and `table.md` with all tables and findings."""
    exports, findings = run.path / "exports", result.findings
    facts |= {"findings": list(findings), "lacking": list(result.missing)}
    write_metrics(run, result.table)
    write_results(exports, RunRecord(title, run.command, run.settings), result.table, facts)
    more = {f"**{heading}**\n\n": table for heading, table in result.more.items()}
    tables = [head + part.markdown(result.titles) for head, part in ({"": result.table} | more).items() if part.rows]
    write_atomic(exports / "table.md", "\n".join([*tables, *(f"- {line}" for line in findings)]) + "\n")


def write_metrics(run: Run, table: Table) -> None:
    """Writes `metrics.jsonl`, a line per row of the table."""
    lines = [json.dumps({"method": row.name} | row.values) for row in table.rows]
    write_atomic(run.path / "metrics.jsonl", "\n".join(lines) + "\n")
