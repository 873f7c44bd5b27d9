"""Files of the experiment on quality against calls: tables, curves, contact sheets and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from modeseek.experiments.quality.comparison import comparison_table
from modeseek.experiments.quality.entries import BASELINE, ENTRIES
from modeseek.experiments.quality.figures import draw_curves, draw_sheet, shown_budgets
from modeseek.experiments.quality.findings import caveats, summarise
from modeseek.experiments.quality.measure import COLUMNS, ScoredCell, image_table
from modeseek.experiments.quality.plan import Quality
from modeseek.experiments.quality.scorers import Scorer
from modeseek.experiments.quality.tuning import TunedEntry, tuning_table
from modeseek.io.atomic import write_atomic
from modeseek.reports.results_files import ExperimentResult, write_experiment
from modeseek.reports.results_page import ImageSection, ResultsPage, TableSection, write_results_page
from modeseek.reports.table import Column, Table
from modeseek.rundir.run_dir import Run

_BASE = ENTRIES[BASELINE].title
_METRICS = (
    "↓ lower is better, ↑ higher is better. In italics: DDIM samples. Intervals are 95 % bootstrap intervals over "
    "prompts. A prior call is one evaluation of the network for one image; a guided evaluation is two."
)
_AGAINST = "Differences of images of equal prompt and seed; an interval that holds 0 shows no difference."
_TUNED = "Tuned on other prompts and seeds than those that are compared; the chosen settings are used everywhere."
_CURVES = (
    f"Solid: the method; dashed, grey: {_BASE}; bands: 95 % intervals over prompts; dotted: samples of the prior. "
    "Curves of the worst methods may leave the frame."
)
_SHEET = "A row per prompt, a column per method, the first seed of each; on the left samples of the prior."
_RESUME = "To resume, rerun the command with the same --out; finished images and their scores are reused."


def write_quality_results(
    plan: Quality,
    run: Run,
    scorer: Scorer,
    cells: Sequence[ScoredCell],
    tuned: Mapping[str, TunedEntry],
    failures: Sequence[str],
) -> ExperimentResult:
    """Writes the results of all finished batches: `exports/`, `media/`, `metrics.jsonl` and `report.html`.

    Args:
        plan: the plan, with the chosen learning rates.
        run: run folder of the experiment.
        scorer: scorer of the images.
        cells: measured cells, the samples first; at least one of a method.
        tuned: chosen learning rates by method; empty without tuning.
        failures: a sentence on each method and budget whose run failed.
    """
    scores = scorer.columns
    table = Table((*scores, *COLUMNS), tuple(cell.row(scores, plan.updates(cell.cell)) for cell in cells))
    against, chosen = comparison_table(cells, BASELINE, scores), tuning_table(tuned, scores[0])
    titles = {entry.name: entry.title for entry in plan.entries}
    titles |= {cell.cell.name: f"{cell.cell.entry.title}, {cell.cell.budget} calls" for cell in cells}
    result = ExperimentResult(
        run.path,
        table,
        summarise(plan, cells, scores[0]),
        titles,
        (*failures, *caveats(plan, cells, tuned)),
        {f"Against {_BASE}": against, "Tuning": chosen},
    )
    images = _draw(plan, run, scores, cells)
    write_atomic(run.path / "exports" / "images.csv", image_table(cells, scores))
    prompts = [prompt.text for prompt in plan.prompts]
    facts = {
        "prompts": prompts,
        "rates": {entry.name: {"lr": entry.lr, "fall": entry.fall} for entry in plan.entries},
        "tuning": {name: asdict(entry) for name, entry in tuned.items()},
        "against": {row.name: row.values for row in against.rows},
    }
    title = f"Quality against calls under {plan.prior_config.title}"
    write_experiment(run, title, result, facts)
    tables = [(f"Against {_BASE}", against, _AGAINST), ("Tuning", chosen, _TUNED)]
    page = ResultsPage(
        title,
        result.findings,
        TableSection("Metrics", table, titles, [_METRICS]),
        images,
        result.missing,
        [TableSection(heading, found, titles, [note]) for heading, found, note in tables if found.rows],
        plan.entries,
        prompts,
        _RESUME,
        ["ddim", *["guidance"] * (plan.scale != 1), *["fourier-features"] * (plan.generator == "field")],
    )
    write_results_page(run, page)
    return result


def _draw(plan: Quality, run: Run, scores: Sequence[Column], cells: Sequence[ScoredCell]) -> list[ImageSection]:
    """Writes curves and contact sheets into `media/`, and returns them as sections of the page."""
    sections = []
    for column in scores:
        png = draw_curves(plan, cells, column)
        write_atomic(run.path / "media" / f"curves-{column.key}.png", png)
        sections.append(ImageSection(f"{column.heading} against calls", png, _CURVES))
    budgets = shown_budgets([cell for cell in cells if cell.has_images])
    for path in (run.path / "media").glob("sheet-*.png"):
        path.unlink()  # of budgets that were shown before more of them were finished
    for budget in budgets:
        png = draw_sheet(plan, cells, budget)
        write_atomic(run.path / "media" / f"sheet-{budget}.png", png)
        sections.append(ImageSection(f"Images after {budget} calls", png, _SHEET))
        if budget == budgets[len(budgets) // 2]:
            write_atomic(run.path / "media" / "sheet.png", png)
    return sections
