"""Tuning of learning rates on prompts and seeds of their own; what was chosen is kept in a file."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from modeseek.experiments.common.entries import Entry
from modeseek.experiments.common.tuning import FILE, Trial, Tuned, read_tuning, write_tuning
from modeseek.experiments.quality.plan import Cell, Quality, Tuning
from modeseek.experiments.quality.runner import BatchRunner
from modeseek.io.progress import Progress
from modeseek.reports.table import Column, Row, Table

_COLUMNS = (
    Column("lr", "Rate", "Learning rate of Adam, chosen.", "g"),
    Column("fall", "Fall", "Final learning rate relative to the first, chosen; 1 is constant.", "g"),
    Column("default_lr", "Untuned rate", "Learning rate without tuning.", "g"),
    Column("default_fall", "Untuned fall", "Fall without tuning.", "g"),
    Column("at", "At calls", "Budget of the tuning, prior calls per image.", ".0f"),
)


@dataclass(frozen=True)
class TunedEntry(Tuned):
    """Settings chosen for a method.

    Attributes:
        budget: prior calls per image of its trials.
    """

    budget: int


def tune(plan: Quality, tuning: Tuning, runner: BatchRunner) -> Generator[Progress, None, dict[str, TunedEntry]]:
    """Tunes every method of the plan that the file of the run does not hold yet; returns the settings by method.

    First every rate with the method's own fall, then the other falls with the best rate. A method all of whose runs
    fail has no settings, and is tuned again in the next session.

    Args:
        plan: the plan.
        tuning: settings that are tried.
        runner: runner of the batches.
    """
    path, columns = runner.run.path / FILE, runner.scorer.columns
    tuned = read_tuning(path, TunedEntry)
    pending = [entry for entry in plan.entries if entry.name not in tuned]
    cells = {
        entry.name: [_cell(plan, tuning, entry, rate, entry.fall) for rate in dict.fromkeys((entry.lr, *tuning.rates))]
        for entry in pending
    }
    scores = yield from _try(cells, plan, tuning, runner)
    for entry in pending:
        ranked = _rank(cells[entry.name], scores, columns[0])
        falls = [fall for fall in tuning.falls if fall != entry.fall] if ranked else []
        cells[entry.name] += [_cell(plan, tuning, entry, ranked[0].entry.lr, fall) for fall in falls]
    scores = yield from _try(cells, plan, tuning, runner)
    for entry in pending:
        ranked = _rank(cells[entry.name], scores, columns[0])
        trials = [Trial(cell.entry.lr, cell.entry.fall, scores[cell.name]) for cell in ranked]
        default = [trial for trial in trials if (trial.lr, trial.fall) == (entry.lr, entry.fall)]
        if trials:
            tuned[entry.name] = TunedEntry(tuple(trials), default[0] if default else None, ranked[0].budget)
    write_tuning(path, tuned)
    return tuned


def tuning_table(tuned: Mapping[str, TunedEntry], main: Column) -> Table:
    """Chosen settings and their score beside those without tuning, a row per method.

    Args:
        tuned: chosen settings by method.
        main: main score.
    """
    scores = (
        replace(main, key="tuned", meaning="Score of the chosen settings on the prompts of the tuning."),
        replace(main, key="default", heading=f"{main.heading}, untuned",
                meaning="Score of the settings without tuning, on the same prompts.", best=""),
    )  # fmt: skip
    rows = []
    for name, entry in tuned.items():
        best = entry.best
        values = {"lr": best.lr, "fall": best.fall, "tuned": best.score, "at": float(entry.budget)}
        if entry.default is not None:
            default = entry.default
            values |= {"default_lr": default.lr, "default_fall": default.fall, "default": default.score}
        rows.append(Row(name, values))
    return Table((*scores, *_COLUMNS), tuple(rows))


def _cell(plan: Quality, tuning: Tuning, entry: Entry, lr: float, fall: float) -> Cell:
    """Cell of a trial, at the budget of the tuning or at the least one that the method can use."""
    name = f"tune-{entry.name}-lr{lr:g}-fall{fall:g}"
    budget = max(tuning.budget, plan.least_budget(entry))
    return plan.cell(replace(entry, lr=lr, fall=fall), budget, name)


def _try(
    cells: Mapping[str, Sequence[Cell]], plan: Quality, tuning: Tuning, runner: BatchRunner
) -> Generator[Progress, None, dict[str, float]]:
    """Mean main score by name of the cell; cells whose run fails are left out."""
    jobs = [job for own in cells.values() for cell in own for job in runner.jobs(*plan.tuning_jobs_of(cell, tuning))]
    groups, _ = yield from runner.finish(jobs, tuning.prompts)
    key = runner.scorer.columns[0].key
    return {name: torch.cat([batch.values[key] for batch in found]).mean().item() for name, found in groups.items()}


def _rank(cells: Sequence[Cell], scores: Mapping[str, float], main: Column) -> list[Cell]:
    """Cells with a score, the best first."""
    found = [cell for cell in cells if cell.name in scores]
    return sorted(found, key=lambda cell: scores[cell.name], reverse=main.best == "high")
