"""Plan of the experiment on quality against calls: its cells by method and budget, and their batches of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Literal

from modeseek.config.optimizers import AdamConfig
from modeseek.config.priors import PriorConfig
from modeseek.experiments.common.entries import Entry, check_least
from modeseek.experiments.quality.entries import SAMPLES
from modeseek.experiments.text_to_image.plan import ImageBatch, TextToImage
from modeseek.methods.base import Method, TrainingMethod
from modeseek.runs.count_calls import mean_prior_calls

SAMPLE_STEPS = (25, 50)  # of the DDIM samples beside the methods
_LEAST_STEPS = 8  # below, a run is no optimisation: such budgets are left out
_SHORT, _LONG = 9, 100  # lengths of the runs on which calls are counted: the long one where they change along it


@dataclass(frozen=True)
class Prompt:
    """Prompt of an image, with what the image should show.

    Attributes:
        text: prompt.
        truth: ground truth that the image is scored against: a caption of a scene, the name of a drawing, or a label.
    """

    text: str
    truth: str


@dataclass(frozen=True)
class Cell:
    """Method at one budget: a row of the table and a point of a curve.

    Attributes:
        entry: the method, with its learning rate.
        budget: prior calls per image.
        name: name of the row, and beginning of the names of its run folders.
        steps: number of steps that the budget allows.
    """

    entry: Entry
    budget: int
    name: str
    steps: int


@dataclass(frozen=True)
class Tuning:
    """Tuning of the learning rate of every method, on prompts and seeds of its own.

    Attributes:
        prompts: prompts, none of which is compared on.
        budget: prior calls per image.
        rates: learning rates tried, each with the method's own fall; then the best one with the other fall.
        falls: final learning rates relative to the first that are tried.
        seeds: number of images of each prompt and setting.
    """

    prompts: tuple[Prompt, ...]
    budget: int = 200
    rates: tuple[float, ...] = (0.005, 0.01, 0.02, 0.04)
    falls: tuple[float, ...] = (1.0, 0.1)
    seeds: int = 1

    def __post_init__(self) -> None:
        check_least(1, tuning_seeds=self.seeds, tune_at=self.budget)
        if not self.prompts or not self.rates:
            raise ValueError("the tuning needs a prompt and a rate at least, got none; add one, or use --no-tune")
        for rate in self.rates:
            AdamConfig(rate)


@dataclass(frozen=True)
class Quality:
    """Plan in which every method makes an image of every prompt from every seed at every budget.

    Attributes:
        prior_config: the pipeline, or a network of digits, whose prompts are labels.
        prompts: prompts that are compared on.
        entries: methods that are compared.
        budgets: prior calls per image, ascending; a method skips those that allow fewer than 8 steps.
        tuning: tuning of the learning rates; None keeps those of the entries.
        scale: classifier-free guidance scale of all methods; 1 is none.
        seeds: number of images of each prompt and cell.
        generator: what is optimised: field (a coordinate network), pixels or latent.
        shift: largest random shift of the images at every step, pixels; 0 is none.
        batch: maximum number of images made together.
        seed: random seed of the experiment.
        device: device of the prior and the generator.
    """

    prior_config: PriorConfig
    prompts: tuple[Prompt, ...]
    entries: tuple[Entry, ...]
    budgets: tuple[int, ...] = (50, 100, 200, 400, 800)
    tuning: Tuning | None = None
    scale: float = 3.0
    seeds: int = 3
    generator: Literal["field", "pixels", "latent"] = "field"
    shift: int = 2
    batch: int = 30
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not self.prompts or not self.entries or not self.budgets:
            raise ValueError("the experiment needs a prompt, a method and a budget at least, got none; add one")
        check_least(1, seeds=self.seeds, batch=self.batch)
        if list(self.budgets) != sorted(set(self.budgets)):
            raise ValueError(f"budgets must ascend, got {' '.join(map(str, self.budgets))}; try --budgets 50 100 200")
        if self.tuning is not None and {p.truth for p in self.prompts} & {p.truth for p in self.tuning.prompts}:
            raise ValueError("prompts of the tuning must not be compared on, got one that is; choose others")

    @cached_property
    def calls(self) -> dict[str, tuple[float, float]]:
        """Mean prior calls per image by method: before the first step, and in each step."""
        return {entry.name: self._count(entry, _SHORT) for entry in self.entries} | {
            entry.name: self._count(entry, _LONG) for entry in self.entries if self._count(entry, _SHORT)[1] % 1
        }

    def cells(self, entry: Entry) -> list[Cell]:
        """Cells of a method, budgets ascending.

        Raises:
            ValueError: no budget allows 8 steps.
        """
        cells = [self.cell(entry, budget) for budget in self.budgets]
        cells = [cell for cell in cells if cell.steps >= _LEAST_STEPS]
        if not cells:
            raise ValueError(
                f"--budgets must allow {_LEAST_STEPS} steps of {entry.name}, got {max(self.budgets)}, where they take "
                f"{self.least_budget(entry)} prior calls; raise it, or remove it from --methods"
            )
        return cells

    def cell(self, entry: Entry, budget: int, name: str = "") -> Cell:
        """Cell of a method at a budget; its name is METHOD@BUDGET unless another is given."""
        first, each = self.calls[entry.name]
        steps = int((budget - first) / each + 1e-9)
        while steps > 2 and each % 1 and self._total(entry, steps) > budget:  # calls that change along the run
            steps -= 1
        return Cell(entry, budget, name or f"{entry.name}@{budget}", steps)

    def _total(self, entry: Entry, steps: int) -> float:
        """Prior calls of a run."""
        first, each = self._count(entry, steps)
        return first + steps * each

    def _count(self, entry: Entry, steps: int) -> tuple[float, float]:
        return _mean_calls(entry.method(self.scale, False), self.scale, not entry.guides, steps)

    def updates(self, cell: Cell) -> int:
        """Training steps of an auxiliary network in the run of a cell; 0 for methods without one."""
        if cell.entry.make is None:
            return 0
        method = cell.entry.method(self.scale, False)
        return cell.steps * method.updates + method.warmup if isinstance(method, TrainingMethod) else 0

    def least_budget(self, entry: Entry) -> int:
        """Least budget that a method can use: 8 steps."""
        first, each = self.calls[entry.name]
        return math.ceil(first + _LEAST_STEPS * each)

    def samples(self) -> list[Cell]:
        """Cells of DDIM samples, at the calls of 25 and 50 steps."""
        each = SAMPLES.calls(self.scale)[1]
        return [Cell(SAMPLES, each * steps, f"{SAMPLES.name}@{each * steps}", steps) for steps in SAMPLE_STEPS]

    def jobs_of(self, cell: Cell) -> tuple[TextToImage, list[ImageBatch]]:
        """Batches of a cell that is compared, with the plan that makes them."""
        return self._jobs_of(cell, self.prompts, self.seeds, self.seed)

    def tuning_jobs_of(self, cell: Cell, tuning: Tuning) -> tuple[TextToImage, list[ImageBatch]]:
        """Batches of a cell of the tuning: other prompts, and other random numbers."""
        return self._jobs_of(cell, tuning.prompts, tuning.seeds, self.seed + 1)

    def _jobs_of(
        self, cell: Cell, prompts: Sequence[Prompt], seeds: int, seed: int
    ) -> tuple[TextToImage, list[ImageBatch]]:
        entry = replace(cell.entry, name=cell.name)
        plan = TextToImage(
            self.prior_config,
            tuple(prompt.text for prompt in prompts),
            (entry,),
            {entry.name: self.scale},
            seeds=seeds,
            steps=cell.steps,
            generator=self.generator,
            shift=0 if self.generator == "latent" else self.shift,
            reference=0,
            sample_steps=cell.steps,
            batch=self.batch,
            seed=seed,
            device=self.device,
        )
        return plan, plan.batches(entry)


@cache
def _mean_calls(method: Method, scale: float, guided: bool, steps: int) -> tuple[float, float]:
    return mean_prior_calls(method, scale, guided, steps=steps)
