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
from modeseek.experiments.known_density.experiment import run_known_density
from modeseek.experiments.known_density.grid import Grid
from modeseek.experiments.known_density.plan import Benchmark
from modeseek.experiments.toy2d.entries import ToyEntry, ToyTask
from modeseek.experiments.toy2d.entries_all import ALL_ENTRIES
from modeseek.experiments.toy2d.toy2d import Toy2DPlan
from modeseek.io.progress_bars import run_with_progress
from modeseek.runs.experiment_folder import BENCHMARK, open_experiment

Name = Annotated[str, tyro.conf.arg(metavar="NAME")]


@dataclass(frozen=True)
class BenchmarkCommand:
    """Compare all methods fairly on a 2-D distribution with known density.

    The optimizer, the learning rate and its fall of every method are tuned by NLL on seeds of their own; then other
    seeds are reported, with the tuned and the default setting, at equal prior calls and at equal steps. Methods that
    edit move samples of one class to another, in a table of their own. Each point is conditioned on one class, in turn,
    so that all points together should cover the distribution. NFSD's negative and the source of SDS-Bridge are the
    class, blurred.

    Writes tables of likelihood, precision, recall, modes found, spread and cost, sorted by likelihood, and a plot of
    each method. To resume after Ctrl-C, rerun the command with the same --out; --methods and --seeds may change.

    Examples:
      modeseek benchmark

      modeseek benchmark --methods sds msd sdi ddim --budget 500 --steps 200

      modeseek benchmark --problem spiral --label none --no-tune
    """

    problem: Name = "ring"
    """2-D distribution: fractal, spiral, pinwheel, ring or grid."""
    methods: tuple[Name, ...] = ("all",)
    """Methods to compare: all, or names listed by modeseek methods."""
    budget: int = 1000
    """Budget of each method at equal calls, prior calls per point."""
    steps: int = 200
    """Number of optimizer steps of each method at equal steps."""
    seeds: int = 5
    """Number of reported seeds; intervals need 3."""
    tune: bool = True
    """Tune optimizer, learning rate and fall of every method on other seeds."""
    tuning_seeds: int = 2
    """Number of seeds of the tuning; 1 for methods whose points depend on each other."""
    side: int = 8
    """Side of the grid of initial points (side x side points), each moved at random within its cell."""
    label: Annotated[str, tyro.conf.arg(metavar="each|none|CLASS")] = "each"
    """Conditioning of the points: each class in turn, none, or one class. Default without classes: none."""
    scale: float = 1.0
    """Classifier-free guidance scale; 1 is none. Also for methods that apply guidance themselves."""
    bandwidth: float | None = None
    """Final kernel bandwidth, units of the data; default: standard deviation of the smallest component."""
    blur: float = 0.5
    """Standard deviation by which a class is blurred for a negative prompt or a bridge's source, units of the data."""
    seed: int = 0
    """Random seed of the experiment."""
    out: Path | None = None
    """Run folder to create or resume; default runs/benchmark-TIME-ID."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs the benchmark and prints the tables and the path of the report."""
        problem = look_up("problem", self.problem, DATASETS_2D)()
        label = self._label(problem.prior.n_classes)
        base = Toy2DPlan(problem, (), self.budget, self.seed, label, self.scale, self.bandwidth, self.side)
        entries, skipped = self._entries(base.task(problem.prior))
        base = replace(base, entries=entries)
        base.check()
        grid = Grid(seeds=self.tuning_seeds) if self.tune else None
        plan = Benchmark(base, self.steps, self.seeds, grid, self.blur)
        settings = REGISTRY.serialize_fields(self, "config")
        del settings["out"]
        prior = {"title": f"{self.problem}, ideal", "sha256": problem_digest(problem)}
        run = open_experiment(BENCHMARK, settings | {"device": "cpu"}, prior, argv, self.out)
        result = run_with_progress(run_known_density(plan, run))
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
