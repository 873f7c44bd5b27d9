"""`modeseek resume`: go on with a run that was stopped, killed or cut short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from modeseek.cli.follow_run import follow_run
from modeseek.rundir.run_dir import Run
from modeseek.runs.api import resume, iter_resume


@dataclass(frozen=True)
class ResumeCommand:
    """Go on with a run from its newest whole checkpoint, as if it had never stopped: bit for bit on the CPU.

    A damaged checkpoint is named and the one before it is used. Without any checkpoint the run starts over.

    Examples:
      modeseek resume runs/msd-ring-20260101T000000Z-ab12

      modeseek resume msd-ring-20260101T000000Z-ab12 --steps 800
    """

    run_folder: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="RUN")]]
    """A run's folder, or its name in runs/."""
    steps: int | None = None
    """Steps in all, to lengthen or shorten it; schedules then go on at the place of the new length."""
    on_failure: Literal["stop", "rollback"] | None = None
    """Change what happens when something goes wrong: rollback goes back once with half the learning rate."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs it to its end."""
        run = Run.load(self.run_folder)
        status = run.status
        if status.state == "finished" and self.steps in (None, status.step):
            resume(run)
            print(f"{run.path} is finished at step {status.step}; --steps N makes it longer.")
            return
        follow_run(run, iter_resume(run, self.steps, self.on_failure))
