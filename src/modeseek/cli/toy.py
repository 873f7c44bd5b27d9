"""`modeseek toy`: comparison of methods on toy distributions with known density."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from modeseek.cli.lookup import look_up, look_up_all
from modeseek.cli.terminal import print_table, run_with_progress
from modeseek.config.priors import NetworkPriorConfig, problem_digest
from modeseek.config.registry import REGISTRY
from modeseek.datasets.by_name import DATASETS
from modeseek.datasets.digits import Digits
from modeseek.datasets.toy2d import ToyDataset2D
from modeseek.experiments.common.results_files import ExperimentResult, RunRecord
from modeseek.experiments.toy2d import train_prior
from modeseek.experiments.toy2d.digits import DigitsPlan
from modeseek.experiments.toy2d.digits_run import run_digits
from modeseek.experiments.toy2d.entries_tuned import DIGITS_ENTRIES, TOY2D_ENTRIES
from modeseek.experiments.toy2d.toy2d import Toy2DPlan
from modeseek.experiments.toy2d.toy2d_run import run_toy2d
from modeseek.experiments.toy2d.train_prior import PriorRecipe
from modeseek.io.progress import Progress
from modeseek.priors.base import Prior
from modeseek.priors.network_training import FINEST_TRAINED_NOISE
from modeseek.rundir.environment import collect_environment
from modeseek.rundir.run_dir import Run
from modeseek.rundir.status import Status

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
        if isinstance(problem, Digits):
            entries = look_up_all("method", self.methods, DIGITS_ENTRIES)
            end = {} if self.bandwidth is None else {"bandwidth": self.bandwidth}
            plan = DigitsPlan(problem, entries, self._budget(200), self.seed, self.label, self.scale, **end)
            prior, record = self._prior(problem, train_prior.DIGITS_RECIPE), self._record(argv, 200)
            plan.check()
            run = self._create_run(argv, problem, 200)
            job = run_digits(plan, prior, record, run, self.save_network)
        else:
            entries = look_up_all("method", self._names_2d(), TOY2D_ENTRIES)
            end = self.bandwidth
            if end is None and self.prior == "learned":
                end = max(problem.bandwidth, FINEST_TRAINED_NOISE)  # 2-D data sets have unit variance
            plan = Toy2DPlan(problem, entries, self.side, self._budget(800), self.seed, self.label, self.scale, end)
            prior, record = self._prior(problem, train_prior.TOY2D_RECIPE), self._record(argv, 800)
            plan.check()
            run = self._create_run(argv, problem, 800)
            job = run_toy2d(plan, prior, record, run, self.save_network)
        self._finish(job, {c.name: c.title for c in entries})

    def _finish(self, job: Generator[Progress, None, ExperimentResult], titles: dict[str, str]) -> None:
        result = run_with_progress(job)
        print_table(result.table, titles, f"{self.problem}, {self.prior} prior")
        for line in result.findings:
            print(line)
        if self.out is not None and result.folder != self.out:
            print(f"{self.out} exists and is kept; this run is in {result.folder.name}.")
        print(f"Report: {result.folder / 'report.html'}")

    def _create_run(self, argv: Sequence[str], problem: ToyDataset2D | Digits, budget: int) -> Run:
        prior: dict[str, Any] = {"title": f"{self.problem}, {self.prior}", "sha256": None}
        if self.prior == "ideal":
            prior["sha256"] = problem_digest(problem)
        elif self.network is not None:
            prior["sha256"] = NetworkPriorConfig(self.network).load("cpu").sha256
        settings = REGISTRY.serialize_fields(replace(self, out=None, budget=self._budget(budget)), "config")
        return Run.create(
            {"verb": "toy", **settings},
            name_parts=["toy", self.problem, self.prior],
            command=argv,
            environment=collect_environment("cpu", prior),
            status=Status("created"),
            out=self.out,
        )

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

    def _names_2d(self) -> tuple[str, ...]:
        """Names of the methods; all by default, without find-modes under guidance, which has no density."""
        if self.methods or self.scale == 1:
            return self.methods
        return tuple(name for name in TOY2D_ENTRIES if name != "find-modes")

    def _budget(self, default: int) -> int:
        return default if self.budget is None else self.budget

    def _prior(self, problem: ToyDataset2D | Digits, recipe: PriorRecipe) -> Prior | PriorRecipe:
        if self.prior == "ideal":
            return problem.prior
        if self.network is not None:
            labelled = self.label is not None or isinstance(problem, Digits)
            return train_prior.load_network(self.network, problem.prior.shape, labelled)
        return recipe if self.train_steps is None else replace(recipe, steps=self.train_steps)

    def _record(self, argv: Sequence[str], budget: int) -> RunRecord:
        settings = asdict(self) | {"budget": self._budget(budget)}
        settings = {
            k: str(v) if isinstance(v, Path) else list(v) if isinstance(v, tuple) else v for k, v in settings.items()
        }
        title = f"Modes of the {self.problem}, {self.prior} prior"
        if self.label is not None:
            title += f", class {self.label}"
        if self.scale != 1:
            title += f", guidance {self.scale:g}"
        return RunRecord(title, shlex.join(argv), {k: v for k, v in settings.items() if v is not None and v != []})
