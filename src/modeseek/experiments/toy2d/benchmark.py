"""Run of a toy benchmark at equal prior calls: prior, entries in parallel, scores, figures, report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor

from modeseek.experiments.toy2d.entries import ToyEntry, ToyOutcome, ToyTask
from modeseek.experiments.toy2d.train_prior import PriorRecipe, train_network
from modeseek.io.process_pool import run_in_processes
from modeseek.io.progress import Progress, relay
from modeseek.io.thread_pool import single_threaded
from modeseek.metrics.bootstrap import Estimate
from modeseek.priors.base import Prior
from modeseek.priors.guidance import check_scale
from modeseek.reports.metric import Metric, evaluate
from modeseek.reports.results_files import ExperimentResult, RunRecord, write_metrics, write_results
from modeseek.reports.results_page import ImageSection, ResultsPage, TableSection, write_results_page
from modeseek.reports.table import Row, Table, row_values
from modeseek.rundir.run_dir import Run
from modeseek.runs.session import run_session

MOVING = ("sds", "sdi", "msd")  # entries of the animations
Subject = TypeVar("Subject")


def metric(
    key: str,
    heading: str,
    meaning: str,
    spec: str,
    value: Callable[[Subject], float | None],
    best: Literal["low", "high", ""] = "",
    references: tuple[str, ...] = (),
) -> Metric[Subject]:
    """Metric without an interval; its value is None where it does not apply."""

    def estimate(subject: Subject) -> Estimate | None:
        number = value(subject)
        return None if number is None else Estimate(float(number))

    return Metric(key, heading, meaning, spec, best, references, evaluate=estimate)


COSTS: tuple[Metric[ToyOutcome], ...] = (
    metric("done", "Done", "Share of the points that the method itself declares converged (by its relative shift).",
           ".2f", lambda outcome: outcome.converged),
    metric("calls", "Calls", "Prior calls per point or image.", ".0f", lambda outcome: outcome.calls),
    metric("lessons", "Updates", "Updates of an auxiliary network; they are no prior calls.", ".0f",
           lambda outcome: outcome.updates or None),
    metric("seconds", "Seconds", "Run time on one core.", ".1f", lambda outcome: outcome.seconds),
)  # fmt: skip
_NOTE = "↓ lower is better, ↑ higher is better; bold: best of the gradient-based methods. In italics: references."
Job = Callable[[], Generator[Progress, None, Any]]


MAX_BUDGET = 10**9  # prior calls per point


@dataclass(frozen=True)
class ToyPlan(ABC):
    """Plan of a toy benchmark.

    Attributes:
        problem: distribution or data set with a known density.
        entries: methods that are compared.
        budget: prior calls per point.
        seed: random seed.
        label: target class; "each" assigns the classes to the starts in turn; None is unconditional.
        scale: guidance scale; 1 is none.
        bandwidth: last kernel bandwidth h; None is that of the problem.
        known_entries: entries that `modeseek toy` compares, by name.
        recipe: training recipe of a learned prior.
    """

    known_entries: ClassVar[Mapping[str, ToyEntry]]
    recipe: ClassVar[PriorRecipe]
    problem: Any
    entries: tuple[ToyEntry, ...]
    budget: int
    seed: int = 0
    label: int | Literal["each"] | None = None
    scale: float = 1.0
    bandwidth: float | None = None

    def __post_init__(self) -> None:
        check_scale(self.scale)
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must be in [0, 2^63), got {self.seed}")
        if self.budget > MAX_BUDGET:
            raise ValueError(
                f"budget must be at most {MAX_BUDGET:,} prior calls per point, got {self.budget}; try 20000"
            )

    @property
    def derived_settings(self) -> dict[str, Any]:
        """Settings that follow from the others, for the record of the run."""
        return {}

    @abstractmethod
    def task(self, prior: Prior) -> ToyTask:
        """Task of the entries."""

    @abstractmethod
    def training_data(self) -> tuple[Tensor, Tensor | None]:
        """Samples to train a network on, and their labels where it needs classes."""

    @abstractmethod
    def run(self, prior: Prior) -> Generator[Progress, None, ToyResult]:
        """Runs all entries on the prior and scores them against the ground truth."""

    def check(self) -> None:
        """Raises the ValueError that the run would raise, without any work."""
        task = self.task(self.problem.prior)
        for entry in self.entries:
            entry.check(task)


class ReportFigure(NamedTuple):
    """Figure of a report: file name, title, caption, and the function that draws it into a file."""

    file: str
    title: str
    caption: str
    draw: Callable[[Path], None]


@dataclass(frozen=True)
class ToyResult:
    """Result of a toy benchmark.

    Attributes:
        outcomes: outcomes in the order of the table.
        table: metrics, a row per entry.
        facts: further numbers of `results.json`.
        findings: summary of the table, a sentence each.
        drawings: figures of the report.
        sources: citation keys of the problem and the metrics.
    """

    outcomes: tuple[ToyOutcome, ...]
    table: Table
    facts: dict[str, Any]
    findings: tuple[str, ...]
    drawings: tuple[ReportFigure, ...]
    sources: tuple[str, ...]


def run_benchmark(
    plan: ToyPlan, prior: Prior | PriorRecipe, run: Run, title: str, save: Path | None = None
) -> Generator[Progress, None, ExperimentResult]:
    """Trains the prior if it is a recipe, runs the benchmark and writes the results to the run folder.

    A trained network is saved to `exports/network`, and to `save` if given. Call `plan.check` first, before the folder
    of the run is created.

    Raises:
        OSError: the folder cannot be written to.
    """
    with run_session(run):
        if isinstance(prior, PriorRecipe):
            prior = network = yield from train_network(*plan.training_data(), prior, plan.seed)
            for folder in filter(None, (run.path / "exports" / "network", save)):
                network.save(folder)
        result = yield from plan.run(prior)
        table, findings, media = result.table, result.findings, run.path / "media"
        with single_threaded():
            for index, drawing in enumerate(result.drawings):
                yield Progress("drawing", index, len(result.drawings))
                drawing.draw(media / drawing.file)
        write_metrics(run, table)
        record = RunRecord(title, run.command, run.settings | plan.derived_settings)
        write_results(run.path / "exports", record, table, result.facts | {"findings": list(findings)})
        write_report(run, title, plan, result)
        yield Progress("drawing", len(result.drawings), len(result.drawings))
    titles = {outcome.entry.name: outcome.entry.title for outcome in result.outcomes}
    return ExperimentResult(run.path, table, findings, titles)


def write_report(run: Run, title: str, plan: ToyPlan, result: ToyResult) -> None:
    """Writes `report.html`; the figures lie in `media/`."""
    entries = [outcome.entry for outcome in result.outcomes]
    notes = [_NOTE, *(f"{name.capitalize()}: {value}." for name, value in plan.derived_settings.items())]
    metrics = TableSection("Metrics", result.table, {entry.name: entry.title for entry in entries}, notes)
    images = [ImageSection.read(run.path / "media" / d.file, d.title, d.caption) for d in result.drawings]
    sources = [*result.sources, *(["guidance"] if plan.scale != 1 else [])]
    write_results_page(run, ResultsPage(title, result.findings, metrics, images, entries=entries, sources=sources))


def run_entries(
    entries: Sequence[ToyEntry], task: ToyTask, others: Mapping[str, Job] | None = None
) -> Generator[Progress, None, tuple[dict[str, ToyOutcome], dict[str, Any]]]:
    """Runs all entries, and other jobs by their stage, in parallel processes; returns outcomes and other results."""
    jobs: dict[str, Job] = {**(others or {}), **{entry.name: partial(_run_entry, entry, task) for entry in entries}}
    for name in jobs:
        yield Progress(name, 0, 1)
    results = yield from relay(run_in_processes(jobs), itemgetter(1))
    outcomes = {}
    for entry in entries:
        values = results.pop(entry.name)
        tensors = {name: torch.from_numpy(values[name]) for name in ("z", "trajectory")}
        outcomes[entry.name] = ToyOutcome(**values | tensors | {"entry": entry})
    return outcomes, results


def _run_entry(entry: ToyEntry, task: ToyTask) -> Generator[Progress, None, dict[str, Any]]:
    """Outcome as numbers and NumPy arrays: the memory of a tensor may end with the process that sends it."""
    outcome = yield from entry.run(task)
    return vars(outcome) | {"entry": None, "z": outcome.z.numpy(), "trajectory": outcome.trajectory.numpy()}


def score_outcome(outcome: ToyOutcome, quality: Mapping[str, Estimate]) -> Row:
    """Row of an outcome: metrics of its quality, and its costs."""
    entry = outcome.entry
    return Row(entry.name, row_values({**quality, **evaluate(COSTS, outcome)}), reference=entry.descends is None)
