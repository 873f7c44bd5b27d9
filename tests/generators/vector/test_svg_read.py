"""Reading of SVG: what resvg shows of a file is what the paths paint; hostile and damaged files get one line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from cases import one_line
from vector_oracle import curve, resvg

from modeseek.generators.vector import svg_walk
from modeseek.generators.vector.paint import paint
from modeseek.generators.vector.paths import canvas_to_pixels
from modeseek.generators.vector.svg_read import read_svg, read_svg_file
from modeseek.io.remarks import RemarkWarning, collect_remarks

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 40 30">'
PAPER = '<path fill="#fff" d="M-999-999H999V999H-999z"/>'  # what renderers show nothing at, on white
ROUND = 'stroke-linecap="round" stroke-linejoin="round"'
PATHS = {  # content -> fills, strokes
    "every command": (
        '<path fill="#e63" d="m2 2h8v3l-3 2 2 4c-2 3-5 3-6 0s2-2-1-4zM14 2H24V6L22 9 26 12C26 14 20 16 18 12S18 8 14 '
        '10z"/><path d="M28 4Q32-4 34 6T38 8Q38 20 30 14t-4-4zM4 18q6-8 10 4t6 2a6 3 20 1 1-9 3A4 4 0 0 1 6 26z" '
        'fill="navy"/>',
        4,
        0,
    ),
    "smooth curves after curves of another kind": (
        '<path fill="#a3c" d="M4 4Q8-2 12 4S18 12 22 4T30 6Q36 10 34 14t-6 4s-8 4-12-2H4z"/>',
        1,
        0,
    ),
    "arc flags without spaces": (
        '<path fill="#283" d="M10 10a8 5 30 11 9 4a2 2 0 00-3-2A9 9 0 014 20z"/>'
        '<path fill="#832" d="M24 9a.1.1 0 0110 0zM26 20A5 0 0 0 1 32 20L30 26z"/>',
        3,
        0,
    ),
    "rectangles": (
        '<rect x="2" y="2" width="12" height="8"/><rect x="18" y="2" width="12" height="8" rx="3" fill="red"/>'
        '<rect x="2" y="14" width="14" height="12" rx="20" ry="4" fill="green"/><rect width="0" height="5"/>'
        '<rect x="50%" y="50%" width="25%" height="10%" fill="blue"/>',
        4,
        0,
    ),
    "ellipses": (
        '<circle cx="10" cy="10" r="8" fill="teal"/><ellipse cx="28" cy="18" rx="10" ry="6" fill="#fa08"/>'
        '<circle cx="10" cy="24" r="0"/><circle cx="38" cy="28" r="10%" fill="rgba(10%,20%,90%,.5)"/>',
        3,
        0,
    ),
    "polygons and lines": (
        '<polygon points="2,2 12,4 8,14 1 9" fill="hsl(120, 60%, 40%)"/>'
        f'<g {ROUND}><polyline points="16 3 24 12 30 3 34 12" fill="none" stroke="purple" stroke-width="2"/>'
        '<line x1="4" y1="20" x2="36" y2="26" stroke="#048" stroke-width="1.5"/>'
        '<polygon points="10 18 20 18 15 24" fill="gold" stroke="black"/></g>',
        2,
        3,
    ),
    "transforms": (
        '<g transform="translate(20 15) rotate(30)"><g transform="scale(1.5,.5)"><rect x="-5" y="-5" width="10" '
        'height="8"/></g><rect transform="matrix(1 .2 -.3 1 4 -8)" width="6" height="5" fill="#07c"/></g>'
        '<circle r="3" transform="skewX(20) translate(8,6), scale(1 -1)" fill="crimson"/>'
        f'<path {ROUND} d="M2 2L6 2 6 5" transform="translate(25,1) rotate(45 3 3) scale(2)" fill="none" '
        'stroke="black"/>',
        3,
        1,
    ),
    "inheritance and opacity": (
        '<g fill="#c00" stroke="#00c" stroke-width="2" stroke-linejoin="round" color="#0a0"><rect x="2" y="2" width="9"'
        ' height="9"/><g fill="currentColor" stroke="none" fill-opacity=".5"><rect x="8" y="6" width="9" height="9"/>'
        '<g opacity="50%"><rect x="14" y="10" width="9" height="9"/></g><rect fill="inherit" x="26" y="3" width="9" '
        'height="9" style="fill-opacity:1;opacity:.3"/></g><rect visibility="hidden" width="40" height="40"/>'
        '<rect display="none" width="40" height="40"/></g><rect width="40" height="40" fill="none"/>'
        '<rect width="40" height="40" fill-opacity="0"/>',
        4,
        1,
    ),
    "css": (
        "<style>/* a */ rect { fill: #123 } .a, #b{fill:orange;opacity:.8} rect.c{fill:red!important} * {stroke:none}"
        '</style><rect class="x a" x="1" y="1" width="9" height="9" fill="#000"/>'
        '<rect x="12" y="1" width="9" height="9"/>'
        '<circle id="b" class="c" cx="30" cy="8" r="6"/><rect class="c" x="4" y="16" width="9" height="9"/>'
        '<rect class="c" x="20" y="16" width="9" height="9" style="fill:#0af"/>',
        5,
        0,
    ),
    "holes": (
        '<path fill="#36c" fill-rule="evenodd" d="M2 2H18V18H2zM5 5H15V15H5zM8 8h4v4h-4z"/>'
        '<path fill="#6c3" d="M22 2H38V18H22zM25 5V15H35V5z"/><path fill="#c36" d="M4 20h8v8h-8zM20 20h8v8h-8z"/>',
        4,
        0,
    ),
    "uses and symbols": (
        '<defs><g id="leaf"><path d="M0 0Q6-4 8 0 4 4 0 0z"/></g><symbol id="box" viewBox="0 0 2 2"><rect width="2" '
        'height="1"/></symbol></defs><use href="#leaf" x="4" y="6" fill="green"/>'
        '<use xlink:href="#leaf" transform="translate(20 8) scale(2)"/>'
        '<use href="#box" x="4" y="14" width="12" height="12" fill="brown"/><use href="#missing"/>',
        3,
        0,
    ),
    "nested canvas": (
        '<svg x="4" y="4" width="20" height="10" viewBox="0 0 10 10" preserveAspectRatio="xMaxYMin">'
        '<rect width="10" height="10"/></svg>'
        '<svg x="4" y="18" width="30" height="10" viewBox="-5 -5 10 10" preserveAspectRatio="none">'
        '<circle r="5" fill="#d60"/></svg>',
        2,
        0,
    ),
    "self-crossing": (
        '<path fill="#939" d="M20 2L28 26 8 10H32L12 26z"/><path fill="#393" fill-rule="evenodd" fill-opacity=".6" '
        'd="M30 2L38 26 18 10H42L22 26z"/>',
        2,
        0,
    ),
    "clip path around the canvas": (
        '<g clip-path="url(#all)"><circle cx="20" cy="15" r="12" fill="#345"/></g>'
        '<defs><clipPath id="all"><rect width="40" height="30" fill="white"/></clipPath></defs>',
        1,
        0,
    ),
}


@pytest.mark.parametrize("case", PATHS)
def test_what_resvg_shows_is_what_the_paths_paint(case: str) -> None:
    """Arcs as quarter cubics are off by 3e-4 radii, here 0.01 pixels; coverages composited at shared edges by more."""
    content, fills, strokes = PATHS[case]
    paths, size = read_svg(f"{HEAD}{content}</svg>")
    assert size == (30, 40) and (paths.n_fills, paths.n_strokes) == (fills, strokes)
    assert paths.background.tolist() == [[1, 1, 1]]
    shown = resvg(f"{HEAD}{PAPER}{content}</svg>", (90, 120), 8)
    error = np.abs(paint(paths, (90, 120))[0].numpy() - shown)
    assert error.mean() < 8e-4 and error.max() < 0.5


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('viewBox="0 0 40 30"', (30, 40)),
        ('width="80" height="60"', (60, 80)),
        ('width="2in" height="1in" viewBox="-10,-5 40 20"', (96, 192)),
        ('width="80" viewBox="0 0 40 30"', (60, 80)),
        ('height="60px" viewBox="0 0 40 30"', (60, 80)),
        ('width="100%" height="100%" viewBox="0 0 40 30"', (30, 40)),
        ('width="1em" height="1em" viewBox="0 0 32 32"', (16, 16)),
        ('width="90" height="60" viewBox="0 0 30 30"', (60, 90)),
        ('width="90" height="60" viewBox="0 0 30 30" preserveAspectRatio="xMinYMid slice"', (60, 90)),
        ('viewBox="0 0 40.4 0.3"', (1, 40)),
    ],
)
def test_canvas(attributes: str, size: tuple[int, int]) -> None:
    content = '<circle cx="12" cy="9" r="6" fill="#a40"/><rect x="14" y="4" width="5" height="20"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>'
    paths, found = read_svg(f"{head}{content}</svg>")
    assert found == size
    if min(size) > 1:  # else the canvas is not that of a whole number of pixels
        head = head.replace("2in", "192").replace("1in", "96")  # resvg takes its own number of dots an inch
        shown = resvg(f"{head}{PAPER}{content}</svg>", size, 8)
        assert np.abs(paint(paths, size)[0].numpy() - shown).mean() < 8e-4


@pytest.mark.parametrize(
    ("content", "color", "fills"),
    [
        ('<rect width="40" height="30" fill="#336699"/><circle r="9"/>', (0.2, 0.4, 0.6), 1),
        ('<path d="M-9 99V-5H50V99z" fill="#336699"/><circle r="9"/>', (0.2, 0.4, 0.6), 1),
        (
            '<g transform="rotate(90)"><rect y="-40" width="30" height="40" fill="#369"/></g><circle r="9"/>',
            (0.2, 0.4, 0.6),
            1,
        ),
        ('<rect width="40" height="29" fill="#369"/>', (1, 1, 1), 1),
        ('<rect width="40" height="30" fill="#369" opacity=".9"/>', (1, 1, 1), 1),
        ('<path d="M0 0H40L60 30H0z" fill="#369"/>', (1, 1, 1), 1),
        ('<circle r="9"/><rect width="40" height="30" fill="#369"/>', (1, 1, 1), 2),
    ],
)
def test_background(content: str, color: tuple[float, ...], fills: int) -> None:
    paths, _ = read_svg(f"{HEAD}{content}</svg>")
    torch.testing.assert_close(paths.background, torch.tensor([color], dtype=torch.float32))
    assert paths.n_fills == fills


@pytest.mark.parametrize(
    ("content", "remark"),
    [
        (
            '<linearGradient id="g"><stop stop-color="red"/><stop offset="1" stop-color="#00f"/></linearGradient>'
            '<rect width="9" height="9" fill="url(#g)"/>',
            "gradients are replaced by their mean colour (1 time)",
        ),
        ('<path d="M1 1L9 9" stroke="red"/><path d="M1 1L9 9" stroke="red"/>', "round caps and joins (2 times)"),
        ('<path d="M1 1L9 9" stroke="red" stroke-linecap="round" stroke-dasharray="2"/>', "dashes are drawn through"),
        ('<circle r="9" stroke="red" transform="scale(1 2)" stroke-linejoin="round"/>', "scaled in one direction"),
        ('<circle r="9"/><text>hi</text>', "text is left out"),
        ('<circle r="9" clip-path="url(#c)"/><clipPath id="c"><circle r="4"/></clipPath>', "clip-path is left out"),
        ('<circle r="9" clip-path="url(#c)"/><clipPath id="c"><rect width="9" height="9"/></clipPath>', "clip-path is"),
        ('<circle r="9" mask="url(#c)"/>', "mask is left out"),
        ('<circle r="9" style="filter:blur(2px)"/>', "filter is left out"),
        ('<circle r="9" marker-end="url(#c)"/>', "markers are left out"),
        ('<pattern id="p"/><circle r="9"/><circle r="9" fill="url(#p)"/>', "by patterns are left out"),
        ('<g opacity=".5"><circle r="9"/><circle r="5"/></g>', "the opacity of groups"),
        ("<style>g rect{fill:red}</style><circle r='9'/>", "CSS rules"),
    ],
)
def test_remarks(content: str, remark: str) -> None:
    with collect_remarks() as remarks, pytest.warns(RemarkWarning):
        read_svg(f"{HEAD}{content}</svg>", name="owl.svg")
    assert len(remarks) == 1 and remarks[0].startswith("owl.svg: ") and remark in remarks[0], remarks


@pytest.mark.parametrize(
    ("stops", "color"),
    [
        ('<stop stop-color="#f00"/><stop offset="1" stop-color="#00f"/>', (0.5, 0, 0.5, 1)),
        ('<stop offset="50%" stop-color="#f00"/><stop offset="50%" style="stop-color:#00f"/>', (0.5, 0, 0.5, 1)),
        ('<stop offset=".75" stop-color="#f00"/><stop offset="1" stop-color="#ff0"/>', (1, 0.125, 0, 1)),
        ('<stop stop-color="#fff" stop-opacity="0"/><stop offset="1" stop-color="#f00"/>', (1, 0, 0, 0.5)),
    ],
)
@pytest.mark.filterwarnings("ignore::modeseek.io.remarks.RemarkWarning")
def test_the_mean_of_a_gradient(stops: str, color: tuple[float, ...]) -> None:
    """Also where the stops are those of another gradient."""
    text = f'{HEAD}<radialGradient id="a" href="#b"/><linearGradient id="b">{stops}</linearGradient>'
    paths, _ = read_svg(f'{text}<rect width="9" height="9" fill="url(#a) none"/></svg>')
    torch.testing.assert_close(paths.colors[0, 0], torch.tensor(color, dtype=torch.float32))


SQUARE = '<path d="M1 1H9V9z"/>'
ENTITIES = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10 if i else "lol"}">' for i in range(10))
USES = "".join(f'<g id="u{i}">{f"""<use href="#u{i - 1}"/>""" * 10 if i else ""}</g>' for i in range(5))
USE = '<use href="#p"/>'
HOSTILE = {
    "empty": (b"", "empty file"),
    "spaces": (" \n", "empty file"),
    "binary": (bytes(range(256)), "no well-formed XML"),
    "text": ("an owl", "no well-formed XML"),
    "half a file": (HEAD + SQUARE, "no well-formed XML"),
    "unknown encoding": (b'<?xml version="1.0" encoding="FOO"?><svg/>', "no well-formed XML"),
    "surrogate": (HEAD + "\ud800</svg>", "surrogate"),
    "web page": (b"<html/>", "root element <html>"),
    "half a gzip file": (gzip.compress(HEAD.encode())[:-9], "whole gzip file"),
    "gzip bomb": (gzip.compress(b"<svg>" + b" " * 50_000_000), "at most 4,000,000 bytes"),
    "billion laughs": (f"<!DOCTYPE svg [{ENTITIES}]>{HEAD}<title>&a9;</title>{SQUARE}</svg>", "no entities"),
    "file by entity": (f'<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>{HEAD}&a;</svg>', "no entities"),
    "parameter entity": (f'<!DOCTYPE svg [<!ENTITY % a SYSTEM "http://a/b"> %a;]>{HEAD}</svg>', "no entities"),
    "script": (f"{HEAD}<script>alert(1)</script>{SQUARE}</svg>", "a script"),
    "image of a file": (f'{HEAD}<image href="file:///etc/passwd"/>{SQUARE}</svg>', "an embedded image"),
    "image in a filter": (f'{HEAD}<filter><feImage href="a.png"/></filter>{SQUARE}</svg>', "an embedded image"),
    "use of a file": (f'{HEAD}<use xlink:href="owl.svg#a"/></svg>', "no other file"),
    "fill of a file": (f'{HEAD}<rect width="9" height="9" fill="url(owl.svg#a)"/></svg>', "no other file"),
    "style sheet": (f"{HEAD}<style>@import 'http://a/b.css';</style>{SQUARE}</svg>", "no other file"),
    "uses without end": (f"{HEAD}{USES}</svg>", "at most 10,000 elements"),
    "uses in circles": (f'{HEAD}<g id="a"><use href="#a"/></g></svg>', "100 levels"),
    "symbols in circles": (f'{HEAD}<symbol id="a"><use href="#a"/></symbol><use href="#a"/></svg>', "100 levels"),
    "deep groups": (f"{HEAD}{'<g>' * 5000}{SQUARE}{'</g>' * 5000}</svg>", "100 levels"),
    "many elements": (f"{HEAD}{'<g/>' * 100_000}</svg>", "at most 10,000 elements"),
    "long path": (f'{HEAD}<path d="M0 0{"l1 1" * 90_000}"/></svg>', "at most 20,000 curves"),
    "closed again and again": (
        f'{HEAD}<path d="M0 0{"h1v1" * 4000}{"z" * 30_000}"/></svg>',
        "at most 2,000 outlines",
    ),
    "many outlines": (f'{HEAD}<path d="{"M0 0h1v1z" * 20_000}"/></svg>', "at most 2,000 outlines"),
    "many lines": (f'{HEAD}<path d="M0 0{"h1zv1" * 20_000}"/></svg>', "at most 2,000 outlines"),
    "many long paths": (f'{HEAD}<path d="M0 0{"l1 1" * 2500}"/>{SQUARE * 100}</svg>', "at most 200,000 curves"),
    "uses of empty data": (f'{HEAD}<path id="p" d="{" " * 900_000}"/>{USE * 999}</svg>', "200,000"),
    "many rules": (f"{HEAD}<style>{'.a{fill:red}' * 9000}</style>{SQUARE}</svg>", "at most 1,000 CSS rules"),
    "long transform": (f'{HEAD}<g transform="{"matrix(" * 90_000}">{SQUARE}</g></svg>', "at most 10,000 characters"),
    "huge numbers": (f'{HEAD}<path d="M0 0L1e30 0 5 5z"/></svg>', "within 1000 times"),
    "infinite numbers": (f'{HEAD}<path d="M0 0L1e999 0 5 5z"/></svg>', "within 1000 times"),
    "wide stroke": (
        f'{HEAD}<path d="M0 0L5 5" stroke="red" stroke-linecap="round" stroke-width="1e9"/></svg>',
        "within",
    ),
    "huge arc": (f'{HEAD}<path d="M0 0A1e200 1e200 0 0 1 5 5z"/></svg>', "grammar"),
    "huge canvas": (f'<svg width="1e9" height="1e9">{SQUARE}</svg>', "from 0 to 32,768"),
    "no canvas": (f"<svg>{SQUARE}</svg>", "no width"),
    "empty canvas": (f'<svg viewBox="0 0 0 9">{SQUARE}</svg>', "positive width"),
    "NaN": (f'{HEAD}<path d="M0 0L NaN 5z"/></svg>', "grammar"),
    "half a command": (f'{HEAD}<path d="M0 0 h"/></svg>', "grammar"),
    "no start": (f'{HEAD}<path d="L5 5 9 9z"/></svg>', "grammar"),
    "closed before it begins": (f'{HEAD}<path d="z"/></svg>', "grammar"),
    "transform of nothing": (f'{HEAD}<g transform="scale()">{SQUARE}</g></svg>', "transforms must be"),
    "infinite transform": (f'{HEAD}<g transform="scale(1e999)">{SQUARE}</g></svg>', "within 1000 times"),
    "relative transform": (f'{HEAD}<g transform="translate(5%)">{SQUARE}</g></svg>', "transforms must be"),
    "no colour": (f'{HEAD}<path d="M1 1H9V9z" fill="reddish"/></svg>', "got 'reddish'"),
    "half a colour": (f'{HEAD}<path d="M1 1H9V9z" fill="rgb(1,2)"/></svg>', "colours of the SVG"),
    "no paths": (f"{HEAD}<g/></svg>", "at least one fill or stroke"),
    "background alone": (f'{HEAD}<rect width="40" height="30"/></svg>', "at least one fill or stroke"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.filterwarnings("ignore::modeseek.io.remarks.RemarkWarning")
def test_hostile_and_damaged_files(case: str) -> None:
    data, words = HOSTILE[case]
    with pytest.raises(ValueError) as error:
        read_svg(data)
    text = one_line(error.value)
    assert words in text and len(text) < 300, text


def test_uses_count_the_curves_of_what_they_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read again each time: 999 uses of a path at its limit would take ten minutes."""
    monkeypatch.setattr(svg_walk, "MAX_CUBICS", 30)
    square = SQUARE.replace("<path", '<path id="p"')
    read_svg(f"{HEAD}{square}{USE * 14}</svg>")
    with pytest.raises(ValueError, match="at most 30 curves, uses counted"):
        read_svg(f"{HEAD}{square}{USE * 15}</svg>")


@pytest.mark.parametrize(
    "data",
    [
        f'<?xml version="1.0" encoding="UTF-16"?>{HEAD}{SQUARE}</svg>'.encode("utf-16"),
        f'<?xml version="1.0" encoding="UTF-16"?>{HEAD}{SQUARE}</svg>',
        f'<?xml version="1.0" encoding="ISO-8859-1"?>{HEAD}<title>\xe9</title>{SQUARE}</svg>'.encode("latin1"),
        f'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/svg11.dtd">{HEAD}{SQUARE}</svg>',
        gzip.compress(f"\ufeff{HEAD}{SQUARE}</svg>".encode()),
        f'<svg viewBox="0 0 40 30"><a href="http://a.b">{SQUARE}</a></svg>',
        f"{HEAD}{SQUARE}<metadata/><x:y xmlns:x='z'><x:path d='M0 0H9V9'/></x:y></svg>",
    ],
    ids=["utf-16", "text that names utf-16", "latin 1", "document type", "gzip", "no namespace", "other namespaces"],
)
def test_harmless_files(data: str | bytes) -> None:
    paths, _ = read_svg(data)
    assert (paths.n_fills, paths.cubics) == (1, 3)


def test_a_circle_is_four_cubics_off_by_less_than_3e_4_radii() -> None:
    """As is an arc of three quarters with its chord."""
    for content in ('<circle cx="20" cy="15" r="10"/>', '<path d="M30 15A10 10 0 1 1 20 5z"/>'):
        paths, size = read_svg(f"{HEAD}{content}</svg>", like=torch.empty(0, dtype=torch.float64))
        assert paths.cubics == 4
        pixels = canvas_to_pixels(paths.fill_curves()[0, 0, : 3 if "A" in content else 4], size).numpy()
        radii = np.linalg.norm(np.concatenate([curve(control, 50) for control in pixels]) - [20, 15], axis=1)
        assert np.abs(radii / 10 - 1).max() < 3e-4


def test_files(tmp_path: Path) -> None:
    (tmp_path / "owl.svgz").write_bytes(gzip.compress(f"{HEAD}{SQUARE}</svg>".encode()))
    assert read_svg_file(tmp_path / "owl.svgz", background=(0.5, 1.0, 1.0))[0].background.tolist() == [[0.5, 1, 1]]
    (tmp_path / "no.svg").write_text("no")
    for name in ("no.svg", "missing.svg", "."):
        with pytest.raises(ValueError, match=str(tmp_path)) as error:
            read_svg_file(tmp_path / name)
        one_line(error.value)


@pytest.mark.parametrize(
    ("text", "color"),
    [
        ("aliceblue", (240, 248, 255, 1)),
        ("RebeccaPurple", (102, 51, 153, 1)),
        ("#1af", (17, 170, 255, 1)),
        ("#11AAFF80", (17, 170, 255, 128 / 255)),
        ("rgb(300, 12.75, -3)", (255, 12.75, 0, 1)),
        ("rgb(10% 20% 90% / 50%)", (25.5, 51, 229.5, 0.5)),
        ("hsl(120 100% 50%)", (0, 255, 0, 1)),
        ("hsla(-120deg, 100%, 25%, .25)", (0, 0, 127.5, 0.25)),
        ("currentColor", (255, 0, 0, 1)),
    ],
)
def test_colours(text: str, color: tuple[float, ...]) -> None:
    paths, _ = read_svg(f'{HEAD}<g color="red"><path d="M1 1H9V9z" fill="{text}"/></g></svg>')
    expected = torch.tensor([*color[:3], 255 * color[3]], dtype=torch.float64).float() / 255
    torch.testing.assert_close(paths.colors[0, 0], expected)
