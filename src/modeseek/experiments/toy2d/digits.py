"""Benchmark on handwritten digits, scored against held-out images."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.datasets.digits import Digits
from modeseek.experiments.toy2d.benchmark import (
    COSTS,
    MOVING,
    ReportFigure,
    ToyPlan,
    ToyResult,
    metric,
    run_entries,
    score_outcome,
)
from modeseek.experiments.toy2d.entries import ToyOutcome, ToyTask
from modeseek.experiments.toy2d.entries_tuned import DIGITS_ENTRIES
from modeseek.experiments.toy2d.figures.sheets import draw_animated_sheets, draw_contact_sheets
from modeseek.experiments.toy2d.train_prior import PriorRecipe
from modeseek.io.progress import Progress
from modeseek.io.thread_pool import single_threaded
from modeseek.metrics.bootstrap import Estimate
from modeseek.priors.base import Conditions, Prior
from modeseek.reports.metric import Metric, evaluate
from modeseek.reports.table import Row, Table, row_values
from modeseek.rng import Streams, randn

_COUNT = 100
_BANDWIDTH = 0.3  # default of the last bandwidth


@dataclass(frozen=True)
class Images:
    """Images with the labels that they should show, to be scored.

    Attributes:
        z: images in [-1, 1].
        labels: target label of each image.
        digits: data set.
        classify: classifier fitted to the training images.
    """

    z: Float[Tensor, "n 1 8 8"]
    labels: Int[Tensor, "n"]
    digits: Digits
    classify: Callable[[Tensor], Tensor]

    def mean(self, statistic: Callable[[Tensor, int], Tensor]) -> float:
        """Mean over the images of a statistic of the images of one label."""
        values = torch.empty(len(self.z))
        for label in self.labels.unique().tolist():
            mask = self.labels == label
            values[mask] = statistic(self.z[mask], label)
        return values.mean().item()

    @property
    def diversity(self) -> float:
        """Mean distance between two images of one label, mean over the labels."""
        groups = [self.z[self.labels == label].flatten(1) for label in self.labels.unique()]
        return torch.stack([torch.pdist(group).mean() for group in groups]).mean().item()


METRICS: tuple[Metric[Images], ...] = (
    metric("log_likelihood", "Held-out log-likelihood",
           "Mean log density, in nats, under a kernel estimate of the held-out images of the same class.", ".2f",
           lambda images: images.mean(images.digits.log_likelihood), "high"),
    metric("nearest", "Nearest held-out", "Mean distance to the nearest held-out image of the same class.", ".2f",
           lambda images: images.mean(images.digits.nearest_distance), "low"),
    metric("accuracy", "Accuracy", "Share that a classifier fitted to the training images assigns to the label.", ".2f",
           lambda images: (images.classify(images.z) == images.labels).double().mean().item(), "high"),
    metric("diversity", "Diversity", "Mean distance between two end points of the same class.", ".2f",
           lambda images: images.diversity, "high"),
)  # fmt: skip


@dataclass(frozen=True)
class DigitsPlan(ToyPlan):
    """Plan of a benchmark on digits, see `ToyPlan`; without a label ten images of each digit."""

    problem: Digits
    budget: int = 200
    label: int | None = None
    known_entries: ClassVar = DIGITS_ENTRIES
    recipe: ClassVar = PriorRecipe(steps=1500, width=256, batch=256, lr=2e-3)

    @property
    def labels(self) -> Int[Tensor, "n"]:
        """Labels of the 100 starts, row by row of the contact sheet."""
        if self.label is not None:
            return torch.full((_COUNT,), self.label)
        return torch.arange(10).repeat_interleave(_COUNT // 10)

    def task(self, prior: Prior) -> ToyTask:
        """Task of the entries; the starts are noise with the mean and standard deviation of the data."""
        train = self.problem.train
        noise = randn((_COUNT, *train.shape[1:]), Streams(self.seed, step=4), train)
        starts = train.mean() + train.std() * noise
        conditions = Conditions(self.labels, null=torch.full_like(self.labels, -1))
        bandwidth = _BANDWIDTH if self.bandwidth is None else self.bandwidth
        return ToyTask(prior, starts, self.budget, bandwidth, self.seed, conditions, self.scale)

    def check(self) -> None:
        if self.label is not None and not 0 <= self.label <= 9:
            raise ValueError(f"label must be a digit from 0 to 9, got {self.label}")
        super().check()

    def training_data(self) -> tuple[Tensor, Tensor | None]:
        return self.problem.train, self.problem.train_labels

    def run(self, prior: Prior) -> Generator[Progress, None, ToyResult]:
        task, digits = self.task(prior), self.problem
        with single_threaded():
            by_name, _ = yield from run_entries(self.entries, task)
            outcomes, classify = tuple(by_name.values()), digits.classifier()

            def measure(z: Tensor) -> dict[str, Estimate]:
                return evaluate(METRICS, Images(z.float(), self.labels, digits, classify))

            rows = [score_outcome(outcome, measure(outcome.z)) for outcome in outcomes]
            train = _select_images(self.labels, digits.train, digits.train_labels)
            rows.append(Row("training images", row_values(measure(train)), reference=True))
        real = _select_images(self.labels, digits.held_out, digits.held_out_labels)
        table = Table((*METRICS, *COSTS), tuple(rows))
        sheets = ReportFigure(
            "sheets.png",
            "End points",
            "100 end points per method, and 100 held-out images with the same labels. All methods start from the same "
            "noise, except DDIM, which starts from noise at its own first level.",
            partial(draw_contact_sheets, real, outcomes, table),
        )
        moving = [outcome for name, outcome in by_name.items() if name in MOVING]
        titles = ", ".join(outcome.entry.title for outcome in moving)
        animation = ReportFigure(
            "images.gif",
            "Trajectories",
            f"From noise to end points, left to right: {titles}.",
            partial(draw_animated_sheets, moving),
        )
        drawings = (sheets, animation) if moving else (sheets,)
        return ToyResult(
            outcomes, table, {"bandwidth": task.bandwidth}, summarise(outcomes, table), drawings, ("digits",)
        )


def summarise(outcomes: Sequence[ToyOutcome], table: Table) -> tuple[str, ...]:
    """Summary of the table, a sentence each."""
    scores = {row.name: row.values["log_likelihood"] for row in table.rows}
    entries = [outcome.entry for outcome in outcomes if outcome.entry.name != "ddim"]
    if not entries:
        return ()
    best, *others = sorted(entries, key=lambda entry: scores[entry.name], reverse=True)
    order = ", ".join(f"{entry.name} {scores[entry.name]:.1f}" for entry in others)
    return (
        f"Highest held-out log-likelihood: {best.title} with {scores[best.name]:.1f}"
        + (f"; then {order}." if order else "."),
        f"Training images score {scores['training images']:.1f}: end points above that are more typical of their class "
        "than real images, as modes are; the price is diversity.",
    )


def _select_images(labels: Tensor, images: Tensor, image_labels: Tensor) -> Tensor:
    """Images with the given labels, repeated where a class has too few."""
    chosen = torch.empty((len(labels), *images.shape[1:]))
    for label in labels.unique().tolist():
        mask, pool = labels == label, images[image_labels == label]
        chosen[mask] = pool[torch.arange(int(mask.sum())) % len(pool)]
    return chosen
