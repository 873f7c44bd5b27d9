"""Several runs side by side: their last pictures, their numbers, what differs between them, and their curves."""

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
    """Writes one page about several runs to `out`, whole or not at all; it needs nothing beside it.

    Raises:
        ValueError: as `comparison_table`.
        OSError: the place cannot be written to.
    """
    several = read_runs(runs)
    out.parent.mkdir(parents=True, exist_ok=True)
    title = f"{len(several)} runs compared" if len(several) > 1 else "One run, nothing to compare it with"
    body = [
        f"<header><p class='kicker'>modeseek</p><h1>{title}</h1></header>",
        section("What came out", _sheet(several)),
        section("Numbers", _numbers(several)),
        section("What differs", _apart(several)),
        section("Curves", _curves(several)),
    ]
    write_atomic(out, page(title, body))
    return out


def _sheet(several: Sequence[RunSummary]) -> str:
    told: list[str] = []
    lines: list[str] = []
    for index, one in enumerate(several):
        picture, damaged = last_preview(one.run.path / "previews")
        lines += [alarm(f"{one.run.path.name}: {line}") for line in (*one.damage, *damaged)]
        caption = f"{_name(index, one)}, {'no picture' if picture is None else picture.caption}"
        blank = f"<figure><div class='none'>no picture</div><figcaption>{safe(caption)}</figcaption></figure>"
        told.append(blank if picture is None else picture.html(caption))
    return f"{''.join(lines)}<div class='sheet'>{''.join(told)}</div>"


def _numbers(several: Sequence[RunSummary]) -> str:
    table = summary_table(several)
    columns = [c for c in COLUMNS if any(c.key in row.values for row in table.rows)]
    headings = [("Run", "The number it has on this page, and its folder."), ("Method", "What made the directions.")]
    headings += [("Prior", "What was asked."), ("State", "How it stands.")]
    headings += [(c.heading, c.meaning) for c in columns]
    head = "".join(f"<th title='{safe(meaning)}'>{safe(name)}</th>" for name, meaning in headings)
    body = ""
    for index, (one, row) in enumerate(zip(several, table.rows, strict=True)):
        words = (one.config.method_name, one.config.prior.title, one.state)
        cells = "".join(f"<td>{safe(cell)}</td>" for cell in (*words, *(table.text(row, c) for c in columns)))
        body += f"<tr><th scope='row'>{index + 1} {safe(one.run.path.name)}</th>{cells}</tr>"
    calls = [row.values["calls"] for row in table.rows if "calls" in row.values]
    told = ""
    if calls and max(calls) > 1.05 * min(calls):
        told = small(
            f"They spent between {min(calls):,.0f} and {max(calls):,.0f} prior calls: compare them at equal calls, in "
            "the curves below, rather than at their ends."
        )
    return _scroll(head, body) + told


def _apart(several: Sequence[RunSummary]) -> str:
    apart = differences(several)
    if len(several) == 1:
        return ""
    if not apart:
        return small("Nothing: settings, versions, device, commit and prior are the same.")
    common = {name: values for name, values in apart.items() if ABSENT not in values}
    rest = {name: values for name, values in apart.items() if ABSENT in values}
    folded = details(f"{len(rest)} settings that not all of them have", _side_by_side(several, rest)) if rest else ""
    return (_side_by_side(several, common) if common else "") + folded


def _side_by_side(several: Sequence[RunSummary], apart: Mapping[str, Sequence[str]]) -> str:
    head = "<th>Setting</th>" + "".join(f"<th>{safe(_name(i, one))}</th>" for i, one in enumerate(several))
    body = ""
    for name, values in apart.items():
        short = [_HASH.sub(r"\1…", value) for value in values]
        cells = "".join(f"<td>{safe(value)}</td>" for value in short)
        body += f"<tr><th scope='row'><code>{safe(name)}</code></th>{cells}</tr>"
    return _scroll(head, body)


def _curves(several: Sequence[RunSummary]) -> str:
    charts: list[str] = []
    for measure, chart in _CURVES:
        found = [(i, read_curve(one.rows, "calls", measure, _name(i, one))) for i, one in enumerate(several)]
        drawn = [(i, curve) for i, curve in found if curve is not None]
        if drawn:
            colours, lines = zip(*drawn, strict=True)
            charts.append(draw_chart(replace(chart, lines=lines, colours=colours)))
    if not charts:
        return small("None of them made a step.")
    legend = "".join(f"<li>{legend_key(i)}{safe(_name(i, one))}</li>" for i, one in enumerate(several))
    told = hint(
        "None of these is a loss. The relative shift compares across runs, and should end below the tolerance; only "
        "methods that shift means have one. Norms of different methods or weights do not compare in height: look at "
        "where each one's trend goes flat."
    )
    return f"{told}<ul class='legend'>{legend}</ul><div class='curves pair'>{''.join(charts)}</div>"


def _scroll(head: str, body: str) -> str:
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class='scroll' tabindex='0'>{table}</div>"


def _name(index: int, one: RunSummary) -> str:
    return f"{index + 1} {one.config.title}"
