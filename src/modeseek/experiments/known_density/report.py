"""Files of the comparison: tables of the contests, chosen settings, figures and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from modeseek.experiments.known_density.findings import summarise
from modeseek.experiments.known_density.jobs import Clouds2D
from modeseek.experiments.known_density.measure import columns
from modeseek.experiments.known_density.plan import Benchmark, Contest
from modeseek.experiments.known_density.tuning import Choices, chosen_setting
from modeseek.experiments.toy2d.entries import ToyOutcome
from modeseek.experiments.toy2d.figures.panels import draw_panels
from modeseek.experiments.toy2d.objective_grid import log_density
from modeseek.experiments.toy2d.toy2d_metrics import GroundTruth
from modeseek.reports.results_files import ExperimentResult, write_experiment
from modeseek.reports.results_page import ImageSection, ResultsPage, TableSection, write_results_page
from modeseek.reports.table import Column, Row, Table
from modeseek.rundir.run_dir import Run

HEADINGS: Mapping[Contest, str] = {
    "calls": "At equal prior calls",
    "steps": "At equal steps",
    "samples": "As samplers, at equal prior calls",
    "edits": "Edits",
}
SETTINGS = "Chosen settings"
SETTING_COLUMNS = (
    Column("tuned", "Chosen", "Score with the chosen setting on the seeds of the tuning.", ".3f"),
    Column("default", "Default", "Score with the default setting on the seeds of the tuning.", ".3f"),
    Column("tried", "Settings", "Number of settings that were tried and did not diverge.", ".0f"),
)
_PIXELS = 320  # side of the density image
_NOTES = (
    "Sorted by the first column. Every method has the optimizer, learning rate and fall with the lowest NLL on other "
    "seeds (as samplers: the least law error); the second column is without tuning. Intervals: 95 %, over seeds.",
    "↓ lower is better, ↑ higher is better; bold: best of the gradient-based methods. In italics: references.",
)
_CAPTION = (
    "End points (dots) and some trajectories (lines) of the first seed over the true log density. All methods start "
    "from the same points, except DDIM, which starts from noise, and find_modes, which starts from samples."
)


@dataclass(frozen=True)
class Contestants:
    """Results of one contest.

    Attributes:
        table: the table, sorted by its main metric.
        shown: result that each row shows, by name.
        failures: a sentence on each method without a result.
    """

    table: Table
    shown: Mapping[str, Clouds2D]
    failures: tuple[str, ...]


def write_benchmark(
    plan: Benchmark, run: Run, truth: GroundTruth, contests: Mapping[Contest, Contestants], tuned: Choices
) -> ExperimentResult:
    """Writes `exports/`, `media/`, `metrics.jsonl` and `report.html`.

    Args:
        plan: the plan.
        run: run folder.
        truth: ground truth of the sampling contests.
        contests: results by contest; at least one.
        tuned: chosen settings.
    """
    entries = {entry.name: entry for entry in plan.base.entries}
    settings, titles = settings_table(tuned, {name: entry.title for name, entry in entries.items()})
    main, *others = contests
    findings = summarise(plan, {contest: found.table for contest, found in contests.items()}, titles)
    more = {HEADINGS[contest]: contests[contest].table for contest in others} | {SETTINGS: settings}
    missing = tuple(line for found in contests.values() for line in found.failures)
    result = ExperimentResult(run.path, contests[main].table, findings, titles, missing, more)
    images = [_panels(plan, run, truth, contests[contest], contest) for contest in contests if contest != "edits"]
    facts: dict[str, Any] = {
        "bandwidth": truth.h,
        "true_modes": len(truth.modes.z),
        "seeds": plan.seeds,
        "contests": {
            contest: {row.name: row.values for row in found.table.rows} for contest, found in contests.items()
        },
        "chosen": {f"{contest}/{name}": asdict(choice.best) for (contest, name), choice in tuned.items()},
        "titles": titles,
    }
    title = f"Every method on the {plan.problem.name}"
    write_experiment(run, title, result, facts)
    sections = [TableSection(heading, table, titles, folded=heading == SETTINGS) for heading, table in more.items()]
    page = ResultsPage(
        title,
        findings,
        TableSection(HEADINGS[main], contests[main].table, titles, _NOTES),
        images,
        missing,
        [section for section in sections if section.table.rows],
        list(entries.values()),
        note="To resume, rerun the command with the same --out; finished runs are reused.",
        sources=["guidance"] * (plan.base.scale != 1),
    )
    write_results_page(run, page)
    return result


def contest_table(contest: Contest, rows: Mapping[str, Mapping[str, float]], references: Sequence[str]) -> Table:
    """Table of a contest from the values of its rows, in their order."""
    return Table(columns(contest), tuple(Row(name, dict(own), name in references) for name, own in rows.items()))


def settings_table(tuned: Choices, titles: Mapping[str, str]) -> tuple[Table, dict[str, str]]:
    """Table of the chosen settings, and the titles of its rows and of those given."""
    rows, named = [], dict(titles)
    for (contest, name), choice in tuned.items():
        row = f"{contest}/{name}"
        named[row] = f"{titles[name]}, {HEADINGS[contest].lower()}: {chosen_setting(choice).title}"
        values = {"tuned": choice.best.score, "tried": float(len(choice.trials))}
        if choice.default is not None:
            values["default"] = choice.default.score
        rows.append(Row(row, values))
    return Table(SETTING_COLUMNS, tuple(rows)), named


def _panels(plan: Benchmark, run: Run, truth: GroundTruth, found: Contestants, contest: Contest) -> ImageSection:
    extent = plan.problem.extent
    field = log_density(
        plan.problem.prior, torch.linspace(-extent, extent, _PIXELS, dtype=torch.float64), cond=truth.cond
    )
    entries = {entry.name: entry for entry in plan.base.entries}
    outcomes = [
        ToyOutcome(entries[name], result.z[0], result.trajectory, result.calls, result.seconds)
        for name, result in found.shown.items()
    ]
    path = run.path / "media" / f"panels-{contest}.png"
    draw_panels(truth.modes, outcomes, found.table, field, extent, path)
    return ImageSection.read(path, f"End points, {HEADINGS[contest].lower()}", _CAPTION)
