"""Jobs of the experiment on restoration: a method with a setting on all images of a cell, kept in a file."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from modeseek.experiments.restoration.measure import score
from modeseek.experiments.restoration.plan import Restoration, RestorationCell
from modeseek.experiments.restoration.problem import Problem
from modeseek.experiments.restoration.restored import Restored
from modeseek.experiments.restoration.restorers import Restorer
from modeseek.io.atomic import write_atomic
from modeseek.io.images import encode_png
from modeseek.priors.wrapper import Counting

FOLDER = "jobs"


@dataclass(frozen=True)
class RestorationJob:
    """A method with a setting on the images of a cell.

    Attributes:
        plan: the plan.
        cell: the cell.
        entry: the method.
        setting: its setting.
        tunes: whether it is a trial on the images of the tuning.
    """

    plan: Restoration
    cell: RestorationCell
    entry: Restorer
    setting: float
    tunes: bool

    @property
    def name(self) -> str:
        """Name of its files."""
        return "-".join(["tune" if self.tunes else "run", self.cell.name, self.entry.name, f"{self.setting:g}"])

    def run(self, problem: Problem, folder: Path) -> None:
        """Restores the images, scores them and writes the files; a result that is not finite is kept as a failure."""
        counting = Counting(problem.space.prior)
        began, n = time.perf_counter(), len(problem.truth.items)
        z = self.entry.run(problem.with_prior(counting), self.plan.calls, self.setting, 1 if self.tunes else None)
        seconds = time.perf_counter() - began
        result: dict[str, object] = {"failed": "the result is not finite"}
        if z.isfinite().all():
            image, values = score(problem, self.entry, z)
            result = {
                "values": {key: value.tolist() for key, value in values.items()},
                "calls": counting.calls / n,
                "jacobians": self.entry.jacobians(self.plan.calls),
                "seconds": seconds / n,
            }
            if not self.tunes:
                write_atomic(folder / f"{self.name}.png", encode_png(torch.cat(list(image), -1)), parents=True)
        write_atomic(folder / f"{self.name}.json", json.dumps(result) + "\n", parents=True)

    def load(self, folder: Path) -> Restored | str | None:
        """Result of an earlier session, or why there is none; None if the job is not finished."""
        path, picture = folder / f"{self.name}.json", folder / f"{self.name}.png"
        if not path.is_file():
            return None
        result = json.loads(path.read_text(encoding="utf-8"))
        if "failed" in result:
            return f"{self.entry.title} is left out at {self.cell.title}: {result['failed']}"
        if not self.tunes and not picture.is_file():
            return None
        values = {key: torch.tensor(value, dtype=torch.float64) for key, value in result["values"].items()}
        return Restored(values, result["calls"], result["jacobians"], result["seconds"], picture)
