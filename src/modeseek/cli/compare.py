"""`modeseek compare`: comparison of several runs on one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import tyro

from modeseek.cli.terminal import print_table
from modeseek.io.atomic import unused_path
from modeseek.reports.compare_page import comparison_table, write_comparison
from modeseek.rundir.run_dir import Run


@dataclass(frozen=True)
class CompareCommand:
    """Compare runs side by side: final images, metrics, settings that differ, curves over prior calls.

    Examples:
      modeseek compare runs/msd-ring-* runs/sds-ring-*
    """

    run_folders: tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="RUN [RUN ...]")]]
    """Run folders, or their names in runs/."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="HTML")] = None
    """HTML page to write; default runs/compare-TIME.html. If it exists, a number is appended."""

    def run(self, argv: Sequence[str]) -> None:
        """Writes the page and prints the table."""
        if len(self.run_folders) < 2:
            raise ValueError(f"compare needs at least two runs, got {len(self.run_folders)}")
        runs = [Run.load(folder) for folder in self.run_folders]
        out = Path("runs") / f"compare-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.html" if self.out is None else self.out
        table = comparison_table(runs)
        page = write_comparison(runs, unused_path(out))
        print_table(table, {}, f"{len(runs)} runs")
        print(f"Page: {page}")
