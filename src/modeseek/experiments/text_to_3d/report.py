"""The report of the experiment: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modeseek.experiments.common.metric_table import MetricTable, html_table, used_columns
from modeseek.experiments.text_to_3d.plan import TextTo3D
from modeseek.experiments.text_to_3d.table import COLUMNS, TextTo3DJobResult
from modeseek.io.atomic import write_atomic
from modeseek.reports.html import alarm, code, data_uri, details, hint, page, safe, section, small, sources, terms
from modeseek.rundir.environment import describe_machine, package_versions
from modeseek.rundir.run_dir import Run

_SHOWN = ("iou", "right", "delta_e", "psnr", "saturation", "true_saturation", "fronts", "fronts_judged", "watertight",
          "seconds")  # fmt: skip
_LOOK = (
    "A row a caption, a column a method, the truth first; of each thing the front and right side, below them the back "
    "and left side, of the first seed, whatever came of it. Seek a front that is there twice or not at all, haze "
    "around the thing, glaring or faint colours, and parts that are missing."
)


@dataclass(frozen=True)
class TextTo3DReport:
    """What a report shows.

    Attributes:
        table: all methods.
        fronts: with and without being told the view.
        titles: of the rows of both.
        findings: what one sees, a sentence each.
        lacking: what could not be made or measured, a sentence each.
        results: play by play.
        sheet: the contact sheet, PNG.
        turntables: all turning, GIF.
    """

    table: MetricTable
    fronts: MetricTable
    titles: Mapping[str, str]
    findings: Sequence[str]
    missing: Sequence[str]
    results: Sequence[TextTo3DJobResult]
    sheet: bytes
    turntables: bytes


def write_report(run: Run, plan: TextTo3D, shown: TextTo3DReport) -> None:
    """Writes `report.html`: numbers, pictures, what is lacking, costs, methods, settings, sources."""
    title = "Text to 3-D under " + ("the exact prior of renders" if plan.exact else plan.prior)
    parts = [
        f"<header><p class='kicker'>modeseek</p><h1>{safe(title)}</h1>",
        *(f"<p class='lead'>{safe(text)}</p>" for text in shown.findings),
        "</header>",
        section("What is lacking, and what to beware of", *map(alarm, shown.missing)),
        section("Numbers", _scroll(html_table(shown.table, shown.titles)), *_meaning(shown.table)),
        section("Pictures", hint(_LOOK), _figure(shown.sheet, "image/png", "a row a caption, a column a method")),
        section("All around", _figure(shown.turntables, "image/gif", "the same things, turning together")),
        section("Fronts, with and without being told the view", *_fronts(shown)),
        section("Costs", _costs(plan)),
        section("Thing by thing", details(f"{len(shown.results)} things", _each(plan, shown.results))),
        section("Methods", _methods(plan)),
        section("Captions", "<ol>" + "".join(f"<li>{safe(text)}</li>" for text in plan.captions) + "</ol>"),
        section("Configuration", code((run.path / "config.yaml").read_text(encoding="utf-8"))),
        section("Run it again", code(run.command), small(_made())),
        sources(_cites(plan)),
    ]
    write_atomic(run.path / "report.html", page(title, parts))


def _scroll(table: str) -> str:
    return f"<div class='scroll' tabindex='0'>{table}</div>"


def _meaning(table: MetricTable) -> list[str]:
    return [
        small(
            "↓ lower is better, ↑ higher is better; bold: best of the methods. The truth's row is what a perfect thing "
            "would get from the same judge, which errs now and then. Intervals hold 95 % of the means that resampled "
            "things give; where all things are equal there is none. Methods that played fewer captions do not compare "
            "row by row: the sentences above compare equal captions and seeds, and of twenty such comparisons of "
            "equals one leaves 0 out by chance."
        ),
        details("What the columns mean", terms((c.heading, c.meaning) for c in used_columns(table))),
    ]


def _figure(data: bytes, kind: str, words: str) -> str:
    return f"<figure><img src='{data_uri(data, kind)}' alt='{safe(words)}'></figure>"


def _fronts(shown: TextTo3DReport) -> list[str]:
    if not shown.fronts.rows:
        return []
    told = small("Only captions with a front. Untold, the truth is turned to where it fits best before it is compared.")
    return [_scroll(html_table(shown.fronts, shown.titles)), told]


def _costs(plan: TextTo3D) -> str:
    body = ""
    for entry in plan.entries:
        first, each = plan.calls(entry, plan.conditionings[0])
        steps = plan.steps_of(entry, plan.conditionings[0])
        cells = [steps, each, first, f"{(first + each * steps) * plan.views:,}"]
        told = "".join(f"<td>{cell}</td>" for cell in cells)
        body += f"<tr><th scope='row'>{safe(entry.title)}</th>{told}</tr>"
    heads = ("Method", "Steps", "Calls a step and view", "Calls before", "Calls a thing")
    head = "".join(f"<th>{name}</th>" for name in heads)
    return _scroll(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>") + small(
        "A prior call is one answer for one view; guided answers are two. All may spend equally many, so who asks more "
        "often in a step takes fewer steps. What a second network of VSD's costs is in the seconds alone."
    )


def _each(plan: TextTo3D, results: Sequence[TextTo3DJobResult]) -> str:
    columns = [c for key in _SHOWN for c in COLUMNS if c.key == key]
    head = "".join(f"<th title='{safe(c.meaning)}'>{safe(c.heading)}</th>" for c in columns)
    body = ""
    for one in results:
        values = (format(one.measures[c.key], c.spec) if c.key in one.measures else "–" for c in columns)
        cells = "".join(f"<td>{safe(value)}</td>" for value in values)
        name = f"{plan.captions[one.job.caption]}, {one.job.entry.title}, {one.job.conditioning.name}, {one.job.seed}"
        body += f"<tr><th scope='row'>{safe(name)}</th>{cells}</tr>"
    head = f"<tr><th>Caption, method, consistency, seed</th>{head}</tr>"
    return _scroll(f"<table><thead>{head}</thead><tbody>{body}</tbody></table>")


def _methods(plan: TextTo3D) -> str:
    return "<dl>" + "".join(
        f"<dt>{safe(entry.title)} <code>{safe(entry.name)}</code></dt><dd>{safe(entry.note)}</dd>"
        for entry in plan.entries
    ) + "</dl>"  # fmt: skip


def _made() -> str:
    here = describe_machine()
    made = ", ".join(f"{name} {number}" for name, number in package_versions().items())
    return (
        "With the same --out it goes on where it stopped; plays/ holds a run and a mesh of each thing. "
        f"{made}; {here['system']} {here['architecture']}, {here['cores']} cores."
    )


def _cites(plan: TextTo3D) -> list[str]:
    keys = ["msd", *(key for entry in plan.entries for key in entry.references)]
    return keys if plan.guidance == 1 else [*keys, "guidance"]
