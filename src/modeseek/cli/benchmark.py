"""`modeseek benchmark`: benchmark of the methods on a 2-D distribution with known density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from modeseek.cli.terminal import print_report_path, print_result
from modeseek.config.loaded_prior import problem_digest
from modeseek.config.lookup import look_up, look_up_all
from modeseek.config.registry import REGISTRY
from modeseek.datasets.by_name import DATASETS_2D
from modeseek.experiments.toy2d.benchmark import run_benchmark
from modeseek.experiments.toy2d.entries import ToyEntry, ToyTask
from modeseek.experiments.toy2d.entries_all import ALL_ENTRIES
from modeseek.experiments.toy2d.toy2d import Toy2DPlan
from modeseek.io.progress_bars import run_with_progress
from modeseek.rundir.run_dir import Run

Name = Annotated[str, tyro.conf.arg(metavar="NAME")]


@dataclass(frozen=True)
class BenchmarkCommand:
    """Benchmark methods on a 2-D distribution with known density, from the same starts at equal prior calls.

    Each point is conditioned on one class, in turn, so that all points together should cover the distribution. Writes
    a table of likelihood, precision, recall, modes found, spread and cost, sorted by likelihood, and a plot of each
    method.

    Examples:
      modeseek benchmark

      modeseek benchmark --problem ring --methods all --budget 20000

      modeseek benchmark --problem spiral --label none --methods sds msd vsd rsd
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
        problem = look_up("problem", self.problem, DATASETS_2D)()
        label = self._label(problem.prior.n_classes)
        options = (self.budget, self.seed, label, self.scale, self.bandwidth, self.side)
        plan = Toy2DPlan(problem, (), *options, order="nll")
        entries, skipped = self._entries(plan.task(problem.prior))
        plan = replace(plan, entries=entries)
        plan.check()
        settings = REGISTRY.serialize_fields(self, "config")
        del settings["out"]
        run = Run.create(
            {"verb": "benchmark", **settings},
            name_parts=["benchmark", self.problem],
            command=argv,
            prior={"title": f"{self.problem}, ideal", "sha256": problem_digest(problem)},
            out=self.out,
        )
        result = run_with_progress(run_benchmark(plan, problem.prior, run, f"Every method on the {self.problem}"))
        print_result(result, f"{self.problem}, {self.budget:,} prior calls per point")
        for line in skipped:
            print(line)
        print_report_path(run, self.out)

    def _label(self, n_classes: int) -> int | Literal["each"] | None:
        if self.label == "none" or (self.label == "each" and not n_classes):
            return None
        if self.label == "each":
            return "each"
        try:
            return int(self.label)
        except ValueError as error:
            raise ValueError(f"--label must be each, none or a number, got {self.label!r}") from error

    def _entries(self, task: ToyTask) -> tuple[tuple[ToyEntry, ...], list[str]]:
        """Entries of the benchmark, and one sentence on each that is skipped."""
        if tuple(self.methods) != ("all",):
            return look_up_all("method", self.methods, ALL_ENTRIES), []
        reasons = {"esd": "without cameras it equals vsd"}
        if task.scale != 1:
            reasons["find-modes"] = "a guided prior has no density"
        if task.conditions is None:
            comparing = [name for name, entry in ALL_ENTRIES.items() if entry.algorithm(task).needs]
            reasons |= dict.fromkeys(comparing, "it needs class conditions, and none are given")
        entries = tuple(entry for name, entry in ALL_ENTRIES.items() if name not in reasons)
        return entries, [f"{name} is skipped: {reasons[name]}." for name in ALL_ENTRIES if name in reasons]
