"""`modeseek toy`: comparison of methods on toy distributions with known density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from modeseek.cli.terminal import print_report_path, print_result
from modeseek.config.loaded_prior import problem_digest
from modeseek.config.lookup import look_up, look_up_all
from modeseek.config.paths import absolute_paths
from modeseek.config.priors import NetworkPriorConfig
from modeseek.config.registry import REGISTRY
from modeseek.datasets.by_name import DATASETS
from modeseek.experiments.toy2d.benchmark import ToyPlan, run_benchmark
from modeseek.experiments.toy2d.digits import DigitsPlan
from modeseek.experiments.toy2d.toy2d import Toy2DPlan
from modeseek.experiments.toy2d.train_prior import PriorRecipe, check_network
from modeseek.io.progress_bars import run_with_progress
from modeseek.priors.base import Prior
from modeseek.priors.network_training import FINEST_TRAINED_NOISE
from modeseek.rundir.run_dir import Run

Name = Annotated[str, tyro.conf.arg(metavar="NAME")]


@dataclass(frozen=True)
class ToyCommand:
    """Compare mode-seeking methods on a toy distribution with known density.

    All methods start from the same points and use the same number of prior calls. Writes figures, an animated GIF of
    the points, results.json, results.csv and report.html, a self-contained page.

    Examples:
      modeseek toy

      modeseek toy --problem spiral --methods sds msd --out runs/spiral

      modeseek toy --problem fractal --prior learned --save-network networks/fractal

      modeseek toy --problem pinwheel --label 2 --scale 3

      modeseek toy --problem digits --prior learned --label 3
    """

    problem: Name = "fractal"
    """Distribution: fractal, spiral, pinwheel, ring, grid (2-D, exact density) or digits (8x8 images)."""
    prior: Literal["ideal", "learned"] = "ideal"
    """Prior: ideal (exact denoiser) or learned (small network, trained on samples in about a minute)."""
    methods: tuple[Name, ...] = ()
    """Methods: ddim sds sds-annealed sdi msd msd-jitter msd-product msd-kernel-score find-modes; default all."""
    out: Path | None = None
    """Run folder to create; default runs/toy-PROBLEM-PRIOR-TIME-ID. If it exists, a number is appended."""
    budget: int | None = None
    """Budget of each method, prior calls per point; default 800 in 2-D, 200 on digits."""
    side: int = 20
    """Side of the grid of initial points, side x side points (2-D only; digits start from noise, 100 images)."""
    label: int | None = None
    """Class to condition on: fractal 0-1, pinwheel 0-4, ring 0-7, digits 0-9; default none (digits: ten of each)."""
    scale: float = 1.0
    """Classifier-free guidance scale: 1 is none, 3 is strong. A scale other than 1 doubles the prior calls."""
    bandwidth: float | None = None
    """Final kernel bandwidth, units of the data. Default: standard deviation of the smallest component, at least the
    finest training noise of a learned prior; 0.3 on digits."""
    seed: int = 0
    """Random seed."""
    network: Path | None = None
    """Folder of a saved network to use instead of training one; needs --prior learned."""
    save_network: Path | None = None
    """New folder for the trained network; needs --prior learned."""
    train_steps: int | None = None
    """Number of training steps of the network; needs --prior learned."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs the comparison and prints the table and the path of the report."""
        problem = look_up("problem", self.problem, DATASETS)()
        self._check()
        plan = self._plan(problem)
        prior, sha256 = self._prior(plan)
        plan.check()
        settings = replace(self, out=None, budget=plan.budget)
        run = Run.create(
            {"verb": "toy", **absolute_paths(REGISTRY.serialize_fields(settings, "config"), hint=ToyCommand)},
            name_parts=["toy", self.problem, self.prior],
            command=argv,
            prior={"title": f"{self.problem}, {self.prior}", "sha256": sha256},
            out=self.out,
        )
        title = f"Modes of the {self.problem}, {self.prior} prior"
        title += "" if self.label is None else f", class {self.label}"
        title += "" if self.scale == 1 else f", guidance {self.scale:g}"
        result = run_with_progress(run_benchmark(plan, prior, run, title, self.save_network))
        print_result(result, f"{self.problem}, {self.prior} prior")
        print_report_path(run, self.out)

    def _plan(self, problem: Any) -> ToyPlan:
        kind = DigitsPlan if self.problem == "digits" else Toy2DPlan
        options: dict[str, Any] = {} if kind is DigitsPlan else {"side": self.side}
        names, bandwidth = self.methods, self.bandwidth
        if not names and self.scale != 1:  # a guided prior has no density
            names = tuple(name for name in kind.known_entries if name != "find-modes")
        if bandwidth is None and self.prior == "learned" and kind is Toy2DPlan:
            bandwidth = max(problem.bandwidth, FINEST_TRAINED_NOISE)  # 2-D data sets have unit variance
        entries = look_up_all("method", names, kind.known_entries)
        budget = kind.budget if self.budget is None else self.budget
        return kind(problem, entries, budget, self.seed, self.label, self.scale, bandwidth, **options)

    def _prior(self, plan: ToyPlan) -> tuple[Prior | PriorRecipe, str | None]:
        """Prior, or recipe to train one, and the SHA-256 of its weights or data if it is known."""
        if self.prior == "ideal":
            return plan.problem.prior, problem_digest(plan.problem)
        if self.network is None:
            return plan.recipe if self.train_steps is None else replace(plan.recipe, steps=self.train_steps), None
        loaded = NetworkPriorConfig(self.network).load("cpu")
        labelled = plan.task(loaded.prior).conditions is not None
        check_network(loaded.prior, self.network, plan.problem.prior.shape, labelled)
        return loaded.prior, loaded.sha256

    def _check(self) -> None:
        learned = self.prior == "learned"
        for name, value in (
            ("--network", self.network),
            ("--save-network", self.save_network),
            ("--train-steps", self.train_steps),
        ):
            if value is not None and not learned:
                raise ValueError(f"{name} needs --prior learned, got --prior ideal")
        if self.network is not None and (self.save_network is not None or self.train_steps is not None):
            raise ValueError("--network must not be combined with --save-network or --train-steps; remove one")
        if self.train_steps is not None and self.train_steps < 1:
            raise ValueError(f"--train-steps must be at least 1, got {self.train_steps}")
        target = self.save_network
        if target is not None and target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ValueError(f"--save-network must name a new folder, got {target}, which exists; try another name")
