"""HTML report of a toy benchmark, self-contained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modeseek.experiments.common.metric_table import html_table, used_columns
from modeseek.experiments.common.results_files import RunRecord, environment_line
from modeseek.experiments.toy2d.entries import ToyEntry
from modeseek.reports.html import code, data_uri, details, page, safe, section, small, sources, terms
from modeseek.reports.table import Table

_TYPES = {".png": "image/png", ".gif": "image/gif"}


@dataclass(frozen=True)
class Figure:
    """Figure of a report.

    Attributes:
        path: PNG or GIF file, embedded in the page.
        title: heading of the section.
        caption: caption below the image.
    """

    path: Path
    title: str
    caption: str


def write_report(
    path: Path,
    record: RunRecord,
    lead: Sequence[str],
    table: Table,
    entries: Sequence[ToyEntry],
    figures: Sequence[Figure],
    cites: Sequence[str],
) -> None:
    """Writes the page: summary, metrics, embedded figures, methods, settings and sources."""
    parts = [
        f"<header><p class='kicker'>modeseek</p><h1>{safe(record.title)}</h1>",
        *(f"<p class='lead'>{safe(text)}</p>" for text in lead),
        "</header>",
        _numbers(table, entries),
        *map(_figure, figures),
        section("Methods", _methods(entries)),
        section("Reproduce", _command(record)),
        sources([*cites, *(key for c in entries for key in c.references)]),
    ]
    path.write_text(page(record.title, parts), encoding="utf-8")


def _numbers(table: Table, entries: Sequence[ToyEntry]) -> str:
    table_html = html_table(table, {entry.name: entry.title for entry in entries})
    return section(
        "Metrics",
        f"<div class='scroll'>{table_html}</div>",
        small(
            "↓ lower is better, ↑ higher is better; bold: best of the gradient-based methods. Rows in italics are "
            "references."
        ),
        details("What the columns mean", terms((c.heading, c.meaning) for c in used_columns(table))),
    )


def _figure(figure: Figure) -> str:
    source = data_uri(figure.path.read_bytes(), _TYPES[figure.path.suffix])
    image = f"<img src='{source}' alt='{safe(figure.title)}'>"
    return section(figure.title, f"<figure>{image}<figcaption>{safe(figure.caption)}</figcaption></figure>")


def _methods(entries: Sequence[ToyEntry]) -> str:
    items = "".join(f"<dt>{safe(c.title)} <code>{safe(c.name)}</code></dt><dd>{safe(c.note)}</dd>" for c in entries)
    return f"<dl>{items}</dl>"


def _command(record: RunRecord) -> str:
    settings = details("All settings", terms(record.settings.items(), tight=True))
    return code(record.command) + settings + small(environment_line())
