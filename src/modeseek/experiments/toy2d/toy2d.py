"""Benchmark on 2-D distributions with known density, samples and modes."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.datasets.toy2d import ToyDataset2D
from modeseek.experiments.toy2d.benchmark import check_entry
from modeseek.experiments.toy2d.direction_error import measure_direction
from modeseek.experiments.toy2d.entries import Descent, ModeSearch, ToyEntry, ToyOutcome, ToyTask
from modeseek.experiments.toy2d.serialization import outcome_from_dict, run_to_dict
from modeseek.io.process_pool import run_in_processes
from modeseek.io.progress import Progress
from modeseek.io.thread_pool import single_threaded
from modeseek.meanshift.modes import Modes
from modeseek.metrics import samples as metrics
from modeseek.priors.base import Conditions, Prior
from modeseek.pytree import Cond
from modeseek.reports.table import Column, Row, Table
from modeseek.rng import Streams

_REAL = 2000  # true samples of recall and MMD
_PROBES = (200, 12)  # points and repeats of the direction error
_TRUTH = ToyEntry("truth", "true modes", lambda task: ModeSearch(tol=1e-9), "Modes of the exact p_h.")

COLUMNS = (
    Column("nll", "NLL", "Mean negative log-likelihood of the end points under the true density, in nats.", ".3f",
           "low"),
    Column("precision", "Precision",
           "Share of the end points within the manifold of true samples (balls to the 5th neighbour).", ".3f", "high"),
    Column("recall", "Recall",
           "Share of the true samples within the manifold of end points. Mode seeking trades it away by design.", ".3f",
           "high"),
    Column("mmd", "MMD", "Maximum mean discrepancy to the true samples.", ".3f", "low"),
    Column("distance", "Mode distance / h",
           "Median distance of the end points to the nearest true mode of p_h, in units of the last bandwidth h.",
           ".2g", "low"),
    Column("coverage", "Mass found", "Share of basin mass whose mode of p_h has an end point within h/2.", ".3f",
           "high"),
    Column("found", "Modes", "Number of true modes of p_h with an end point within h/2.", ".0f", "high"),
    Column("spread", "Spread", "Mean squared distance to the nearest true mode, relative to true samples: 1 matches "
           "them, 0 is collapse onto the modes.", ".2g"),
    Column("done", "Done", "Share of the points that the method itself declares converged (by its relative shift).",
           ".2f"),
    Column("bias", "Step bias", "Squared bias of one step against the exact direction, relative.", ".2g"),
    Column("variance", "Step variance", "Variance of one step, relative to the exact direction's square.", ".2g"),
    Column("nmse", "Step NMSE", "Normalised mean squared error of one step: bias and variance together.", ".2g", "low"),
    Column("calls", "Calls", "Prior calls per point.", ".0f"),
    Column("lessons", "Updates", "Updates of an auxiliary network; they are no prior calls.", ".0f"),
    Column("seconds", "Seconds", "Run time on one core.", ".1f"),
)  # fmt: skip


@dataclass(frozen=True)
class Toy2DPlan:
    """Plan of a benchmark on a 2-D distribution.

    Attributes:
        problem: the distribution.
        entries: methods that are compared.
        side: side of the grid of side^2 start points.
        budget: prior calls per point.
        seed: random seed.
        label: target class; "each" assigns the classes to the starts in turn; None is unconditional.
        scale: guidance scale; 1 is none.
        end: last bandwidth h; None is that of the problem.
    """

    problem: ToyDataset2D
    entries: tuple[ToyEntry, ...]
    side: int = 20
    budget: int = 800
    seed: int = 0
    label: int | Literal["each"] | None = None
    scale: float = 1.0
    end: float | None = None

    @property
    def bandwidth(self) -> float:
        """Last bandwidth h, at which modes are scored."""
        return self.problem.bandwidth if self.end is None else self.end

    @property
    def cond(self) -> Cond:
        """Condition of the ground truth: the label with a leading axis of 1, or None where unconditional."""
        return torch.tensor([self.label]) if isinstance(self.label, int) else None

    @property
    def classes(self) -> int:
        """Number of classes; 1 without classes."""
        labels = self.problem.prior.labels
        return 1 if labels is None else int(labels.max()) + 1

    def task(self, prior: Prior) -> ToyTask:
        """Task of the entries."""
        starts = self.problem.grid(self.side)
        conditions = None
        if self.label is not None:
            rows = torch.arange(len(starts)) % self.classes
            rows = rows if self.label == "each" else torch.full_like(rows, self.label)
            conditions = Conditions(rows, null=torch.full_like(rows, -1))
        return ToyTask(prior, starts, self.budget, self.bandwidth, self.seed, conditions, self.scale, self.classes)

    def check(self) -> None:
        """Raises the ValueError that the run would raise, without any work."""
        labels = self.problem.prior.labels
        if self.label is not None:
            if labels is None:
                raise ValueError(f"{self.problem.name} has no classes: got label {self.label}; leave the label out")
            if self.label != "each" and self.label not in labels:
                raise ValueError(f"unknown label {self.label}: {self.problem.name} has 0 to {int(labels.max())}")
        elif self.scale != 1:
            raise ValueError(f"guidance needs a target class: got scale {self.scale:g} without a label; add --label")
        if self.side < 3:
            raise ValueError(f"side must be at least 3 for precision and recall, got {self.side}")
        task = self.task(self.problem.prior)
        for entry in self.entries:
            check_entry(entry, task)


@dataclass(frozen=True)
class Toy2DResult:
    """Result of a benchmark on a 2-D distribution.

    Attributes:
        plan: the plan.
        outcomes: outcomes in the order of the entries.
        truth: modes of the exact p_h.
        samples: true samples, (n, 2).
        table: metrics, a row per entry.
        middle: bandwidth of the direction error and of the drawn objectives.
    """

    plan: Toy2DPlan
    outcomes: tuple[ToyOutcome, ...]
    truth: Modes
    samples: Float[Tensor, "n 2"]
    table: Table
    middle: float

    def sorted_by(self, key: str) -> Toy2DResult:
        """Result with rows and outcomes sorted by a column, the lowest first and non-finite values last."""
        rows = sorted(self.table.rows, key=lambda row: value if (value := row.values[key]) == value else math.inf)
        outcomes = {outcome.entry.name: outcome for outcome in self.outcomes}
        table = replace(self.table, rows=tuple(rows))
        return replace(self, table=table, outcomes=tuple(outcomes[row.name] for row in rows))


def benchmark_toy2d(plan: Toy2DPlan, prior: Prior) -> Generator[Progress, None, Toy2DResult]:
    """Runs all entries on `prior` and scores them against the exact prior of the problem."""
    plan.check()
    task, exact = plan.task(prior), plan.problem.prior
    # Another seed than the entries': no method is scored against modes found from its own starts.
    conditions = task.conditions if plan.cond is not None else None
    truth_task = replace(task, prior=exact, seed=plan.seed + 1, scale=1.0, conditions=conditions)
    jobs = {_TRUTH.title: partial(run_to_dict, _TRUTH, truth_task)}
    jobs |= {entry.name: partial(run_to_dict, entry, task) for entry in plan.entries}
    for name in jobs:
        yield Progress(name, 0, 1)
    with single_threaded():
        outcomes = yield from _collect_outcomes(
            run_in_processes(jobs), {_TRUTH.title: _TRUTH} | {c.name: c for c in plan.entries}
        )
        truth = outcomes[_TRUTH.title].modes
        if truth is None:
            raise RuntimeError("the mode search on the exact prior found no modes")
        n = _REAL
        rng = Streams(plan.seed, step=1)
        samples = exact.sample(n, rng, None if plan.cond is None else plan.cond.expand(n))
        middle = math.sqrt(plan.bandwidth * 1.0)
        rows = []
        for index, entry in enumerate(plan.entries):
            yield Progress("scoring", index, len(plan.entries))
            rows.append(_row(plan, task, outcomes[entry.name], truth, samples, middle))
        yield Progress("scoring", len(rows), len(rows))
    table = Table(COLUMNS, tuple(rows))
    return Toy2DResult(plan, tuple(outcomes[c.name] for c in plan.entries), truth, samples, table, middle)


def _collect_outcomes(
    runs: Generator[tuple[str, Progress], None, dict[str, Any]], entries: Mapping[str, ToyEntry]
) -> Generator[Progress, None, dict[str, ToyOutcome]]:
    """Yields the progress of entries that run in processes; returns their outcomes."""
    while True:
        try:
            name, progress = next(runs)
        except StopIteration as end:
            return {name: outcome_from_dict(entries[name], data) for name, data in end.value.items()}
        yield replace(progress, stage=name)


def _row(plan: Toy2DPlan, task: ToyTask, outcome: ToyOutcome, truth: Modes, samples: Tensor, middle: float) -> Row:
    z, h = outcome.z, plan.bandwidth
    wide = None if plan.cond is None else plan.cond.expand(len(z))
    precision, recall = metrics.precision_recall(samples, z)
    values = {
        "nll": metrics.nll(plan.problem.prior, z, cond=wide).mean().item(),
        "precision": precision,
        "recall": recall,
        "mmd": metrics.mmd(samples, z),
        "distance": metrics.mode_distance(z, truth.z).median().item() / h,
        "coverage": metrics.mode_coverage(z, truth, h / 2),
        "found": float((metrics.mode_distance(truth.z, z) <= h / 2).sum()),
        "spread": _spread(z, truth) / _spread(samples, truth),
        "calls": outcome.calls,
        "seconds": outcome.seconds,
    }
    if outcome.updates:
        values["lessons"] = outcome.updates
    if outcome.converged is not None:
        values["done"] = outcome.converged
    algorithm = outcome.entry.algorithm(task)
    if isinstance(algorithm, Descent) and plan.scale == 1:
        n, repeats = _PROBES
        cond = None if plan.cond is None else plan.cond.expand(n)
        z = samples[:n] + middle * torch.randn(n, 2, generator=torch.Generator().manual_seed(plan.seed), dtype=z.dtype)
        error = measure_direction(
            algorithm.method,
            task.prior,
            plan.problem.prior,
            z,
            middle,
            repeats,
            cond=cond,
            rng=Streams(plan.seed, step=2),
        )
        if error is not None:
            values |= {"bias": error.bias, "variance": error.variance, "nmse": error.nmse}
    return Row(outcome.entry.name, values, reference=not isinstance(algorithm, Descent))


def _spread(z: Tensor, modes: Modes) -> float:
    """Mean squared distance to the nearest mode."""
    return metrics.mode_distance(z, modes.z).square().mean().item()
