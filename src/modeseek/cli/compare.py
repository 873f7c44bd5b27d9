"""`modeseek compare`: every method under one protocol, where the truth is known."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from modeseek.cli.lookup import look_up, look_up_all
from modeseek.cli.terminal import print_table, run_with_progress
from modeseek.config.priors import problem_digest
from modeseek.datasets.by_name import DATASETS
from modeseek.datasets.toy2d import ToyDataset2D
from modeseek.experiments.common.results_files import RunRecord
from modeseek.experiments.toy2d.entries import Descent, ToyEntry
from modeseek.experiments.toy2d.entries_all import ALL_ENTRIES
from modeseek.experiments.toy2d.toy2d import Toy2DPlan
from modeseek.experiments.toy2d.toy2d_run import run_toy2d
from modeseek.rundir.environment import collect_environment
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status

Name = Annotated[str, tyro.conf.arg(metavar="NAME")]


@dataclass(frozen=True)
class CompareCommand:
    """Let methods compete on a 2-D distribution: the same starts, the same number of prior calls, known truth.

    Every point seeks one of the classes, which take turns, so that all points together should be the whole. A table of
    likelihood, precision, recall, modes found, spread and costs is made, sorted by likelihood, with a panel a method.

    Examples:
      modeseek compare

      modeseek compare --problem ring --methods all --budget 20000

      modeseek compare --problem spiral --label none --methods sds msd vsd rsd
    """

    problem: Name = "ring"
    """Where: fractal, spiral, pinwheel, ring or grid."""
    methods: tuple[Name, ...] = ("all",)
    """Who plays; all, or names as modeseek methods lists them."""
    budget: int = 20000
    """Prior calls a point that each method may spend."""
    side: int = 12
    """Points start on a grid of side x side."""
    label: Annotated[str, tyro.conf.arg(metavar="each|none|CLASS")] = "each"
    """What points seek: the classes by turns, the whole distribution, or one class. Without classes: the whole."""
    scale: float = 1.0
    """Classifier-free guidance: 1 is none. Methods that guide themselves get it too."""
    bandwidth: float | None = None
    """Last bandwidth of the kernel, in units of the data; by default the smallest component's standard deviation."""
    seed: int = 0
    """Of every random draw."""
    out: Path | None = None
    """Folder to make, by default runs/compare-PROBLEM-TIME-ID. One that exists is kept: the new one gets a number."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs it, prints the table and where the files are."""
        problem = look_up("problem", self.problem, {k: v for k, v in DATASETS.items() if k != "digits"})()
        if not isinstance(problem, ToyDataset2D):
            raise TypeError(f"{self.problem} is no distribution of the plane; choose another problem")
        label = self._label(problem)
        plan = Toy2DPlan(problem, (), self.side, self.budget, self.seed, label, self.scale, self.bandwidth)
        entries, left = self._entries(plan)
        plan = replace(plan, entries=entries)
        plan.check()
        settings = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items() if k != "out"}
        record = RunRecord(f"Every method on the {self.problem}", shlex.join(argv), settings)
        told: dict[str, Any] = {"title": f"{self.problem}, ideal", "sha256": problem_digest(problem)}
        run = Run.create(
            {"verb": "compare", **settings},
            name_parts=["compare", self.problem],
            command=argv,
            environment=collect_environment("cpu", told),
            status=Status("created"),
            out=self.out,
        )
        done = run_with_progress(run_toy2d(plan, problem.prior, record, run, order="nll"))
        print_table(done.table, {c.name: c.title for c in entries}, f"{self.problem}, {self.budget:,} prior calls a point")
        for line in (*done.findings, *left):
            print(line)
        print(f"Report: {done.folder / 'report.html'}")

    def _label(self, problem: ToyDataset2D) -> Any:
        if self.label == "none" or (self.label == "each" and problem.prior.labels is None):
            return None
        if self.label == "each":
            return "each"
        try:
            return int(self.label)
        except ValueError as error:
            raise ValueError(f"a label is each, none or a number: got {self.label!r}; choose one") from error

    def _entries(self, plan: Toy2DPlan) -> tuple[tuple[ToyEntry, ...], list[str]]:
        """Who can play, and who was left out of all that were asked for, a sentence each."""
        if tuple(self.methods) != ("all",):
            return look_up_all("method", self.methods, ALL_ENTRIES), []
        task, entries, left = plan.task(plan.problem.prior), [], []
        for entry in ALL_ENTRIES.values():
            algorithm = entry.algorithm(task)
            compares = isinstance(algorithm, Descent) and algorithm.needs
            if compares and task.conditions is None:
                left.append(f"{entry.name} is left out: it compares classes, and none is sought.")
            elif entry.name == "esd":
                left.append("esd is left out: without cameras it is vsd.")
            elif entry.name == "find-modes" and self.scale != 1:
                left.append("find-modes is left out: a guided prior has no density to climb.")
            else:
                entries.append(entry)
        return tuple(entries), left
