"""Options and flow that all experiments of `modeseek paper` share."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from modeseek.cli.terminal import print_result
from modeseek.device import AUTO, resolve_device
from modeseek.io.progress import Progress
from modeseek.io.progress_bars import run_with_progress
from modeseek.reports.results_files import ExperimentResult
from modeseek.rundir.run_dir import Run
from modeseek.runs.interrupts import RunInterrupted
from modeseek.runs.session import resume_hint

Name = Annotated[str, tyro.conf.arg(metavar="NAME")]


@dataclass(frozen=True)
class PaperOptions:
    """Options of every experiment."""

    seeds: int = 3
    """Number of seeds of each prompt (or caption) and method."""
    seed: int = 0
    """Random seed."""
    device: Annotated[str, tyro.conf.arg(metavar="DEVICE")] = AUTO
    """Device: auto (cuda, else mps, else cpu), cpu, cuda, cuda:1 or mps."""
    out: Path | None = None
    """Folder to create or resume; default runs/paper-EXPERIMENT-TIME-ID."""

    @property
    def resolved_device(self) -> str:
        """Device of this machine that the option denotes."""
        return str(resolve_device(self.device))


def run_and_print(run: Run, job: Generator[Progress, None, ExperimentResult], heading: str) -> None:
    """Runs an experiment with progress bars, then prints its tables, findings and the path of the report.

    Raises:
        RunInterrupted: Ctrl-C; the message says how to resume.
    """
    print(f"Experiment: {run.path}")
    with closing(job):
        try:
            result = run_with_progress(job)
        except KeyboardInterrupt as error:  # raised while the progress bars were drawn
            raise RunInterrupted(resume_hint(run, "interrupted")) from error
    print_result(result, heading)
    print(f"Report: {run.path / 'report.html'}")
