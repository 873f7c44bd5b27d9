"""Files of the experiment on restoration: tables, the contact sheet and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modeseek.experiments.restoration.findings import edges, summarise
from modeseek.experiments.restoration.measure import MAIN, table
from modeseek.experiments.restoration.plan import Restoration, RestorationCell
from modeseek.experiments.restoration.problem import Problem
from modeseek.experiments.restoration.restored import Restored
from modeseek.experiments.restoration.restorers import Restorer
from modeseek.io.atomic import write_atomic
from modeseek.reports.contact_sheet import ContactSheet, Tile
from modeseek.reports.results_files import ExperimentResult, write_experiment
from modeseek.reports.results_page import ImageSection, ResultsPage, TableSection, write_results_page
from modeseek.reports.table import Column, Row, Table
from modeseek.rundir.run_dir import Run

_SIDE = 96  # of a tile, pixels
_NOTES = (
    "Means over images and cells; intervals: 95 %, by resampling images. Every method has the setting with the highest "
    "PSNR on other images, chosen in each cell.",
    "↓ lower is better, ↑ higher is better; bold: best of the methods. In italics: references.",
)


@dataclass(frozen=True)
class CellResult:
    """Results of a cell.

    Attributes:
        cell: the cell.
        results: results by method.
        chosen: chosen settings by method.
        missing: a sentence on each method without a result.
    """

    cell: RestorationCell
    results: Mapping[str, Restored]
    chosen: Mapping[str, float]
    missing: tuple[str, ...]


def write_restoration(
    plan: Restoration, run: Run, entries: Sequence[Restorer], cells: Sequence[CellResult], problem: Problem
) -> ExperimentResult:
    """Writes `exports/`, `media/`, `metrics.jsonl` and `report.html`.

    Args:
        plan: the plan.
        run: run folder.
        entries: methods.
        cells: results of the cells so far.
        problem: problem of any cell, for the true images.
    """
    titles = {entry.name: entry.title for entry in entries}
    complete = [entry for entry in entries if all(entry.name in cell.results for cell in cells)]
    whole = table(complete, {e.name: [cell.results[e.name] for cell in cells] for e in complete}, plan.seed)
    tables = {
        cell.cell: table(entries, {name: [own] for name, own in cell.results.items()}, plan.seed) for cell in cells
    }
    findings = summarise(plan, whole, tables, titles)
    missing = [line for cell in cells for line in cell.missing]
    if plan.tuning:
        missing += edges(entries, [cell.chosen for cell in cells])
    if len(cells) < len(plan.cells):
        missing.append(f"Not finished: {len(cells)} of {len(plan.cells)} cells so far.")
    more = {f"PSNR at noise {noise:g}": psnr_table(noise, tables) for noise in {cell.noise: None for cell in tables}}
    result = ExperimentResult(run.path, whole, findings, titles, tuple(missing), more)
    facts = {
        "images": plan.images,
        "cells": {cell.name: {row.name: row.values for row in own.rows} for cell, own in tables.items()},
        "chosen": {cell.cell.name: dict(cell.chosen) for cell in cells},
    }
    title = "Restoration"
    write_experiment(run, title, result, facts)
    path = run.path / "media" / "sheet.png"
    write_atomic(path, _sheet(plan, entries, cells, problem), parents=True)
    caption = "The true image, its measurement, and what each method makes of it; one image for each cell."
    page = ResultsPage(
        title,
        findings,
        TableSection("All cells", whole, titles, _NOTES),
        [ImageSection.read(path, "Restored images", caption)],
        tuple(missing),
        [
            *(TableSection(heading, own, titles) for heading, own in more.items()),
            *(TableSection(cell.title, own, titles, folded=True) for cell, own in tables.items()),
        ],
        list(entries),
        note="To resume, rerun the command with the same --out; finished runs are reused.",
    )
    write_results_page(run, page)
    return result


def psnr_table(noise: float, tables: Mapping[RestorationCell, Table]) -> Table:
    """PSNR at a noise level, a column per degradation, of the methods that have one in each."""
    own = {cell.degradation: table for cell, table in tables.items() if cell.noise == noise}
    columns = tuple(Column(item.name, item.title, f"PSNR at noise {noise:g}, decibels.", ".2f", "high") for item in own)
    rows: dict[str, Row] = {}
    for item, table_of_cell in own.items():
        for row in table_of_cell.rows:
            values = {
                item.name + side: row.values[MAIN + side] for side in ("", "_low", "_high") if MAIN + side in row.values
            }
            before = rows.get(row.name, Row(row.name, {}, row.reference))
            rows[row.name] = Row(row.name, before.values | values, row.reference)
    return Table(columns, tuple(rows.values()))


def _sheet(plan: Restoration, entries: Sequence[Restorer], cells: Sequence[CellResult], problem: Problem) -> bytes:
    """PNG contact sheet: cells down, the true image and methods across, another image in each row."""
    truth, n = problem.truth.image, plan.images
    rows = []
    for number, cell in enumerate(cells):
        index = number % n
        restored = [cell.results.get(entry.name) for entry in entries]
        tiles = [Tile(None if own is None else own.images(n)[index]) for own in restored]
        rows.append([[Tile(truth[index].cpu())], *([tile] for tile in tiles)])
    return ContactSheet(
        rows,
        ["True image", *(entry.title for entry in entries)],
        [cell.cell.title for cell in cells],
        side=_SIDE,
        font=13,
        label_width=130,
        gap=8,
    ).png()
