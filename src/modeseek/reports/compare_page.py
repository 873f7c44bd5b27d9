"""HTML comparison of several runs: last previews, metrics, differing settings and curves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from modeseek.io.atomic import write_atomic
from modeseek.reports.comparison import COLUMNS, RunSummary, comparison_table, differences, read_runs, summary_table
from modeseek.reports.curves import Chart, draw_chart, legend_key, read_curve
from modeseek.reports.html import alarm, details, hint, page, safe, section, small
from modeseek.reports.preview_images import last_preview
from modeseek.reports.settings_diff import ABSENT
from modeseek.rundir.run_dir import Run

__all__ = ["comparison_table", "write_comparison"]

_HASH = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b")
_CURVES = (
    ("relative_shift", Chart("Relative shift", "|shift| / (h √d), mean over rows", "prior calls", smooth=True)),
    ("direction_norm", Chart("Direction norm", "|dL/dz|, units of z, mean over rows", "prior calls", smooth=True)),
)


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
    title = f"{len(summaries)} runs compared" if len(summaries) > 1 else "One run, nothing to compare it with"
    body = [
        f"<header><p class='kicker'>modeseek</p><h1>{title}</h1></header>",
        section("Results", _sheet(summaries)),
        section("Metrics", _metrics(summaries)),
        section("Differences", _differences(summaries)),
        section("Curves", _curves(summaries)),
    ]
    write_atomic(out, page(title, body))
    return out


def _sheet(summaries: Sequence[RunSummary]) -> str:
    figures: list[str] = []
    warnings: list[str] = []
    for index, summary in enumerate(summaries):
        preview, damaged = last_preview(summary.run.path / "previews")
        warnings += [alarm(f"{summary.run.path.name}: {line}") for line in (*summary.damage, *damaged)]
        caption = f"{_name(index, summary)}, {'no preview' if preview is None else preview.caption}"
        blank = f"<figure><div class='none'>no preview</div><figcaption>{safe(caption)}</figcaption></figure>"
        figures.append(blank if preview is None else preview.html(caption))
    return f"{''.join(warnings)}<div class='sheet'>{''.join(figures)}</div>"


def _metrics(summaries: Sequence[RunSummary]) -> str:
    table = summary_table(summaries)
    columns = [c for c in COLUMNS if any(c.key in row.values for row in table.rows)]
    headings = [("Run", "Number of the run on this page, and its folder."), ("Method", "Score-distillation method.")]
    headings += [("Prior", "Prior that was evaluated."), ("State", "State of the run.")]
    headings += [(c.heading, c.meaning) for c in columns]
    head = "".join(f"<th title='{safe(meaning)}'>{safe(name)}</th>" for name, meaning in headings)
    body = ""
    for index, (summary, row) in enumerate(zip(summaries, table.rows, strict=True)):
        texts = (summary.config.method_name, summary.config.prior.title, summary.state)
        cells = "".join(f"<td>{safe(cell)}</td>" for cell in (*texts, *(table.text(row, c) for c in columns)))
        body += f"<tr><th scope='row'>{index + 1} {safe(summary.run.path.name)}</th>{cells}</tr>"
    calls = [row.values["calls"] for row in table.rows if "calls" in row.values]
    note = ""
    if calls and max(calls) > 1.05 * min(calls):
        note = small(
            f"The runs spent between {min(calls):,.0f} and {max(calls):,.0f} prior calls: compare them at equal calls, "
            "in the curves below, rather than at their ends."
        )
    return _scroll(head, body) + note


def _differences(summaries: Sequence[RunSummary]) -> str:
    differing = differences(summaries)
    if len(summaries) == 1:
        return ""
    if not differing:
        return small("None: settings, versions, device, commit and prior are the same.")
    common = {name: values for name, values in differing.items() if ABSENT not in values}
    partial = {name: values for name, values in differing.items() if ABSENT in values}
    folded = details(f"{len(partial)} settings that not all runs have", _rows(summaries, partial)) if partial else ""
    return (_rows(summaries, common) if common else "") + folded


def _rows(summaries: Sequence[RunSummary], differing: Mapping[str, Sequence[str]]) -> str:
    head = "<th>Setting</th>" + "".join(f"<th>{safe(_name(i, summary))}</th>" for i, summary in enumerate(summaries))
    body = ""
    for name, values in differing.items():
        short = [_HASH.sub(r"\1…", value) for value in values]
        cells = "".join(f"<td>{safe(value)}</td>" for value in short)
        body += f"<tr><th scope='row'><code>{safe(name)}</code></th>{cells}</tr>"
    return _scroll(head, body)


def _curves(summaries: Sequence[RunSummary]) -> str:
    charts: list[str] = []
    for measure, chart in _CURVES:
        curves = [(i, read_curve(s.rows, "calls", measure, _name(i, s))) for i, s in enumerate(summaries)]
        drawn = [(i, curve) for i, curve in curves if curve is not None]
        if drawn:
            colours, lines = zip(*drawn, strict=True)
            charts.append(draw_chart(replace(chart, lines=lines, colours=colours)))
    if not charts:
        return small("No run has made a step.")
    legend = "".join(f"<li>{legend_key(i)}{safe(_name(i, summary))}</li>" for i, summary in enumerate(summaries))
    note = hint(
        "None of these is a loss. The relative shift compares across runs, and should end below the tolerance; only "
        "mean-shift methods have one. Norms of different methods or weights do not compare in height: look at where "
        "each one's trend goes flat."
    )
    return f"{note}<ul class='legend'>{legend}</ul><div class='curves pair'>{''.join(charts)}</div>"


def _scroll(head: str, body: str) -> str:
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class='scroll' tabindex='0'>{table}</div>"


def _name(index: int, summary: RunSummary) -> str:
    return f"{index + 1} {summary.config.title}"
