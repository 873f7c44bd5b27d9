"""Benchmark on 2-D distributions with known density, samples and modes."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from modeseek.datasets.toy2d import ToyDataset2D
from modeseek.experiments.toy2d.benchmark import (
    COSTS,
    MOVING,
    ReportFigure,
    ToyPlan,
    ToyResult,
    run_entries,
    score_outcome,
)
from modeseek.experiments.toy2d.entries import ToyOutcome, ToyTask
from modeseek.experiments.toy2d.entries_tuned import TOY2D_ENTRIES
from modeseek.experiments.toy2d.figures.animation import draw_animation
from modeseek.experiments.toy2d.figures.landscapes import draw_landscapes
from modeseek.experiments.toy2d.figures.panels import draw_panels
from modeseek.experiments.toy2d.objective_grid import log_density
from modeseek.experiments.toy2d.toy2d_metrics import METRICS, EndPoints, GroundTruth
from modeseek.experiments.toy2d.train_prior import PriorRecipe
from modeseek.io.progress import Progress
from modeseek.io.thread_pool import single_threaded
from modeseek.meanshift.modes import Modes, find_modes
from modeseek.priors.base import Conditions, Prior
from modeseek.pytree import Cond
from modeseek.reports.metric import evaluate
from modeseek.reports.table import Table
from modeseek.rng import Streams, rand

_STARTS = 2000  # starts of the search for the true modes
_TRAINING = 20_000  # true samples that a network is trained on
_PIXELS = 320  # side of the density image
_MAX_SIDE = 1000  # of the grid of start points


@dataclass(frozen=True)
class Toy2DPlan(ToyPlan):
    """Plan of a benchmark on a 2-D distribution, see `ToyPlan`.

    Attributes:
        side: side of the grid of side^2 start points.
    """

    problem: ToyDataset2D
    budget: int = 800
    side: int = 20
    known_entries: ClassVar = TOY2D_ENTRIES
    recipe: ClassVar = PriorRecipe(steps=3000, width=96, batch=768, lr=4e-3)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.side > _MAX_SIDE:
            raise ValueError(f"side must be at most {_MAX_SIDE}, got {self.side}; try 20")

    @property
    def end(self) -> float:
        """Last bandwidth h, at which modes are scored."""
        return self.problem.bandwidth if self.bandwidth is None else self.bandwidth

    @property
    def derived_settings(self) -> dict[str, Any]:
        return {"last bandwidth h": f"{self.end:.4g}"}

    @property
    def cond(self) -> Cond:
        """Condition of the ground truth: the label with a leading axis of 1, or None where unconditional."""
        return torch.tensor([self.label]) if isinstance(self.label, int) else None

    def task(self, prior: Prior) -> ToyTask:
        starts, classes, conditions = self.problem.grid(self.side), max(1, self.problem.prior.n_classes), None
        if self.label is not None:
            rows = torch.arange(len(starts)) % classes
            rows = rows if self.label == "each" else torch.full_like(rows, self.label)
            conditions = Conditions(rows, null=torch.full_like(rows, -1))
        return ToyTask(prior, starts, self.budget, self.end, self.seed, conditions, self.scale, classes)

    def check(self) -> None:
        n_classes, name = self.problem.prior.n_classes, self.problem.name
        if self.label is not None:
            if not n_classes:
                raise ValueError(f"{name} has no classes: got label {self.label}; leave the label out")
            if self.label != "each" and not 0 <= self.label < n_classes:
                raise ValueError(f"unknown label {self.label}: {name} has 0 to {n_classes - 1}")
        elif self.scale != 1:
            raise ValueError(f"guidance needs a target class: got scale {self.scale:g} without a label; add --label")
        if self.side < 3:
            raise ValueError(f"side must be at least 3 for precision and recall, got {self.side}")
        super().check()

    def training_data(self) -> tuple[Tensor, Tensor | None]:
        exact, rng = self.problem.prior, Streams(self.seed, step=3)
        if self.label is None or exact.labels is None:
            return exact.sample(_TRAINING, rng), None
        mass = torch.zeros(exact.n_classes, dtype=exact.dtype).index_add(0, exact.labels, exact.weights)
        labels = torch.searchsorted(mass.cumsum(0), rand((_TRAINING,), rng, mass)).clamp(max=len(mass) - 1)
        return exact.sample(_TRAINING, rng, labels), labels

    def run(self, prior: Prior) -> Generator[Progress, None, ToyResult]:
        task = self.task(prior)
        with single_threaded():
            outcomes, others = yield from run_entries(
                self.entries, task, {"true modes": partial(_find_true_modes, self)}
            )
            modes = Modes(*map(torch.from_numpy, others["true modes"]))
            truth, rows = GroundTruth.draw(self.problem, self.cond, self.end, modes, self.seed), []
            for index, outcome in enumerate(outcomes.values()):
                yield Progress("scoring", index, len(outcomes))
                method = outcome.entry.algorithm(task).method if self.scale == 1 else None
                points = EndPoints(outcome.z, truth, method, prior)
                rows.append(score_outcome(outcome, evaluate(METRICS, points)))
            yield Progress("scoring", len(rows), len(rows))
        table = Table((*METRICS, *COSTS), tuple(rows))
        facts = {"bandwidth": self.end, "direction_bandwidth": truth.middle, "true_modes": len(modes.z)}
        findings = summarise({row.name: row.values for row in rows})
        drawings = _drawings(truth, outcomes, table)
        return ToyResult(tuple(outcomes.values()), table, facts, findings, drawings, ("autoguidance",))


def _find_true_modes(plan: Toy2DPlan) -> Generator[Progress, None, list[Any]]:
    """Arrays of the modes of the exact p_h, found from other starts than those of the entries."""
    yield Progress("true modes", 1, 2)
    rng = Streams(plan.seed + 1)
    modes = find_modes(plan.problem.prior, plan.end, _STARTS, rng=rng, cond=plan.cond, tol=1e-9)
    yield Progress("true modes", 2, 2)
    return [array.numpy() for array in vars(modes).values()]


def summarise(values: Mapping[str, Mapping[str, float]]) -> tuple[str, ...]:
    """Summary of the table, a sentence each, from the values of each entry."""
    lines = []
    if "msd" in values:
        msd = values["msd"]
        lines.append(
            f"MSD ends at a median distance of {msd['distance']:.2g} h from the nearest true mode, with NLL "
            f"{msd['nll']:.3f} and precision {msd['precision']:.3f} after {msd['calls']:.0f} calls per point."
        )
    baselines = [name for name in ("sds", "sds-annealed", "sdi") if name in values]
    if baselines:
        best = min(baselines, key=lambda name: values[name]["nll"])
        row = values[best]
        lines.append(
            f"The best of SDS and SDI by NLL is {best}: {row['nll']:.3f}, precision {row['precision']:.3f}, "
            f"{row['distance']:.2g} h from the nearest mode."
        )
    if "msd" in values and "find-modes" in values:
        lines.append(
            f"Mode seeking costs recall: {values['msd']['recall']:.2f} with MSD from a grid of starts. find_modes, "
            f"started from samples of the prior, reaches {values['find-modes']['recall']:.2f} with modes of "
            f"{100 * values['find-modes']['coverage']:.0f} % of the mass."
        )
    return tuple(lines)


def _drawings(truth: GroundTruth, outcomes: Mapping[str, ToyOutcome], table: Table) -> tuple[ReportFigure, ...]:
    exact, extent = truth.problem.prior, truth.problem.extent
    field = log_density(exact, torch.linspace(-extent, extent, _PIXELS, dtype=torch.float64), cond=truth.cond)
    moving = [outcome for name, outcome in outcomes.items() if name in MOVING]
    panels = ReportFigure(
        "panels.png",
        "End points",
        "End points (dots) and some trajectories (lines) over the true log density. All methods start from the same "
        "grid, except DDIM, which starts from noise, and find_modes, which starts from samples.",
        partial(draw_panels, truth.modes, list(outcomes.values()), table, field, extent),
    )
    landscapes = ReportFigure(
        "landscape.png",
        "Objectives",
        f"At bandwidth H = {truth.middle:.3g}: SDS averages the log density over noise, so narrow branches blur into "
        "their surroundings and its minima move; MSD descends the log density of p_H itself.",
        partial(draw_landscapes, exact, truth.middle, extent, truth.cond),
    )
    animation = ReportFigure(
        "points.gif",
        "Trajectories",
        "The same runs as an animation, aligned by the share of prior calls spent.",
        partial(draw_animation, moving, field, extent),
    )
    return (panels, landscapes, animation)[: 3 if moving else 2]
