"""HTML report of the text-to-3D experiment."""

from __future__ import annotations

from dataclasses import replace

from modeseek.experiments.text_to_3d.jobs import ShapeResults
from modeseek.experiments.text_to_3d.metrics import METRICS
from modeseek.experiments.text_to_3d.plan import TextTo3D
from modeseek.reports.results_files import ExperimentResult
from modeseek.reports.results_page import ImageSection, ResultsPage, TableSection, write_results_page
from modeseek.reports.table import Column, Row, Table
from modeseek.rundir.run_dir import Run

_SHOWN = ("iou", "right", "delta_e", "psnr", "saturation", "true_saturation", "fronts", "fronts_judged",
          "watertight", "seconds")  # fmt: skip
_METRICS = (
    "↓ lower is better, ↑ higher is better; bold: best method. In italics: the ground truth, scored by the same scene "
    "classifier, which makes mistakes.",
    "Intervals hold 95 % of the means of resampled runs; there is none where all values are equal. Rows over fewer "
    "captions are not comparable: the sentences above compare equal captions and seeds, and one in twenty such "
    "comparisons of equal methods excludes 0 by chance.",
)
_FRONTS = "Only captions with a front face. Without view conditioning the ground truth is rotated to its best fit."
_COSTS = (
    "A prior call is one evaluation for one view; a guided evaluation is two. All methods have the same budget, so "
    "more calls per step mean fewer steps. The auxiliary network of VSD counts in the seconds only."
)
_SHEET = (
    "A row per caption, a column per method, the ground truth first; of each shape the front and right view, below "
    "them the back and left view, of the first seed."
)
_LOOK = (
    "Look for front faces that appear twice or not at all, haze around the shape, oversaturated or faint colours, and "
    "missing parts."
)
_RESUME = "To resume, rerun the command with the same --out; plays/ holds a run and a mesh of each shape."
_COST_COLUMNS = (
    Column("steps", "Steps", "Number of optimisation steps.", ".0f"),
    Column("each", "Calls per step and view", "Prior calls of a step for one view.", ".0f"),
    Column("first", "Calls before", "Prior calls for one view before the first step.", ".0f"),
    Column("calls", "Calls per run", "Prior calls of a run, all views.", ",.0f"),
)


def write_report(
    run: Run, plan: TextTo3D, result: ExperimentResult, results: ShapeResults, sheet: bytes, turntables: bytes
) -> None:
    """Writes `report.html`: metrics, images, missing results, costs, methods, settings, sources.

    Args:
        run: run folder that receives the report.
        plan: the plan.
        result: tables and findings.
        results: measures of each job.
        sheet: contact sheet, PNG bytes.
        turntables: turntables of all shapes, GIF bytes.
    """
    (fronts,) = result.more.values()
    tables = [
        TableSection("Front faces with and without view conditioning", fronts, result.titles, [_FRONTS]),
        TableSection("Costs", _costs(plan), result.titles, [_COSTS]),
        TableSection("Runs", _runs(plan, results), corner="Caption, method, view conditioning, seed", folded=True),
    ]
    page = ResultsPage(
        title="Text to 3D under " + ("the exact prior of renders" if plan.exact else plan.prior),
        findings=result.findings,
        metrics=TableSection("Metrics", result.table, result.titles, _METRICS),
        images=[
            ImageSection("Images", sheet, _SHEET, _LOOK),
            ImageSection("Turntables", turntables, "The same shapes, rotating together.", kind="gif"),
        ],
        caveats=result.missing,
        tables=[section for section in tables if section.table.rows],
        entries=list(plan.entries),
        prompts=plan.captions,
        note=_RESUME,
        sources=["msd", *([] if plan.guidance == 1 else ["guidance"])],
    )
    write_results_page(run, page)


def _costs(plan: TextTo3D) -> Table:
    rows = []
    for variant in plan.variants:
        first, each = plan.calls(variant.entry, plan.conditionings[0])
        steps = plan.steps_of(variant.entry, plan.conditionings[0])
        values = {"steps": steps, "each": each, "first": first, "calls": (first + each * steps) * plan.views}
        rows.append(Row(variant.name, {key: float(value) for key, value in values.items()}))
    return Table(_COST_COLUMNS, tuple(rows))


def _runs(plan: TextTo3D, results: ShapeResults) -> Table:
    """Measures of each run, none marked best: they are of different captions."""
    columns = [replace(column, best="") for key in _SHOWN for column in METRICS if column.key == key]
    names = [
        f"{plan.captions[job.caption]}, {job.variant.title}, {job.conditioning.name}, {job.seed}"
        for job in (result.job for result in results)
    ]
    rows = [Row(name, dict(result.measures)) for name, result in zip(names, results, strict=True)]
    return Table(tuple(columns), tuple(rows))
