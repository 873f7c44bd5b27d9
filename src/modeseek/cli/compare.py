"""`modeseek compare`: benchmark of the methods on a 2-D distribution with known density."""

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
    """Benchmark methods on a 2-D distribution with known density, from the same starts at equal prior calls.

    Each point is conditioned on one class, in turn, so that all points together should cover the distribution. Writes
    a table of likelihood, precision, recall, modes found, spread and cost, sorted by likelihood, and a plot of each
    method.

    Examples:
      modeseek compare

      modeseek compare --problem ring --methods all --budget 20000

      modeseek compare --problem spiral --label none --methods sds msd vsd rsd
    """

    problem: Name = "ring"
    """2-D distribution: fractal, spiral, pinwheel, ring or grid."""
    methods: tuple[Name, ...] = ("all",)
    """Methods to compare: all, or names listed by modeseek methods."""
    budget: int = 20000
    """Budget of each method, prior calls per point."""
    side: int = 12
    """Side of the grid of initial points (side x side points)."""
    label: Annotated[str, tyro.conf.arg(metavar="each|none|CLASS")] = "each"
    """Conditioning of the points: each class in turn, none, or one class. Default without classes: none."""
    scale: float = 1.0
    """Classifier-free guidance scale; 1 is none. Also for methods that apply guidance themselves."""
    bandwidth: float | None = None
    """Final kernel bandwidth, units of the data; default: standard deviation of the smallest component."""
    seed: int = 0
    """Random seed."""
    out: Path | None = None
    """Run folder to create; default runs/compare-PROBLEM-TIME-ID. If it exists, a number is appended."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs the benchmark and prints the table and the path of the report."""
        problem = look_up("problem", self.problem, {k: v for k, v in DATASETS.items() if k != "digits"})()
        if not isinstance(problem, ToyDataset2D):
            raise TypeError(f"--problem must be a 2-D distribution, got {self.problem}")
        label = self._label(problem)
        plan = Toy2DPlan(problem, (), self.side, self.budget, self.seed, label, self.scale, self.bandwidth)
        entries, skipped = self._entries(plan)
        plan = replace(plan, entries=entries)
        plan.check()
        settings = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items() if k != "out"}
        record = RunRecord(f"Every method on the {self.problem}", shlex.join(argv), settings)
        prior: dict[str, Any] = {"title": f"{self.problem}, ideal", "sha256": problem_digest(problem)}
        run = Run.create(
            {"verb": "compare", **settings},
            name_parts=["compare", self.problem],
            command=argv,
            environment=collect_environment("cpu", prior),
            status=Status("created"),
            out=self.out,
        )
        result = run_with_progress(run_toy2d(plan, problem.prior, record, run, order="nll"))
        print_table(
            result.table,
            {entry.name: entry.title for entry in entries},
            f"{self.problem}, {self.budget:,} prior calls per point",
        )
        for line in (*result.findings, *skipped):
            print(line)
        print(f"Report: {result.folder / 'report.html'}")

    def _label(self, problem: ToyDataset2D) -> Any:
        if self.label == "none" or (self.label == "each" and problem.prior.labels is None):
            return None
        if self.label == "each":
            return "each"
        try:
            return int(self.label)
        except ValueError as error:
            raise ValueError(f"--label must be each, none or a number, got {self.label!r}") from error

    def _entries(self, plan: Toy2DPlan) -> tuple[tuple[ToyEntry, ...], list[str]]:
        """Entries of the benchmark, and one sentence on each that is skipped."""
        if tuple(self.methods) != ("all",):
            return look_up_all("method", self.methods, ALL_ENTRIES), []
        task, entries, skipped = plan.task(plan.problem.prior), [], []
        for entry in ALL_ENTRIES.values():
            algorithm = entry.algorithm(task)
            needs_conditions = isinstance(algorithm, Descent) and algorithm.needs
            if needs_conditions and task.conditions is None:
                skipped.append(f"{entry.name} is skipped: it needs class conditions, and none are given.")
            elif entry.name == "esd":
                skipped.append("esd is skipped: without cameras it equals vsd.")
            elif entry.name == "find-modes" and self.scale != 1:
                skipped.append("find-modes is skipped: a guided prior has no density.")
            else:
                entries.append(entry)
        return tuple(entries), skipped
