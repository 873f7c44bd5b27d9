"""Curves and contact sheets of the experiment on quality against calls."""

from __future__ import annotations

from collections.abc import Sequence

from modeseek.experiments.quality.entries import BASELINE
from modeseek.experiments.quality.measure import ScoredCell
from modeseek.experiments.quality.plan import Quality
from modeseek.io.images import read_images
from modeseek.reports.contact_sheet import ContactSheet, Tile, tile_side
from modeseek.reports.interval_panels import IntervalCurve, IntervalPanels, draw_interval_panels
from modeseek.reports.table import Column

_ROWS = 12  # prompts on a contact sheet


def draw_curves(plan: Quality, cells: Sequence[ScoredCell], column: Column) -> bytes:
    """PNG of a score against prior calls, a panel per method, with the baseline and the samples."""
    curves = {
        entry.name: _curve([cell for cell in cells if cell.cell.entry.name == entry.name], column)
        for entry in plan.entries
        if any(cell.cell.entry.name == entry.name for cell in cells)
    }
    samples = [cell for cell in cells if cell.cell.entry.make is None]
    levels = [(cell.mean(column.key).value, _title(cell)) for cell in samples[-1:]]
    others = [curve for name, curve in curves.items() if name != BASELINE]
    return draw_interval_panels(
        IntervalPanels(
            others or list(curves.values()),
            curves.get(BASELINE),
            levels,
            "Prior calls per image",
            column.heading + column.arrow,
            column.best,
            tuple(map(float, plan.budgets)),
        )
    )


def shown_budgets(cells: Sequence[ScoredCell]) -> list[int]:
    """A small, a middle and the largest budget of the methods' cells."""
    budgets = sorted({cell.cell.budget for cell in cells if cell.cell.entry.make is not None})
    return sorted({budgets[0], budgets[len(budgets) // 2], budgets[-1]}) if budgets else []


def draw_sheet(plan: Quality, cells: Sequence[ScoredCell], budget: int) -> bytes:
    """PNG contact sheet at one budget: prompts down, samples and methods across, the first seed of each.

    Methods whose images are no longer there are left out.
    """
    cells = [cell for cell in cells if cell.has_images]
    samples = [cell for cell in cells if cell.cell.entry.make is None][-1:]
    columns = [*samples, *(c for c in cells if c.cell.budget == budget and c.cell.entry.make is not None)]
    files = [
        {
            item: path
            for batch in cell.batches
            for item, path in zip(batch.result.batch.items, batch.result.images, strict=True)
        }
        for cell in columns
    ]
    prompts = [k for k in range(len(plan.prompts)) if all((k, 0) in own for own in files)][:_ROWS]
    sheet = ContactSheet(
        ([[Tile(read_images([own[k, 0]])[0])] for own in files] for k in prompts),
        [_title(cell) if cell.cell.entry.make is None else cell.cell.entry.title for cell in columns],
        [plan.prompts[k].text for k in prompts],
        side=tile_side(len(columns), most=128, least=96),
        font=13,
        label_width=150,
        gap=8,
    )
    return sheet.png()


def _curve(cells: Sequence[ScoredCell], column: Column) -> IntervalCurve:
    means = [cell.mean(column.key) for cell in cells]
    edges = [mean.interval or (mean.value, mean.value) for mean in means]
    return IntervalCurve(
        cells[0].cell.entry.title,
        tuple(cell.calls for cell in cells),
        tuple(mean.value for mean in means),
        tuple(low for low, _ in edges),
        tuple(high for _, high in edges),
    )


def _title(cell: ScoredCell) -> str:
    return f"{cell.cell.entry.title}, {cell.cell.steps} steps"
