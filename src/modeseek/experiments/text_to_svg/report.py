"""Files of the text-to-SVG experiment: tables, findings, contact sheet, SVG files and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from modeseek.experiments.text_to_svg.entries import BASELINES, FIT, SAMPLE, TRUTH
from modeseek.experiments.text_to_svg.jobs import JobOutput
from modeseek.experiments.text_to_svg.measure import MeasuredDrawings
from modeseek.experiments.text_to_svg.plan import TextToSvg
from modeseek.experiments.text_to_svg.table import COLUMNS, drawing_table, drawings_csv, gain_table, paired_gain
from modeseek.experiments.text_to_svg.tuning import TunedDrawing, drawing_tuning_table
from modeseek.io.atomic import write_atomic
from modeseek.io.images import read_images
from modeseek.io.paths import slug
from modeseek.metrics.vector import render_svg
from modeseek.reports.contact_sheet import ContactSheet, Tile
from modeseek.reports.results_files import ExperimentResult, write_experiment
from modeseek.reports.results_page import ImageSection, ResultsPage, TableSection, write_results_page
from modeseek.reports.table import Table
from modeseek.rundir.run_dir import Run

_TILE = 128  # side of a drawing on the contact sheet, pixels
_MOST_ROWS = 60  # words on it
_METRICS = (
    "↓ lower is better, ↑ higher is better; bold: best. In italics: references that are no drawings of a method. "
    "Intervals are 95 % bootstrap intervals over words. All measures are of the exported SVG, rendered again by resvg."
)
_AGAINST = "Differences of drawings of equal word and seed; an interval that holds 0 shows no difference."
_TUNED = "Tuned on other words and seeds than those that are compared; the chosen settings are used everywhere."
_SHEET = "A row per word, a column per entry, the first seed of each, rendered by resvg."
_RESUME = "To resume, rerun the command with the same --out; finished drawings and their measures are reused."


def write_drawing_results(
    plan: TextToSvg,
    run: Run,
    outputs: Mapping[str, Sequence[JobOutput]],
    measured: Mapping[str, Sequence[MeasuredDrawings]],
    tuned: Mapping[str, TunedDrawing],
    failures: Sequence[str],
) -> ExperimentResult:
    """Writes the results: `exports/` (tables, SVG files), `media/sheet.png`, `metrics.jsonl` and `report.html`.

    Args:
        plan: the plan, with the chosen learning rates.
        run: run folder of the experiment.
        outputs: outputs of the finished jobs by group.
        measured: measures by entry.
        tuned: chosen learning rates by method; empty without tuning.
        failures: a sentence on each method whose run failed.
    """
    titles = {entry.name: entry.title for entry in (*BASELINES, *plan.entries)}
    table, against = drawing_table(measured, plan.seed), gain_table(measured, plan.seed)
    chosen = drawing_tuning_table({name: tuned[name] for name in measured if name in tuned})
    more = {f"Against {titles[FIT]}": against, "Tuning": chosen}
    findings = summarise(plan, measured, table, titles)
    result = ExperimentResult(run.path, table, findings, titles, (*failures, *caveats(plan, measured, tuned)), more)
    sheet = _sheet(plan, outputs, measured, titles).png()
    write_atomic(run.path / "media" / "sheet.png", sheet)
    write_atomic(run.path / "exports" / "drawings.csv", drawings_csv(measured))
    _write_svgs(run, outputs)
    facts: dict[str, Any] = {
        "words": [word.name for word in plan.words],
        "prompts": [word.prompt for word in plan.words],
        "steps": {entry.name: plan.steps_of(entry) for entry in plan.entries},
        "rates": {entry.name: {"lr": entry.lr, "fall": entry.fall} for entry in plan.entries},
        "tuning": {name: asdict(found) for name, found in tuned.items()},
        "against": {row.name: row.values for row in against.rows},
    }
    title = f"Text to SVG under {plan.prior_config.title}"
    write_experiment(run, title, result, facts)
    notes = (_AGAINST, _TUNED)
    page = ResultsPage(
        title,
        findings,
        TableSection("Metrics", table, titles, [_METRICS]),
        [ImageSection("Drawings", sheet, _SHEET)],
        result.missing,
        [
            TableSection(heading, found, titles, [note])
            for (heading, found), note in zip(more.items(), notes, strict=True)
            if found.rows
        ],
        [*BASELINES, *plan.entries],
        [word.prompt for word in plan.words],
        _RESUME,
        ["ddim", *["guidance"] * (plan.scale != 1)],
    )
    write_results_page(run, page)
    return result


def summarise(
    plan: TextToSvg, measured: Mapping[str, Sequence[MeasuredDrawings]], table: Table, titles: Mapping[str, str]
) -> tuple[str, ...]:
    """Summary of the tables, a sentence each: what was drawn, and each entry against the fitted samples."""
    lines = [
        f"{len(plan.words)} words, {plan.seeds} {'seeds' if plan.seeds > 1 else 'seed'} each, {plan.paths} paths at "
        f"most; {plan.budget} prior calls per drawing of every method, and those of the sample it starts from."
    ]
    rows = {row.name: row for row in table.rows}
    distance = next(column for column in COLUMNS if column.key == "distance")
    base = table.text(rows[FIT], distance)
    for name, batches in measured.items():
        if name in (TRUTH, SAMPLE, FIT):
            continue
        gain = paired_gain(batches, measured[FIT], distance, plan.seed)
        if gain.interval is None:
            continue
        low, high = gain.interval
        said = "nearer to" if low > 0 else "farther from" if high < 0 else "not shown to be nearer to or farther from"
        lines.append(
            f"{titles[name]}: drawings are {said} the true ones than those of {titles[FIT]}: distance "
            f"{table.text(rows[name], distance)} against {base}, gain {gain.value:+.3f} [{low:+.3f}, {high:+.3f}]."
        )
    return tuple(lines)


def caveats(
    plan: TextToSvg, measured: Mapping[str, Sequence[MeasuredDrawings]], tuned: Mapping[str, TunedDrawing]
) -> tuple[str, ...]:
    """Caveats, a sentence each: too few words, and chosen rates at the end of those that were tried."""
    lines = []
    if len(plan.words) < 3:
        lines.append(f"{len(plan.words)} words are too few for intervals: resampling needs three.")
    if plan.tuning is not None:
        edges = [
            f"{name} ({tuned[name].best.lr:g})"
            for name in measured
            if name in tuned and tuned[name].best.lr in (min(plan.tuning.rates), max(plan.tuning.rates))
        ]
        if edges:
            lines.append(
                f"The chosen rate is the least or the greatest that was tried for {', '.join(edges)}; a lower rate "
                "leaves the start as it is."
            )
    return tuple(lines)


def _sheet(
    plan: TextToSvg,
    outputs: Mapping[str, Sequence[JobOutput]],
    measured: Mapping[str, Sequence[MeasuredDrawings]],
    titles: Mapping[str, str],
) -> ContactSheet:
    """Contact sheet of the first seed: words down, entries across."""
    columns: list[list[Tile]] = []
    for name in measured:
        tiles: list[Tile] = []
        for k, sample in enumerate(outputs["sample"]):
            batch = measured[name][k].batch
            if batch.number:
                continue
            if name == TRUTH:
                images = [render_svg(word.icon.svg, (_TILE, _TILE)) for word in batch.words]
            elif name == SAMPLE:
                images = list(read_images(sample.images))
            else:
                output = sample if name in sample.made else outputs[name][k]
                images = [render_svg(svg, (_TILE, _TILE)) for svg in output.made[name].svgs]
            tiles += map(Tile, images)
        columns.append(tiles)
    n = min(_MOST_ROWS, len(plan.words))
    cells = [[[column[row]] for column in columns] for row in range(n)]
    labels = [word.name for word in plan.words[:n]]
    return ContactSheet(cells, [titles[name] for name in measured], labels, side=_TILE, font=15, label_width=130, gap=8)


def _write_svgs(run: Run, outputs: Mapping[str, Sequence[JobOutput]]) -> None:
    """Writes every SVG as `exports/METHOD-WORD-SEED.svg`."""
    for found in outputs.values():
        for output in found:
            for name, drawings in output.made.items():
                for word, svg in zip(drawings.batch.words, drawings.svgs, strict=True):
                    file = f"{name}-{slug(word.name)}-s{drawings.batch.number}.svg"
                    write_atomic(run.path / "exports" / file, svg)
