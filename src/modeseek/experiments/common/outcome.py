"""What a contest leaves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from modeseek.io.atomic import write_whole
from modeseek.reports.table import Table
from modeseek.rundir.run_dir import Run


@dataclass(frozen=True)
class Finished:
    """What a contest leaves.

    Attributes:
        folder: where its files lie.
        table: its numbers.
        findings: what one sees, a sentence each.
    """

    folder: Path
    table: Table
    findings: tuple[str, ...]


def write_rows(run: Run, table: Table) -> None:
    """One line a contestant in `metrics.jsonl`."""
    lines = [json.dumps({"method": row.name} | row.values) for row in table.rows]
    write_whole(run.path / "metrics.jsonl", "\n".join(lines) + "\n")
