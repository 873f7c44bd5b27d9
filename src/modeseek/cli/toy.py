"""`modeseek toy`: the methods against each other where the truth is known."""

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
from modeseek.datasets.digits import Digits
from modeseek.datasets.by_name import DATASETS
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
    """Seek the modes of a distribution whose truth is known, with several methods, and compare them.

    All methods start from the same points and may ask the prior equally often. A folder is made with figures,
    a GIF of the points moving, results.json, results.csv and report.html, a page that needs nothing else.

    Examples:
      modeseek toy

      modeseek toy --problem spiral --methods sds msd --out runs/spiral

      modeseek toy --problem fractal --prior learned --save-network networks/fractal

      modeseek toy --problem pinwheel --label 2 --scale 3

      modeseek toy --problem digits --prior learned --label 3
    """

    problem: Name = "fractal"
    """Where: fractal, spiral, pinwheel, ring, grid (2-D, exact density) or digits (8x8 images)."""
    prior: Literal["ideal", "learned"] = "ideal"
    """What the methods are told: the exact denoiser, or a small network trained here on samples (a minute or less)."""
    methods: tuple[Name, ...] = ()
    """Who plays: ddim sds sds-annealed sdi msd msd-jitter msd-product msd-kernel-score find-modes; all by default."""
    out: Path | None = None
    """Folder to make, by default runs/toy-PROBLEM-PRIOR-TIME-ID. One that exists is kept: the new one gets a number."""
    budget: int | None = None
    """Prior calls a point that each method may spend: 800 on the plane, 200 on digits."""
    side: int = 20
    """Points start on a grid of side x side (2-D problems; the digits start from noise, 100 of them)."""
    label: int | None = None
    """Class to seek: fractal 0-1, pinwheel 0-4, ring 0-7, digits 0-9. Without it: everything; digits ten of each."""
    scale: float = 1.0
    """Classifier-free guidance: 1 is none, 3 is strong. Costs a second call wherever it is not 1."""
    bandwidth: float | None = None
    """Last bandwidth of the kernel, in units of the data. By default what there is to find: the smallest component's
    standard deviation, but with a learned prior nothing finer than it was taught; 0.3 on digits."""
    seed: int = 0
    """Of every random draw."""
    network: Path | None = None
    """With --prior learned: use this saved network instead of training one."""
    save_network: Path | None = None
    """With --prior learned: keep the trained network in this new folder."""
    train_steps: int | None = None
    """With --prior learned: training steps; fewer are faster and worse."""

    def run(self, argv: Sequence[str]) -> None:
        """Runs it, prints the table and where the files are."""
        problem = look_up("problem", self.problem, DATASETS)()
        self._check()
        if isinstance(problem, Digits):
            entries = look_up_all("method", self.methods, DIGITS_ENTRIES)
            end = {} if self.bandwidth is None else {"bandwidth": self.bandwidth}
            plan = DigitsPlan(problem, entries, self._budget(200), self.seed, self.label, self.scale, **end)
            prior, record = self._prior(problem, train_prior.DIGITS_RECIPE), self._record(argv, 200)
            plan.check()
            run = self._begin(argv, problem, 200)
            job = run_digits(plan, prior, record, run, self.save_network)
        else:
            entries = look_up_all("method", self._plane_names(), TOY2D_ENTRIES)
            end = self.bandwidth
            if end is None and self.prior == "learned":
                end = max(problem.bandwidth, FINEST_TRAINED_NOISE)  # planes have unit variance
            plan = Toy2DPlan(problem, entries, self.side, self._budget(800), self.seed, self.label, self.scale, end)
            prior, record = self._prior(problem, train_prior.TOY2D_RECIPE), self._record(argv, 800)
            plan.check()
            run = self._begin(argv, problem, 800)
            job = run_toy2d(plan, prior, record, run, self.save_network)
        self._finish(job, {c.name: c.title for c in entries})

    def _finish(self, job: Generator[Progress, None, ExperimentResult], titles: dict[str, str]) -> None:
        done = run_with_progress(job)
        print_table(done.table, titles, f"{self.problem}, {self.prior} prior")
        for line in done.findings:
            print(line)
        if self.out is not None and done.folder != self.out:
            print(f"{self.out} exists and was kept; this run is in {done.folder.name}.")
        print(f"Report: {done.folder / 'report.html'}")

    def _begin(self, argv: Sequence[str], problem: ToyDataset2D | Digits, budget: int) -> Run:
        told: dict[str, Any] = {"title": f"{self.problem}, {self.prior}", "sha256": None}
        if self.prior == "ideal":
            told["sha256"] = problem_digest(problem)
        elif self.network is not None:
            told["sha256"] = NetworkPriorConfig(self.network).load("cpu").sha256
        settings = REGISTRY.serialize_fields(replace(self, out=None, budget=self._budget(budget)), "config")
        return Run.create(
            {"verb": "toy", **settings},
            name_parts=["toy", self.problem, self.prior],
            command=argv,
            environment=collect_environment("cpu", told),
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
                raise ValueError(f"{name} needs a learned prior: got --prior ideal; add --prior learned")
        if self.network is not None and (self.save_network is not None or self.train_steps is not None):
            raise ValueError("--network is read, not trained: got it with --save-network or --train-steps; drop one")
        if self.train_steps is not None and self.train_steps < 1:
            raise ValueError(f"training needs at least one step: got --train-steps {self.train_steps}; raise it")
        target = self.save_network
        if target is not None and target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ValueError(f"a network is saved to a new folder: got {target}, which exists; choose another name")

    def _plane_names(self) -> tuple[str, ...]:
        """All by default, but for the search of modes where guidance leaves no density to climb."""
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
