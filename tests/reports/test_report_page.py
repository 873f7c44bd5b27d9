"""Reports are self-contained, show the table and cite sources; tables mark the best cells."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from modeseek.citations.bibtex import SOURCES, bibtex, find_sources
from modeseek.experiments.common.results_files import RunRecord
from modeseek.experiments.toy2d.entries_tuned import DIGITS_ENTRIES, TOY2D_ENTRIES
from modeseek.experiments.toy2d.report import Figure, write_report
from modeseek.reports.table import Column, Row, Table

COLUMNS = (
    Column("nll", "NLL", "Low is good <&>.", ".2f", "low"),
    Column("recall", "Recall", "High is good.", ".2f", "high"),
    Column("calls", "Calls", "Neither.", ".0f"),
    Column("never", "Never", "No row has it.", ".1f"),
)
TABLE = Table(
    COLUMNS,
    (
        Row("ddim", {"nll": -9.0, "recall": 1.0, "calls": 10.0}, reference=True),
        Row("sds", {"nll": 0.5, "recall": 0.31, "calls": 800.0}),
        Row("msd", {"nll": -0.25, "recall": 0.309, "calls": 799.0}),
    ),
)


class Page(HTMLParser):
    """All attributes and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def page(tmp_path: Path) -> Page:
    image = tmp_path / "dot.png"
    Image.new("RGB", (2, 2), "red").save(image)
    record = RunRecord("A <title> & more", "modeseek toy --out 'a b'", {"seed": 3})
    entries = [TOY2D_ENTRIES[name] for name in ("ddim", "sds", "msd")]
    figures = [Figure(image, "Dots", "Red ones.")]
    path = tmp_path / "report.html"
    write_report(path, record, ["What one sees."], TABLE, entries, figures, ["mmd"])
    return Page(path.read_text(encoding="utf-8"))


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(page.tags)
    loads = [value for _, name, value in page.attributes if name in ("src", "srcset", "data", "poster", "background")]
    assert loads and all(value.startswith("data:image/") for value in loads)
    style = "".join(page.words)
    assert "@import" not in style and "url(" not in style
    assert all(tag == "a" for tag, name, _ in page.attributes if name == "href")  # links wait for a click


def test_images_are_inlined_unchanged(page: Page, tmp_path: Path) -> None:
    (source,) = [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    assert base64.b64decode(source.split(",", 1)[1]) == (tmp_path / "dot.png").read_bytes()


def test_it_shows_command_and_findings(page: Page) -> None:
    text = " ".join(page.words)
    for words in ("A <title> & more", "modeseek toy --out 'a b'", "What one sees.", "-0.25", "799", "Red ones."):
        assert words in text
    assert "Never" not in text  # a column without values
    assert "Low is good <&>." in text


def test_it_cites_the_methods_and_measures(page: Page) -> None:
    links = {value for tag, name, value in page.attributes if (tag, name) == ("a", "href")}
    assert {"https://arxiv.org/abs/2502.15989", "https://arxiv.org/abs/2209.14988"} <= links
    text = " ".join(page.words)
    assert "A Kernel Two-Sample Test" in text and "@misc{msd," in text
    assert "2405.15891" not in text  # SDI is not among the methods


def test_the_best_is_marked_among_equals_only() -> None:
    nll, recall, calls, _ = COLUMNS
    ddim, sds, msd = TABLE.rows
    assert [TABLE.is_best(row, nll) for row in (ddim, sds, msd)] == [False, False, True]
    assert [TABLE.is_best(row, recall) for row in (ddim, sds, msd)] == [False, True, True]  # equal as printed
    assert not any(TABLE.is_best(row, calls) for row in TABLE.rows)
    assert TABLE.text(ddim, COLUMNS[3]) == "–"


def test_csv_keeps_all_digits() -> None:
    lines = TABLE.csv().splitlines()
    assert lines[0] == "method,nll,recall,calls,never"
    assert lines[3] == "msd,-0.25,0.309,799.0,"


def test_every_entry_cites_known_sources() -> None:
    for entry in (*TOY2D_ENTRIES.values(), *DIGITS_ENTRIES.values()):
        assert entry.references and find_sources(entry.references), entry.name


def test_bibtex_has_each_source_once_and_is_balanced() -> None:
    text = bibtex(["msd", "sds", "msd", *SOURCES])
    assert sorted(re.findall(r"^@misc\{([^,]+),$", text, re.M)) == sorted(SOURCES)
    assert text.count("{") == text.count("}")
    for source in SOURCES.values():
        assert not source.venue.startswith("arXiv") or source.url.endswith(source.venue.removeprefix("arXiv "))
    with pytest.raises(KeyError):
        find_sources(["nobody"])
