"""What every run ends with: its folder, its numbers and what one sees in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modeseek.runs.report.table import Table


@dataclass(frozen=True)
class Finished:
    """What a run leaves.

    Attributes:
        folder: where its files lie.
        wanted: the folder that was asked for, which was taken if it differs.
        table: its numbers.
        findings: what one sees, a sentence each.
    """

    folder: Path
    wanted: Path
    table: Table
    findings: tuple[str, ...]
