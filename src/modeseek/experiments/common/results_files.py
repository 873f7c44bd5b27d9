"""What a run was: its numbers, its command and the machine it ran on, as JSON and CSV."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modeseek.reports.table import Table
from modeseek.rundir.environment import machine, versions


@dataclass(frozen=True)
class Record:
    """What fixes a run, for people who want to repeat it.

    Attributes:
        title: of the run.
        command: the exact command line.
        settings: every choice, the defaults among them.
    """

    title: str
    command: str
    settings: dict[str, Any]


def write_numbers(folder: Path, record: Record, table: Table, facts: dict[str, Any]) -> None:
    """Writes `results.json` and `results.csv`; `facts` are further numbers of the run."""
    told = {
        "title": record.title,
        "command": record.command,
        "settings": record.settings,
        "facts": facts,
        "columns": {c.key: {"heading": c.heading, "meaning": c.meaning, "better": c.best} for c in table.columns},
        "methods": {row.name: row.values for row in table.rows},
        "versions": versions(),
        "machine": machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    text = json.dumps(told, indent=2, allow_nan=False) + "\n"
    (folder / "results.json").write_text(text, encoding="utf-8")
    (folder / "results.csv").write_text(table.csv(), encoding="utf-8")
