"""The same contest on images: modes of handwritten digits, judged by images that were held out."""

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
    Column(
        "log_likelihood",
        "Held-out log-likelihood",
        "Mean log density, in nats, under a kernel estimate of the held-out images of the same class.",
        ".2f",
        "high",
    ),
    Column(
        "nearest", "Nearest held-out", "Mean distance to the nearest held-out image of the same class.", ".2f", "low"
    ),
    Column(
        "accuracy", "Accuracy", "Share that a classifier fitted to the training part calls by the label.", ".2f", "high"
    ),
    Column("diversity", "Diversity", "Mean distance between two end points of one class.", ".2f", "high"),
    Column("done", "Done", "Share of the points that the method itself declares finished (its relative shift).", ".2f"),
    Column("calls", "Calls", "Prior calls an image.", ".0f"),
    Column("seconds", "Seconds", "Time of one core.", ".1f"),
)


@dataclass(frozen=True)
class DigitsPlan:
    """All that fixes a run on the digits.

    Attributes:
        problem: the images.
        contestants: who plays.
        budget: prior calls an image.
        seed: of all draws.
        label: the digit sought, or None for ten of each.
        scale: of guidance; 1 is none.
        bandwidth: the last one.
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
        """Of the 100 starts, row by row of the contact sheet."""
        if self.label is not None:
            return torch.full((_COUNT,), self.label)
        return torch.arange(10).repeat_interleave(_COUNT // 10)

    def task(self, prior: Prior) -> ToyTask:
        """What the contestants are given: noise of the data's mean and spread."""
        train = self.problem.train
        noise = randn((_COUNT, *train.shape[1:]), Streams(self.seed, step=4), train)
        starts = train.mean() + train.std() * noise
        conditions = Conditions(self.labels, null=torch.full_like(self.labels, -1))
        return ToyTask(prior, starts, self.budget, self.bandwidth, self.seed, conditions, self.scale)

    def check(self) -> None:
        """What the run would refuse, before any work is done; ValueError."""
        if self.label is not None and not 0 <= self.label <= 9:
            raise ValueError(f"unknown label {self.label}: digits are 0 to 9; choose one")
        task = self.task(self.problem.prior)
        for entry in self.entries:
            check_entry(entry, task)


@dataclass(frozen=True)
class DigitsResult:
    """What a run found.

    Attributes:
        plan: what was run.
        outcomes: in the order of the contestants.
        real: held-out images beside which they are shown, with labels like the end points'.
        table: all numbers.
    """

    plan: DigitsPlan
    outcomes: tuple[ToyOutcome, ...]
    real: Float[Tensor, "n 1 8 8"]
    table: Table


def benchmark_digits(plan: DigitsPlan, prior: Prior) -> Generator[Progress, None, DigitsResult]:
    """Plays all contestants on `prior` and judges them by the held-out images."""
    plan.check()
    task = plan.task(prior)
    for entry in plan.entries:
        yield Progress(entry.name, 0, 1)
    with single_threaded():
        outcomes = yield from follow_entries(run_in_threads({c.name: run_entry(c, task) for c in plan.entries}))
        classify = plan.problem.classifier()
        rows = [_judge(plan, task, outcomes[c.name], classify) for c in plan.entries]
        train = _real(plan, plan.problem.train, plan.problem.train_labels)
        values = _measure(plan, train, classify)
    rows.append(Row("training images", values, reference=True))
    real = _real(plan, plan.problem.held_out, plan.problem.held_out_labels)
    return DigitsResult(plan, tuple(outcomes[c.name] for c in plan.entries), real, Table(COLUMNS, tuple(rows)))


def _judge(plan: DigitsPlan, task: ToyTask, outcome: ToyOutcome, classify: Callable[[Tensor], Tensor]) -> Row:
    values = _measure(plan, outcome.z, classify) | {"calls": outcome.calls, "seconds": outcome.seconds}
    if outcome.converged is not None:
        values["done"] = outcome.converged
    return Row(outcome.entry.name, values, not isinstance(outcome.entry.algorithm(task), Descent))


def _measure(plan: DigitsPlan, z: Tensor, classify: Callable[[Tensor], Tensor]) -> dict[str, float]:
    z, labels = z.float(), plan.labels
    log_likelihood, nearest = torch.empty(len(z)), torch.empty(len(z))
    spread = []
    for label in labels.unique().tolist():
        mine = labels == label
        log_likelihood[mine] = plan.problem.log_likelihood(z[mine], label)
        nearest[mine] = plan.problem.nearest_distance(z[mine], label)
        spread.append(torch.pdist(z[mine].flatten(1)).mean())
    return {
        "log_likelihood": log_likelihood.mean().item(),
        "nearest": nearest.mean().item(),
        "accuracy": (classify(z) == labels).double().mean().item(),
        "diversity": torch.stack(spread).mean().item(),
    }


def _real(plan: DigitsPlan, images: Tensor, known: Tensor) -> Tensor:
    """As many images, with the same labels; few repeat where there are not enough."""
    chosen, labels = torch.empty((_COUNT, *images.shape[1:])), plan.labels
    for label in labels.unique().tolist():
        mine, pool = labels == label, images[known == label]
        chosen[mine] = pool[torch.arange(int(mine.sum())) % len(pool)]
    return chosen
