"""HTML comparison of several runs: last previews, metrics, differing settings and curves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from markupsafe import Markup

from modeseek.io.atomic import write_atomic
from modeseek.reports.comparison import COLUMNS, comparison_table, differences, read_runs, summary_table
from modeseek.reports.curves import Chart, draw_chart, legend_key, read_curve
from modeseek.reports.page import render_page
from modeseek.reports.preview_images import last_preview
from modeseek.reports.settings_diff import ABSENT
from modeseek.reports.table import Table
from modeseek.rundir.run_dir import Run

__all__ = ["comparison_table", "write_comparison"]

_HASH = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b")
CURVES = {
    "relative_shift": Chart("Relative shift", "|shift| / (h √d), mean over rows", "prior calls", smooth=True),
    "direction_norm": Chart("Direction norm", "|dL/dz|, units of z, mean over rows", "prior calls", smooth=True),
}


def write_comparison(runs: Sequence[Run], out: Path) -> Path:
    """Writes one self-contained page that compares runs, atomically.

    Args:
        runs: runs to compare, at least one.
        out: file to write.

    Raises:
        ValueError: as `comparison_table`.
        OSError: the file cannot be written.
    """
    summaries = read_runs(runs)
    out.parent.mkdir(parents=True, exist_ok=True)
    names = [f"{number} {summary.config.title}" for number, summary in enumerate(summaries, 1)]
    previews, warnings = [], []
    for summary in summaries:
        preview, damaged = last_preview(summary.run.path / "previews")
        previews.append(preview)
        warnings += [f"{summary.run.path.name}: {line}" for line in (*summary.damage, *damaged)]
    folders = [f"{number} {summary.run.path.name}" for number, summary in enumerate(summaries, 1)]
    rows = [replace(row, name=name) for name, row in zip(folders, summary_table(summaries).rows, strict=True)]
    facts = [(summary.config.method_name, summary.config.prior.title, summary.state) for summary in summaries]
    table = Table(COLUMNS, tuple(rows))
    differing = {name: [_HASH.sub(r"\1…", v) for v in values] for name, values in differences(summaries).items()}
    logged = {name: summary.rows for name, summary in zip(names, summaries, strict=True)}
    page = render_page(
        "compare",
        title=f"{len(summaries)} runs compared" if len(summaries) > 1 else "One run, nothing to compare it with",
        names=names,
        previews=previews,
        warnings=warnings,
        table=table,
        facts=dict(zip(folders, facts, strict=True)),
        note=unequal_calls(table),
        common={name: values for name, values in differing.items() if ABSENT not in values},
        partial={name: values for name, values in differing.items() if ABSENT in values},
        charts=[drawn for metric, chart in CURVES.items() for drawn in draw_curves(chart, metric, logged, names)],
        legend=legend(names),
    )
    write_atomic(out, page)
    return out


def draw_curves(
    chart: Chart, metric: str, rows: Mapping[str, Sequence[Mapping[str, object]]], names: Sequence[str]
) -> list[Markup]:
    """The chart of a metric over prior calls, with a line for each name that has it; empty if none has.

    Args:
        chart: the chart without lines.
        metric: key of the metric.
        rows: logged metrics by name.
        names: all names, in the order of the colours.
    """
    curves = [(names.index(name), read_curve(logged, "calls", metric, name)) for name, logged in rows.items()]
    drawn = [(colour, curve) for colour, curve in curves if curve is not None]
    if not drawn:
        return []
    colours, lines = zip(*drawn, strict=True)
    return [draw_chart(replace(chart, lines=lines, colours=colours))]


def legend(names: Iterable[str]) -> list[tuple[Markup, str]]:
    """Line sample and name of each curve."""
    return [(legend_key(colour), name) for colour, name in enumerate(names)]


def unequal_calls(table: Table) -> str:
    """A caution if the prior calls of the rows differ by more than 5 %, else empty."""
    calls = [row.values["calls"] for row in table.rows if "calls" in row.values]
    if not calls or max(calls) <= 1.05 * min(calls):
        return ""
    return (
        f"The rows spent between {min(calls):,.0f} and {max(calls):,.0f} prior calls: compare them at equal calls, in "
        "the curves below, rather than at their ends."
    )
