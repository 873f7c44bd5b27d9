"""`modeseek resume`: continuation of a run that was stopped, killed or interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from modeseek.cli import options
from modeseek.cli.follow_run import follow_run
from modeseek.cli.options import option
from modeseek.rundir.run_dir import Run
from modeseek.runs.api import iter_resume, resume


@dataclass(frozen=True)
class ResumeCommand:
    """Resume a run from its newest intact checkpoint; the result equals an uninterrupted run, bit for bit on the CPU.

    A damaged checkpoint is reported and the previous one used. Without any checkpoint the run starts over.

    Examples:
      modeseek resume runs/msd-ring-20260101T000000Z-ab12

      modeseek resume msd-ring-20260101T000000Z-ab12 --steps 800
    """

    run_folder: options.RunFolder = None
    steps: int | None = None
    """New total number of steps; schedules continue at the progress relative to the new length."""
    device: Annotated[
        str | None, option("DEVICE", "New device: auto, cpu, cuda, cuda:1 or mps. Default: that of the run.")
    ] = None
    on_failure: Literal["stop", "rollback"] | None = None
    """New response to divergence: stop, or roll back once to the last checkpoint with half the learning rate."""

    def run(self, argv: Sequence[str]) -> None:
        """Resumes the run and prints its summary."""
        run = Run.find(self.run_folder)
        status = run.status
        if status.state == "finished" and self.steps in (None, status.step):
            resume(run)
            print(f"{run.path} is finished at step {status.step}; --steps N extends it.")
            return
        follow_run(run, iter_resume(run, self.steps, self.on_failure, self.device))
