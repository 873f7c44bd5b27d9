"""The report of a run: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeseek.experiments.common.results_files import Record, machine, versions
from modeseek.experiments.toy2d.entries import Contestant
from modeseek.reports.html import code, data_uri, details, page, safe, section, small, sources, terms
from modeseek.reports.table import Column, Row, Table

_TYPES = {".png": "image/png", ".gif": "image/gif"}


@dataclass(frozen=True)
class Figure:
    """A picture in a report.

    Attributes:
        path: of the PNG or GIF, which is copied into the page.
        title: above it.
        caption: what one sees.
    """

    path: Path
    title: str
    caption: str


def write_report(
    path: Path,
    record: Record,
    lead: Sequence[str],
    table: Table,
    contestants: Sequence[Contestant],
    figures: Sequence[Figure],
    cites: Sequence[str],
) -> None:
    """Writes the page: what was run, the numbers, the pictures inlined, the methods and where they come from."""
    parts = [
        f"<header><p class='kicker'>modeseek</p><h1>{safe(record.title)}</h1>",
        *(f"<p class='lead'>{safe(text)}</p>" for text in lead),
        "</header>",
        _numbers(table, contestants),
        *map(_figure, figures),
        section("Methods", _methods(contestants)),
        section("Run it again", _again(record)),
        sources([*cites, *(key for c in contestants for key in c.source)]),
    ]
    path.write_text(page(record.title, parts), encoding="utf-8")


def _numbers(table: Table, contestants: Sequence[Contestant]) -> str:
    shown = [c for c in table.columns if any(c.key in row.values for row in table.rows)]
    titles = {c.name: c.title for c in contestants}
    arrow = {"low": " ↓", "high": " ↑", "": ""}
    head = "".join(f"<th title='{safe(c.meaning)}'>{safe(c.heading)}{arrow[c.best]}</th>" for c in shown)
    body = "".join(_row(table, row, shown, titles.get(row.name, row.name)) for row in table.rows)
    return section(
        "Numbers",
        f"<div class='scroll'><table><thead><tr><th>Method</th>{head}</tr></thead><tbody>{body}</tbody></table></div>",
        small(
            "↓ lower is better, ↑ higher is better; bold: best of the methods that follow a direction. "
            "Rows in italics are references."
        ),
        details("What the columns mean", terms((c.heading, c.meaning) for c in shown)),
    )


def _row(table: Table, row: Row, shown: Sequence[Column], title: str) -> str:
    cells = "".join(
        f"<td class='best'>{table.text(row, c)}</td>" if table.is_best(row, c) else f"<td>{table.text(row, c)}</td>"
        for c in shown
    )
    kind = " class='reference'" if row.reference else ""
    return f"<tr{kind}><th scope='row'>{safe(title)}</th>{cells}</tr>"


def _figure(figure: Figure) -> str:
    source = data_uri(figure.path.read_bytes(), _TYPES[figure.path.suffix])
    picture = f"<img src='{source}' alt='{safe(figure.title)}'>"
    return section(figure.title, f"<figure>{picture}<figcaption>{safe(figure.caption)}</figcaption></figure>")


def _methods(contestants: Sequence[Contestant]) -> str:
    items = "".join(f"<dt>{safe(c.title)} <code>{safe(c.name)}</code></dt><dd>{safe(c.note)}</dd>" for c in contestants)
    return f"<dl>{items}</dl>"


def _again(record: Record) -> str:
    made = ", ".join(f"{name} {number}" for name, number in versions().items())
    here = machine()
    return (
        code(record.command)
        + details("All settings", terms(record.settings.items(), tight=True))
        + small(f"{made}; {here['system']} {here['architecture']}, {here['cores']} cores.")
    )
