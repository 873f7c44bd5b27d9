"""`modeseek inspect`: status of a run and verification of its checkpoints."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeseek.cli import options
from modeseek.io.errors import one_line
from modeseek.reports.tolerant_reading import observed_state
from modeseek.rundir.checkpoint import read_checkpoint
from modeseek.rundir.run_dir import Run


@dataclass(frozen=True)
class InspectCommand:
    """Show the status of a run and verify the SHA-256 checksums of its checkpoints, read-only.

    Exit code 1 if a file is damaged.

    Examples:
      modeseek inspect runs/msd-ring-20260101T000000Z-ab12
    """

    run_folder: options.RunFolder = None

    def run(self, argv: Sequence[str]) -> None:
        """Prints the status, and exits with code 1 if a file is damaged."""
        run = Run.find(self.run_folder)
        status, damaged = run.status, 0
        print(f"{run.path}\n{run.command}\n")
        print(f"state       {observed_state(run, status)}" + (f": {status.reason}" if status.reason else ""))
        print(f"steps       {status.step} of {status.steps}")
        print(f"spent       {status.calls} calls, {status.seconds:.1f} s, {status.peak_memory_mb:.0f} MB at the peak")
        print(f"started     {status.started}, {status.sessions} sessions, {status.rollbacks} rollbacks")
        for path in run.checkpoints:
            try:
                checkpoint = read_checkpoint(path)
                size = sum(file.stat().st_size for file in path.iterdir())
                print(f"checkpoint  {checkpoint.path.name}: intact, {_size(size)}")
            except ValueError as error:
                damaged += 1
                print(f"checkpoint  {error}")
        if not run.checkpoints:
            print("checkpoint  none")
        metrics = run.metrics
        if metrics:
            values = ", ".join(f"{k} {v:.4g}" for k, v in metrics[-1].items() if isinstance(v, int | float))
            print(f"last step   {values}")
        for name in ("config.yaml", "env.json"):
            try:
                _ = run.settings if name == "config.yaml" else run.environment
            except (ValueError, OSError) as error:
                damaged += 1
                print(f"{name:<12}{one_line(error)}")
        files = [path for path in run.path.rglob("*") if path.is_file()]
        print(f"files       {len(files)}, {_size(sum(path.stat().st_size for path in files))}; report: {_report(run)}")
        if damaged:
            print(f"modeseek: {damaged} damaged", file=sys.stderr)
            sys.exit(1)


def _report(run: Run) -> Path | str:
    path = run.path / "report.html"
    return path if path.is_file() else "none yet"


def _size(n: int) -> str:
    return f"{n / 2**20:.1f} MB" if n >= 2**20 else f"{n / 2**10:.1f} kB"
