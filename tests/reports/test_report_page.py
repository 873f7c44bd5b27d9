"""Reports are self-contained, show the table and cite sources; tables mark the best cells."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from PIL import Image

from modeseek.citations.bibtex import bibtex, find_sources, read_sources
from modeseek.experiments.toy2d.entries_tuned import DIGITS_ENTRIES, TOY2D_ENTRIES
from modeseek.metrics.bootstrap import Estimate
from modeseek.reports.page import render_page
from modeseek.reports.results_page import ImageSection, ResultsPage, TableSection, write_results_page
from modeseek.reports.table import Column, Row, Table, row_values
from modeseek.rundir.run_dir import Run

COLUMNS = (
    Column("nll", "NLL", "Low is good <&>.", ".2f", "low", references=("mmd",)),
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
    run = Run.create(
        {"verb": "toy", "problem": "<i>"},
        name_parts=[],
        command=["modeseek", "toy", "--out", "a b"],
        prior={},
        out=tmp_path / "run",
    )
    entries = [TOY2D_ENTRIES[name] for name in ("ddim", "sds", "msd")]
    costs = Table((Column("steps", "Steps", "Number.", ",.0f"),), (Row("sds", {"steps": 1e4}),))
    page = ResultsPage(
        "A <title> & more",
        ["What <b>one</b> sees."],
        TableSection("Metrics", TABLE, {"sds": "SDS <i>"}, ["Bold: <best>."]),
        [ImageSection.read(image, "Dots", "Red ones."), ImageSection("None", None, "No image.", "A hint.")],
        ["a <row> is missing", "x" * 500],
        [TableSection("Costs", costs), TableSection("Runs", costs, corner="Run", folded=True)],
        entries,
        ["a <red> cone", "a\x00\x1b[31m\ud800 sphere\r\n"],
        "Resume it so.",
        ["digits"],
    )
    write_results_page(run, page)
    return Page((run.path / "report.html").read_text(encoding="utf-8"))


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
    for words in ("A <title> & more", "modeseek toy --out 'a b'", "What <b>one</b> sees.", "-0.25", "799", "Red ones.",
                  "SDS <i>", "Bold: <best>.", "No image.", "A hint.", "a <row> is missing", "10,000", "1 row",
                  "a <red> cone", "a��[31m� sphere\n", "Resume it so.", "problem: <i>", "torch 2"):  # fmt: skip
        assert words in text, words
    assert "x" * 400 in text and "x" * 401 not in text
    assert page.tags.count("img") == 1 and not {"b", "i", "red", "row", "best"} & set(page.tags)
    assert "Never" not in text  # a column without values
    assert "Low is good <&>." in text


def test_it_cites_the_methods_and_measures(page: Page) -> None:
    links = {value for tag, name, value in page.attributes if (tag, name) == ("a", "href")}
    assert {"https://arxiv.org/abs/2502.15989", "https://arxiv.org/abs/2209.14988"} <= links
    text = " ".join(page.words)
    assert "A Kernel Two-Sample Test" in text and "@misc{msd," in text and "@misc{digits," in text
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
    text = bibtex(["msd", "sds", "msd", *read_sources()])
    assert sorted(re.findall(r"^@\w+\{([^,]+),$", text, re.M)) == sorted(read_sources())
    assert text.count("{") == text.count("}")
    for source in read_sources().values():
        assert not source.venue.startswith("arXiv") or source.url.endswith(source.venue.removeprefix("arXiv "))
    with pytest.raises(KeyError):
        find_sources(["nobody"])


def test_intervals_and_deviations_stand_beside_their_numbers() -> None:
    columns = (Column("kid", "KID", "Low is good.", ".2f", "low"), Column("calls", "Calls", "Neither.", ",.3g"))
    estimates = {"kid": Estimate(0.5, (0.25, 1.0)), "calls": Estimate(6.0)}
    rows = (Row("a", row_values(estimates) | {"calls_spread": 0.125}), Row("b", {"kid": 0.75, "kid_spread": 0.125}))
    table = Table(columns, rows)
    assert [table.text(rows[0], column) for column in columns] == ["0.50 [0.25, 1.00]", "6 ± 0.12"]
    assert [table.text(rows[1], column) for column in columns] == ["0.75 ± 0.12", "–"]
    assert table.csv().splitlines() == [
        "method,kid,kid_low,kid_high,kid_spread,calls,calls_spread", "a,0.5,0.25,1.0,,6.0,0.125", "b,0.75,,,0.125,,",
    ]  # fmt: skip
    assert table.is_best(rows[0], columns[0]) and table.markdown({}).splitlines()[2] == (
        "| a | **0.50 [0.25, 1.00]** | 6 ± 0.12 |"
    )


def test_a_page_without_one_of_its_values_is_refused() -> None:
    values = dict.fromkeys(["names", "previews", "warnings", "common", "partial", "charts", "legend", "facts"], {})
    assert "<h2>Metrics</h2>" in render_page("compare", title="A page", table=TABLE, note="", **values)
    with pytest.raises(UndefinedError, match="'note'"):
        render_page("compare", title="A page", table=TABLE, **values)
