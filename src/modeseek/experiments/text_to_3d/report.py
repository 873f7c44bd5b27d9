"""HTML report of the text-to-3D experiment, self-contained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modeseek.experiments.common.metric_table import MetricTable, html_table, used_columns
from modeseek.experiments.common.results_files import environment_line
from modeseek.experiments.text_to_3d.plan import TextTo3D
from modeseek.experiments.text_to_3d.table import COLUMNS, TextTo3DJobResult
from modeseek.io.atomic import write_atomic
from modeseek.reports.html import alarm, code, data_uri, details, hint, page, safe, section, small, sources, terms
from modeseek.rundir.run_dir import Run

_SHOWN = ("iou", "right", "delta_e", "psnr", "saturation", "true_saturation", "fronts", "fronts_judged", "watertight",
          "seconds")  # fmt: skip
_LOOK = (
    "A row per caption, a column per method, the ground truth first; of each shape the front and right view, below "
    "them the back and left view, of the first seed. Look for front faces that appear twice or not at all, haze around "
    "the shape, oversaturated or faint colours, and missing parts."
)
_RESUME = "To resume, rerun the command with the same --out; plays/ holds a run and a mesh of each shape."


@dataclass(frozen=True)
class TextTo3DReport:
    """Content of the report.

    Attributes:
        table: metrics of all methods.
        fronts: metrics of captions with a front face, with and without view conditioning.
        titles: display titles of the rows of both tables.
        findings: summary of the results, a sentence each.
        missing: missing results and caveats, a sentence each.
        results: measures of each job.
        sheet: contact sheet, PNG bytes.
        turntables: turntables of all shapes, GIF bytes.
    """

    table: MetricTable
    fronts: MetricTable
    titles: Mapping[str, str]
    findings: Sequence[str]
    missing: Sequence[str]
    results: Sequence[TextTo3DJobResult]
    sheet: bytes
    turntables: bytes


def write_report(run: Run, plan: TextTo3D, report: TextTo3DReport) -> None:
    """Writes `report.html`: metrics, images, missing results, costs, methods, settings, sources."""
    title = "Text to 3-D under " + ("the exact prior of renders" if plan.exact else plan.prior)
    parts = [
        f"<header><p class='kicker'>modeseek</p><h1>{safe(title)}</h1>",
        *(f"<p class='lead'>{safe(text)}</p>" for text in report.findings),
        "</header>",
        section("Missing results and caveats", *map(alarm, report.missing)),
        section("Metrics", _scroll(html_table(report.table, report.titles)), *_meaning(report.table)),
        section("Images", hint(_LOOK), _figure(report.sheet, "image/png", "a row per caption, a column per method")),
        section("Turntables", _figure(report.turntables, "image/gif", "the same shapes, rotating together")),
        section("Front faces with and without view conditioning", *_fronts(report)),
        section("Costs", _costs(plan)),
        section("Runs", details(f"{len(report.results)} runs", _each(plan, report.results))),
        section("Methods", _methods(plan)),
        section("Captions", "<ol>" + "".join(f"<li>{safe(text)}</li>" for text in plan.captions) + "</ol>"),
        section("Configuration", code((run.path / "config.yaml").read_text(encoding="utf-8"))),
        section("Reproduce", code(run.command), small(f"{_RESUME} {environment_line()}")),
        sources(_cites(plan)),
    ]
    write_atomic(run.path / "report.html", page(title, parts))


def _scroll(table: str) -> str:
    return f"<div class='scroll' tabindex='0'>{table}</div>"


def _meaning(table: MetricTable) -> list[str]:
    return [
        small(
            "↓ lower is better, ↑ higher is better; bold: best of the methods. The row of the ground truth shows what "
            "the true shape scores with the same scene classifier, which makes mistakes. Intervals hold 95 % of the "
            "means of resampled runs; there is none where all values are equal. Rows over fewer captions are not "
            "comparable: the sentences above compare equal captions and seeds, and one in twenty such comparisons of "
            "equal methods excludes 0 by chance."
        ),
        details("What the columns mean", terms((c.heading, c.meaning) for c in used_columns(table))),
    ]


def _figure(data: bytes, kind: str, description: str) -> str:
    return f"<figure><img src='{data_uri(data, kind)}' alt='{safe(description)}'></figure>"


def _fronts(report: TextTo3DReport) -> list[str]:
    if not report.fronts.rows:
        return []
    note = small(
        "Only captions with a front face. Without view conditioning the ground truth is rotated to its best fit."
    )
    return [_scroll(html_table(report.fronts, report.titles)), note]


def _costs(plan: TextTo3D) -> str:
    body = ""
    for entry in plan.entries:
        first, each = plan.calls(entry, plan.conditionings[0])
        steps = plan.steps_of(entry, plan.conditionings[0])
        cells = [steps, each, first, f"{(first + each * steps) * plan.views:,}"]
        values = "".join(f"<td>{cell}</td>" for cell in cells)
        body += f"<tr><th scope='row'>{safe(entry.title)}</th>{values}</tr>"
    heads = ("Method", "Steps", "Calls per step and view", "Calls before", "Calls per run")
    head = "".join(f"<th>{name}</th>" for name in heads)
    return _scroll(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>") + small(
        "A prior call is one evaluation for one view; a guided evaluation is two. All methods have the same budget, so "
        "more calls per step mean fewer steps. The auxiliary network of VSD counts in the seconds only."
    )


def _each(plan: TextTo3D, results: Sequence[TextTo3DJobResult]) -> str:
    columns = [c for key in _SHOWN for c in COLUMNS if c.key == key]
    head = "".join(f"<th title='{safe(c.meaning)}'>{safe(c.heading)}</th>" for c in columns)
    body = ""
    for result in results:
        measures, job = result.measures, result.job
        values = (format(measures[c.key], c.spec) if c.key in measures else "–" for c in columns)
        cells = "".join(f"<td>{safe(value)}</td>" for value in values)
        name = f"{plan.captions[job.caption]}, {job.entry.title}, {job.conditioning.name}, {job.seed}"
        body += f"<tr><th scope='row'>{safe(name)}</th>{cells}</tr>"
    head = f"<tr><th>Caption, method, consistency, seed</th>{head}</tr>"
    return _scroll(f"<table><thead>{head}</thead><tbody>{body}</tbody></table>")


def _methods(plan: TextTo3D) -> str:
    return "<dl>" + "".join(
        f"<dt>{safe(entry.title)} <code>{safe(entry.name)}</code></dt><dd>{safe(entry.note)}</dd>"
        for entry in plan.entries
    ) + "</dl>"  # fmt: skip


def _cites(plan: TextTo3D) -> list[str]:
    keys = ["msd", *(key for entry in plan.entries for key in entry.references)]
    return keys if plan.guidance == 1 else [*keys, "guidance"]
