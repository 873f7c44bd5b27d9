"""Benchmark on handwritten digits, scored against held-out images."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from modeseek.datasets.digits import Digits
from modeseek.experiments.toy2d.benchmark import check_entry, follow_entries, run_entry
from modeseek.experiments.toy2d.entries import Descent, ToyEntry, ToyOutcome, ToyTask
from modeseek.io.progress import Progress
from modeseek.io.thread_pool import run_in_threads, single_threaded
from modeseek.priors.base import Conditions, Prior
from modeseek.reports.table import Column, Row, Table
from modeseek.rng import Streams, randn

_COUNT = 100
COLUMNS = (
    Column("log_likelihood", "Held-out log-likelihood",
           "Mean log density, in nats, under a kernel estimate of the held-out images of the same class.", ".2f",
           "high"),
    Column("nearest", "Nearest held-out", "Mean distance to the nearest held-out image of the same class.", ".2f",
           "low"),
    Column("accuracy", "Accuracy", "Share that a classifier fitted to the training images assigns to the label.", ".2f",
           "high"),
    Column("diversity", "Diversity", "Mean distance between two end points of the same class.", ".2f", "high"),
    Column("done", "Done", "Share of the points that the method itself declares converged (by its relative shift).",
           ".2f"),
    Column("calls", "Calls", "Prior calls per image.", ".0f"),
    Column("seconds", "Seconds", "Run time on one core.", ".1f"),
)  # fmt: skip


@dataclass(frozen=True)
class DigitsPlan:
    """Plan of a benchmark on digits.

    Attributes:
        problem: the data set.
        entries: methods that are compared.
        budget: prior calls per image.
        seed: random seed.
        label: target digit; None for ten images of each.
        scale: guidance scale; 1 is none.
        bandwidth: last kernel bandwidth.
    """

    problem: Digits
    entries: tuple[ToyEntry, ...]
    budget: int = 200
    seed: int = 0
    label: int | None = None
    scale: float = 1.0
    bandwidth: float = 0.3

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
        return ToyTask(prior, starts, self.budget, self.bandwidth, self.seed, conditions, self.scale)

    def check(self) -> None:
        """Raises the ValueError that the run would raise, without any work."""
        if self.label is not None and not 0 <= self.label <= 9:
            raise ValueError(f"label must be a digit from 0 to 9, got {self.label}")
        task = self.task(self.problem.prior)
        for entry in self.entries:
            check_entry(entry, task)


@dataclass(frozen=True)
class DigitsResult:
    """Result of a benchmark on digits.

    Attributes:
        plan: the plan.
        outcomes: outcomes in the order of the entries.
        real: held-out images with the labels of the end points.
        table: metrics, a row per entry.
    """

    plan: DigitsPlan
    outcomes: tuple[ToyOutcome, ...]
    real: Float[Tensor, "n 1 8 8"]
    table: Table


def benchmark_digits(plan: DigitsPlan, prior: Prior) -> Generator[Progress, None, DigitsResult]:
    """Runs all entries on `prior` and scores them against the held-out images."""
    plan.check()
    task = plan.task(prior)
    for entry in plan.entries:
        yield Progress(entry.name, 0, 1)
    with single_threaded():
        outcomes = yield from follow_entries(run_in_threads({c.name: run_entry(c, task) for c in plan.entries}))
        classify = plan.problem.classifier()
        rows = [_row(plan, task, outcomes[c.name], classify) for c in plan.entries]
        train = _real(plan, plan.problem.train, plan.problem.train_labels)
        values = _measure(plan, train, classify)
    rows.append(Row("training images", values, reference=True))
    real = _real(plan, plan.problem.held_out, plan.problem.held_out_labels)
    return DigitsResult(plan, tuple(outcomes[c.name] for c in plan.entries), real, Table(COLUMNS, tuple(rows)))


def _row(plan: DigitsPlan, task: ToyTask, outcome: ToyOutcome, classify: Callable[[Tensor], Tensor]) -> Row:
    values = _measure(plan, outcome.z, classify) | {"calls": outcome.calls, "seconds": outcome.seconds}
    if outcome.converged is not None:
        values["done"] = outcome.converged
    return Row(outcome.entry.name, values, not isinstance(outcome.entry.algorithm(task), Descent))


def _measure(plan: DigitsPlan, z: Tensor, classify: Callable[[Tensor], Tensor]) -> dict[str, float]:
    z, labels = z.float(), plan.labels
    log_likelihood, nearest = torch.empty(len(z)), torch.empty(len(z))
    spread = []
    for label in labels.unique().tolist():
        mask = labels == label
        log_likelihood[mask] = plan.problem.log_likelihood(z[mask], label)
        nearest[mask] = plan.problem.nearest_distance(z[mask], label)
        spread.append(torch.pdist(z[mask].flatten(1)).mean())
    return {
        "log_likelihood": log_likelihood.mean().item(),
        "nearest": nearest.mean().item(),
        "accuracy": (classify(z) == labels).double().mean().item(),
        "diversity": torch.stack(spread).mean().item(),
    }


def _real(plan: DigitsPlan, images: Tensor, image_labels: Tensor) -> Tensor:
    """Real images with the labels of the starts, repeated where a class has too few."""
    chosen, labels = torch.empty((_COUNT, *images.shape[1:])), plan.labels
    for label in labels.unique().tolist():
        mask, pool = labels == label, images[image_labels == label]
        chosen[mask] = pool[torch.arange(int(mask.sum())) % len(pool)]
    return chosen
