"""Drawings in the page of a run: what is inlined, what is refused, and the table of numbers."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
from cases import one_line

from modeseek.reports.drawings import inline_svg, read_drawings
from modeseek.rundir.drawing_records import RECORDS, DrawingRecord, read_records, write_records

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64">'
PATH = '<path d="M1 2C3 4 5 6 7.5 -8Z" fill="#ff0010" fill-opacity="0.5"/>'
RECT = '<rect width="64" height="64" fill="#ffffff"/>'
RECORD = DrawingRecord("an-owl-s0.svg", "an <owl> & 'co'", 7, 1234, 3, 2, 1, 1.24e-3)


def svg(inside: str) -> str:
    return f"{HEAD}<title>a &lt;cat&gt;</title>{inside}</svg>"


def test_paths_reach_the_page_and_the_title_is_its_label() -> None:
    markup = inline_svg(svg(RECT + PATH), "a <cat> & 'dog'")
    assert markup == (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 64 64' width='64' height='64' role='img' "
        "aria-label='a &lt;cat&gt; &amp; &#39;dog&#39;'>"
        "<rect width='64' height='64' fill='#ffffff'/>"
        "<path d='M1 2C3 4 5 6 7.5 -8Z' fill='#ff0010' fill-opacity='0.5'/></svg>"
    )


REFUSED = {
    "script": (svg("<script>alert(1)</script>"), "the element 'script'"),
    "html": (svg('<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"/></foreignObject>'), "foreignObject"),
    "image": (svg('<image href="http://example.org/a.png"/>'), "the element 'image'"),
    "use": (svg('<use href="#a"/>'), "the element 'use'"),
    "handler": (svg(PATH.replace("fill=", "onload=", 1)), "the attribute onload"),
    "handler of the root": (svg(PATH).replace("viewBox", "onload", 1), "the attribute onload"),
    "style": (svg(PATH.replace("fill=", "style=", 1)), "the attribute style"),
    "reference": (svg(PATH.replace("#ff0010", "url(http://example.org/a)")), "the attribute fill='url("),
    "child of a path": (svg('<path d="M0 0Z"><set attributeName="d"/></path>'), "must hold paths alone"),
    "entity": ('<!DOCTYPE svg [<!ENTITY a "b">]>' + svg(PATH), "got a declaration"),
    "instruction": ('<?xml-stylesheet href="a.css"?>' + svg(PATH), "got a declaration"),
    "other root": ("<html></html>", "must be an SVG file"),
    "no namespace": ("<svg><path d='M0 0Z'/></svg>", "must be an SVG file"),
    "torn": (svg(PATH)[:-9], "must be an SVG file"),
    "text": ("owl", "must be an SVG file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_anything_else_is_refused_in_one_line(case: str) -> None:
    text, words = REFUSED[case]
    with pytest.raises(ValueError) as caught:
        inline_svg(text, "a cat")
    assert words in one_line(caught.value)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "exports").mkdir()
    for name in ("an-owl-s0.svg", "an-owl-s0.png", "an-owl-s0@8x.png", "an-owl-s01.png"):
        (tmp_path / "exports" / name).write_text(svg(PATH) if name.endswith("svg") else name)
    write_records(tmp_path, [RECORD])
    return tmp_path


def test_records_are_read_as_they_were_written(run: Path) -> None:
    assert read_records(run) == (RECORD,) and read_records(run / "exports") == ()
    write_records(run, [RECORD, replace(RECORD, error=None)])
    assert read_records(run)[1].error is None and asdict(read_records(run)[0]) == asdict(RECORD)


def test_a_drawing_has_its_files_and_its_numbers(run: Path) -> None:
    drawings = read_drawings(run)
    assert drawings.rows == (("an <owl> & 'co'", "7", "1,234", "3", "1", "1.2e-03"),)
    (drawing,) = drawings.shown
    assert drawing.markup is not None and "M1 2C3 4" in drawing.markup
    files = [(label, link.url) for label, link in drawing.files]
    assert files == [
        ("SVG", "./exports/an-owl-s0.svg"),
        ("PNG own size", "./exports/an-owl-s0.png"),
        ("PNG 8x", "./exports/an-owl-s0%408x.png"),
    ]
    write_records(run, [replace(RECORD, error=None)] * 25)
    more = read_drawings(run)
    assert len(more.shown) == 24 and more.n_omitted == 1 and len(more.rows) == 25
    assert more.rows[0][-1] == "not measured"


def test_a_record_leads_to_no_file_outside_and_large_drawings_stay_in_theirs(run: Path) -> None:
    (run.parent / "secret.svg").write_text(svg(PATH))
    write_records(run, [replace(RECORD, file="../../secret.svg")])
    with pytest.raises(OSError):
        read_drawings(run)
    write_records(run, [RECORD])
    (run / "exports" / RECORD.file).write_text(svg(PATH * 4000))
    assert read_drawings(run).shown[0].markup is None


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"file": "a.svg"}]', "3"])
def test_a_damaged_record_is_one_line(text: str, run: Path) -> None:
    (run / RECORDS).write_text(text)
    with pytest.raises(ValueError) as caught:
        read_records(run)
    assert "drawings.json is damaged" in one_line(caught.value)
