"""The report of a run: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from modeseek.cite import bibtex, cited
from modeseek.runs.report.style import CSS
from modeseek.runs.report.table import Column, Row, Table
from modeseek.runs.toy.contest import Contestant
from modeseek.runs.toy.record import Record, machine, versions

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
    sources: Sequence[str],
) -> None:
    """Writes the page: what was run, the numbers, the pictures inlined, the methods and where they come from."""
    wanted = [*sources, *(key for c in contestants for key in c.source)]
    parts = [
        f"<header><p class='kicker'>modeseek</p><h1>{escape(record.title)}</h1>",
        *(f"<p class='lead'>{escape(text)}</p>" for text in lead),
        "</header>",
        _numbers(table, contestants),
        *map(_figure, figures),
        _methods(contestants),
        _again(record),
        _sources(wanted),
    ]
    page = (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta name='color-scheme' content='light dark'>"
        f"<title>{escape(record.title)} · modeseek</title><style>{CSS}</style></head>\n"
        f"<body><main>\n{chr(10).join(parts)}\n</main></body></html>\n"
    )
    path.write_text(page, encoding="utf-8")


def _numbers(table: Table, contestants: Sequence[Contestant]) -> str:
    shown = [c for c in table.columns if any(c.key in row.values for row in table.rows)]
    titles = {c.name: c.title for c in contestants}
    arrow = {"low": " ↓", "high": " ↑", "": ""}
    head = "".join(
        f"<th title='{escape(c.meaning, quote=True)}'>{escape(c.heading)}{arrow[c.best]}</th>" for c in shown
    )
    body = "".join(_row(table, row, shown, titles.get(row.name, row.name)) for row in table.rows)
    terms = "".join(f"<dt>{escape(c.heading)}</dt><dd>{escape(c.meaning)}</dd>" for c in shown)
    return (
        "<section><h2>Numbers</h2><div class='scroll'><table><thead><tr><th>Method</th>"
        f"{head}</tr></thead><tbody>{body}</tbody></table></div>"
        "<p class='small'>↓ lower is better, ↑ higher is better; bold: best of the methods that follow a direction. "
        "Rows in italics are references.</p>"
        f"<details><summary>What the columns mean</summary><dl>{terms}</dl></details></section>"
    )


def _row(table: Table, row: Row, shown: Sequence[Column], title: str) -> str:
    cells = "".join(
        f"<td class='best'>{table.text(row, c)}</td>" if table.is_best(row, c) else f"<td>{table.text(row, c)}</td>"
        for c in shown
    )
    kind = " class='reference'" if row.reference else ""
    return f"<tr{kind}><th scope='row'>{escape(title)}</th>{cells}</tr>"


def _figure(figure: Figure) -> str:
    data = base64.b64encode(figure.path.read_bytes()).decode("ascii")
    source = f"data:{_TYPES[figure.path.suffix]};base64,{data}"
    alt = escape(figure.title, quote=True)
    return (
        f"<section><h2>{escape(figure.title)}</h2><figure><img src='{source}' alt='{alt}'>"
        f"<figcaption>{escape(figure.caption)}</figcaption></figure></section>"
    )


def _methods(contestants: Sequence[Contestant]) -> str:
    items = "".join(
        f"<dt>{escape(c.title)} <code>{escape(c.name)}</code></dt><dd>{escape(c.note)}</dd>" for c in contestants
    )
    return f"<section><h2>Methods</h2><dl>{items}</dl></section>"


def _again(record: Record) -> str:
    settings = "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in record.settings.items())
    made = ", ".join(f"{name} {number}" for name, number in versions().items())
    here = machine()
    return (
        f"<section><h2>Run it again</h2><pre><code>{escape(record.command)}</code></pre>"
        f"<details><summary>All settings</summary><dl class='tight'>{settings}</dl></details>"
        f"<p class='small'>{escape(made)}; {here['system']} {here['architecture']}, {here['cores']} cores.</p>"
        "</section>"
    )


def _sources(keys: Sequence[str]) -> str:
    lines = "".join(
        f"<li><a href='{escape(s.url, quote=True)}'>{escape(s.line)}</a></li>"
        if s.url
        else f"<li>{escape(s.line)}</li>"
        for s in cited(keys)
    )
    return (
        f"<section><h2>Sources</h2><ul>{lines}</ul>"
        f"<details><summary>BibTeX</summary><pre><code>{escape(bibtex(keys))}</code></pre></details></section>"
    )
