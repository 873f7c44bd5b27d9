"""The report of the experiment: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modeseek.experiments.text_to_3d.plan import TextTo3D
from modeseek.experiments.text_to_3d.table import COLUMNS, Result
from modeseek.experiments.text_to_image.measure import Measured
from modeseek.io.atomic import write_whole
from modeseek.reports.html import alarm, code, data_uri, details, hint, page, safe, section, small, sources, terms
from modeseek.reports.table import Column
from modeseek.rundir.environment import machine, versions
from modeseek.rundir.run_dir import Run

_ARROWS = {"low": " ↓", "high": " ↑", "": ""}
_SHOWN = ("iou", "right", "delta_e", "psnr", "saturation", "true_saturation", "fronts", "fronts_judged", "watertight",
          "seconds")  # fmt: skip
_LOOK = (
    "A row a caption, a column a method, the truth first; of each thing the front and right side, below them the back "
    "and left side, of the first seed, whatever came of it. Seek a front that is there twice or not at all, haze "
    "around the thing, glaring or faint colours, and parts that are missing."
)


@dataclass(frozen=True)
class Shown:
    """What a report shows.

    Attributes:
        table: all methods.
        fronts: with and without being told the view.
        titles: of the rows of both.
        findings: what one sees, a sentence each.
        lacking: what could not be made or measured, a sentence each.
        results: play by play.
        sheet: the contact sheet, PNG.
        film: all turning, GIF.
    """

    table: Measured
    fronts: Measured
    titles: Mapping[str, str]
    findings: Sequence[str]
    lacking: Sequence[str]
    results: Sequence[Result]
    sheet: bytes
    film: bytes


def write_page(run: Run, plan: TextTo3D, shown: Shown) -> None:
    """Writes `report.html`: numbers, pictures, what is lacking, costs, methods, settings, sources."""
    title = "Text to 3-D under " + ("the exact prior of renders" if plan.exact else plan.prior)
    parts = [
        f"<header><p class='kicker'>modeseek</p><h1>{safe(title)}</h1>",
        *(f"<p class='lead'>{safe(text)}</p>" for text in shown.findings),
        "</header>",
        section("What is lacking, and what to beware of", *map(alarm, shown.lacking)),
        section("Numbers", html_table(shown.table, shown.titles), *_meaning(shown.table)),
        section("Pictures", hint(_LOOK), _figure(shown.sheet, "image/png", "a row a caption, a column a method")),
        section("All around", _figure(shown.film, "image/gif", "the same things, turning together")),
        section("Fronts, with and without being told the view", *_fronts(shown)),
        section("Costs", _costs(plan)),
        section("Thing by thing", details(f"{len(shown.results)} things", _each(plan, shown.results))),
        section("Methods", _methods(plan)),
        section("Captions", "<ol>" + "".join(f"<li>{safe(text)}</li>" for text in plan.captions) + "</ol>"),
        section("Configuration", code((run.path / "config.yaml").read_text(encoding="utf-8"))),
        section("Run it again", code(run.command), small(_made())),
        sources(_cites(plan)),
    ]
    write_whole(run.path / "report.html", page(title, parts))


def html_table(table: Measured, titles: Mapping[str, str]) -> str:
    """The table with its intervals; the best of each column is marked, references are set apart."""
    shown = _used(table)
    head = "".join(f"<th title='{safe(c.meaning)}'>{safe(c.heading)}{_ARROWS[c.best]}</th>" for c in shown)
    body = ""
    for row in table.rows:
        cells = "".join(
            f"<td{' class=best' if table.is_best(row, c) else ''}>{safe(table.text(row, c))}</td>" for c in shown
        )
        kind = " class='reference'" if row.reference else ""
        body += f"<tr{kind}><th scope='row'>{safe(titles.get(row.name, row.name))}</th>{cells}</tr>"
    return _scroll(f"<tr><th>Method</th>{head}</tr>", body)


def _used(table: Measured) -> list[Column]:
    return [c for c in table.columns if any(c.key in row.values for row in table.rows)]


def _scroll(head: str, body: str) -> str:
    table = f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"
    return f"<div class='scroll' tabindex='0'>{table}</div>"


def _meaning(table: Measured) -> list[str]:
    return [
        small(
            "↓ lower is better, ↑ higher is better; bold: best of the methods. The truth's row is what a perfect thing "
            "would get from the same judge, which errs now and then. Intervals hold 95 % of the means that resampled "
            "things give; where all things are equal there is none. Methods that played fewer captions do not compare "
            "row by row: the sentences above compare equal captions and seeds, and of twenty such comparisons of "
            "equals one leaves 0 out by chance."
        ),
        details("What the columns mean", terms((c.heading, c.meaning) for c in _used(table))),
    ]


def _figure(data: bytes, kind: str, words: str) -> str:
    return f"<figure><img src='{data_uri(data, kind)}' alt='{safe(words)}'></figure>"


def _fronts(shown: Shown) -> list[str]:
    if not shown.fronts.rows:
        return []
    told = small("Only captions with a front. Untold, the truth is turned to where it fits best before it is compared.")
    return [html_table(shown.fronts, shown.titles), told]


def _costs(plan: TextTo3D) -> str:
    body = ""
    for player in plan.players:
        first, each = plan.calls(player, plan.tellings[0])
        steps = plan.steps_of(player, plan.tellings[0])
        cells = [steps, each, first, f"{(first + each * steps) * plan.views:,}"]
        told = "".join(f"<td>{cell}</td>" for cell in cells)
        body += f"<tr><th scope='row'>{safe(player.title)}</th>{told}</tr>"
    heads = ("Method", "Steps", "Calls a step and view", "Calls before", "Calls a thing")
    return _scroll("<tr>" + "".join(f"<th>{name}</th>" for name in heads) + "</tr>", body) + small(
        "A prior call is one answer for one view; guided answers are two. All may spend equally many, so who asks more "
        "often in a step takes fewer steps. What a second network of VSD's costs is in the seconds alone."
    )


def _each(plan: TextTo3D, results: Sequence[Result]) -> str:
    columns = [c for key in _SHOWN for c in COLUMNS if c.key == key]
    head = "".join(f"<th title='{safe(c.meaning)}'>{safe(c.heading)}</th>" for c in columns)
    body = ""
    for one in results:
        values = (format(one.measures[c.key], c.spec) if c.key in one.measures else "–" for c in columns)
        cells = "".join(f"<td>{safe(value)}</td>" for value in values)
        name = f"{plan.captions[one.play.caption]}, {one.play.player.title}, {one.play.telling.name}, {one.play.seed}"
        body += f"<tr><th scope='row'>{safe(name)}</th>{cells}</tr>"
    return _scroll(f"<tr><th>Caption, method, consistency, seed</th>{head}</tr>", body)


def _methods(plan: TextTo3D) -> str:
    return "<dl>" + "".join(
        f"<dt>{safe(player.title)} <code>{safe(player.name)}</code></dt><dd>{safe(player.note)}</dd>"
        for player in plan.players
    ) + "</dl>"  # fmt: skip


def _made() -> str:
    here = machine()
    made = ", ".join(f"{name} {number}" for name, number in versions().items())
    return (
        "With the same --out it goes on where it stopped; plays/ holds a run and a mesh of each thing. "
        f"{made}; {here['system']} {here['architecture']}, {here['cores']} cores."
    )


def _cites(plan: TextTo3D) -> list[str]:
    keys = ["msd", *(key for player in plan.players for key in player.source)]
    return keys if plan.guidance == 1 else [*keys, "guidance"]
