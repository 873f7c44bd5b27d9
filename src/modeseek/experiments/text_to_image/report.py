"""HTML report of the text-to-image experiment."""

from __future__ import annotations

from collections.abc import Sequence

from modeseek.experiments.text_to_image.plan import TextToImage
from modeseek.reports.results_page import ImageSection, ResultsPage, TableSection, write_results_page
from modeseek.reports.table import Column, Row, Table
from modeseek.rundir.run_dir import Run

_METRICS = (
    "↓ lower is better, ↑ higher is better; bold: best method. In italics: DDIM, the reference. Intervals are 95 % "
    "bootstrap intervals over images (over prompts for CLIP)."
)
_COSTS = (
    "A prior call is one evaluation of the network for one image; a guided evaluation is two. Seconds are the run time "
    "of a batch divided by its images."
)
_LOOK = "Look for oversaturated colours, blur, and near-identical images of one prompt: mode seeking costs diversity."
_RESUME = "To resume, rerun the command with the same --out; all jobs are measured again."
_COLUMNS = (
    Column("scale", "Guidance", "Scale of classifier-free guidance; 1 is none.", "g"),
    Column("steps", "Steps", "Number of optimisation or sampling steps.", ".0f"),
    Column("each", "Calls per step", "Prior calls of a step.", ".0f"),
    Column("first", "Calls before", "Prior calls before the first step.", ".0f"),
    Column("calls", "Calls per image", "Prior calls in all, as counted.", ".0f"),
    Column("seconds", "Seconds per image", "Run time of a batch divided by its images.", ".3g"),
)


def write_report(
    run: Run, plan: TextToImage, table: Table, sheet: bytes, findings: Sequence[str], missing: Sequence[str]
) -> None:
    """Writes `report.html`: metrics, images, missing results, costs, methods, settings, sources.

    Args:
        run: run folder that receives the report.
        plan: the plan.
        table: metrics, a row per entry.
        sheet: contact sheet, PNG bytes.
        findings: summary of the table, a sentence each.
        missing: missing results and caveats, a sentence each.
    """
    titles = {entry.name: entry.title for entry in plan.entries}
    seeds = f", {min(3, plan.seeds)} seeds side by side" if plan.seeds > 1 else ""
    sources = ["msd", *(["guidance"] if any(scale != 1 for scale in plan.scales.values()) else [])]
    page = ResultsPage(
        title=f"Text to image under {plan.prior_config.title}",
        findings=findings,
        metrics=TableSection("Metrics", table, titles, [_METRICS]),
        images=[ImageSection("Images", sheet, f"A row per prompt, a column per method{seeds}.", _LOOK)],
        caveats=missing,
        tables=[TableSection("Costs", _costs(plan, table), titles, [_COSTS])],
        entries=plan.entries,
        prompts=plan.prompts,
        note=_RESUME,
        sources=[*sources, *(["fourier-features"] if plan.generator == "field" else [])],
    )
    write_results_page(run, page)


def _costs(plan: TextToImage, table: Table) -> Table:
    """Steps and prior calls of the entries that have finished."""
    measured, rows = {row.name: row.values for row in table.rows}, []
    for entry in plan.entries:
        if entry.name in measured:
            first, each = plan.calls(entry)
            values = {"scale": plan.scales[entry.name], "steps": plan.steps_of(entry), "each": each, "first": first}
            values |= {key: measured[entry.name][key] for key in ("calls", "seconds")}
            rows.append(Row(entry.name, {key: float(value) for key, value in values.items()}))
    return Table(_COLUMNS, tuple(rows))
