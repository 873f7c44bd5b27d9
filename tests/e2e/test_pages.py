"""Every report page in a real browser: it renders without errors or requests, and its slider moves."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fabricated_runs import fabricate, scatter
from playwright.sync_api import Browser, Page, Route

from modeseek.experiments.toy2d.entries_tuned import TOY2D_ENTRIES
from modeseek.reports.compare_page import write_comparison
from modeseek.reports.results_page import ImageSection, ResultsPage, TableSection, write_results_page
from modeseek.reports.run_page import write_run_page
from modeseek.reports.table import Column, Row, Table
from modeseek.rundir.run_dir import Run

SCHEMES = ("light", "dark")
HOSTILE = "</style><script>window.hurt = 1</script><img src='https://example.com/x.png' onerror='window.hurt = 1'>"
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs=")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with everything: previews, video, all curves."""
    return fabricate(tmp_path_factory.mktemp("runs") / "msd-ring-20260101T000000Z-ab12")


@contextmanager
def opened(
    browser: Browser, path: Path, scheme: str = "light", width: int = 1280, script: bool = True
) -> Iterator[Page]:
    """The page in a fresh context; at the end it must have logged no message and requested nothing else."""
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 900},
        java_script_enabled=script,
    )
    page, complaints, requests = context.new_page(), [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("request", lambda request: requests.append(request.url))
    try:
        page.goto(path.as_uri(), wait_until="load")
        yield page
        page.wait_for_timeout(50)
        assert complaints == []
        assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    finally:
        context.close()


def check_rendered(page: Page, images: int, curves: int) -> None:
    """Images have pixels, curves have length, and nothing overflows the window."""
    layout = page.evaluate(
        """() => ({
            widths: [...document.images].map(image => image.complete ? image.naturalWidth : 0),
            shown: [...document.images].filter(image => image.checkVisibility()).length,
            lengths: [...document.querySelectorAll('.curve path.line')].map(path => path.getTotalLength()),
            strokes: [...document.querySelectorAll('.curve path.line')].map(path => getComputedStyle(path).stroke),
            inside: [...document.querySelectorAll('.curve svg')].filter(svg => svg.checkVisibility())
                .every(svg => svg.getBoundingClientRect().width > 150),
            wide: document.documentElement.scrollWidth - window.innerWidth,
        })"""
    )
    assert len(layout["widths"]) == layout["shown"] == images and all(width > 0 for width in layout["widths"])
    assert len(layout["lengths"]) >= curves and all(length > 50 for length in layout["lengths"])
    assert "none" not in layout["strokes"] and layout["inside"]
    assert layout["wide"] <= 0


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_run_renders(browser: Browser, run: Run, scheme: str, width: int) -> None:
    with opened(browser, write_run_page(run), scheme, width) as page:
        assert page.title() == "MSD on ring · modeseek"
        check_rendered(page, images=1 + 2 + 8 + 1, curves=5)
        for summary in page.locator("summary").all():
            summary.click()  # folded content fits too
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_light_and_dark_differ_and_both_can_be_read(browser: Browser, run: Run) -> None:
    backgrounds = []
    for scheme in SCHEMES:
        with opened(browser, write_run_page(run), scheme) as page:
            for selector in (
                "h1",
                "section p.watch",
                "section .small",
                ".state",
                ".curve text",
                ".curve path.line",
                "a",
            ):
                ratio = page.evaluate(_CONTRAST, selector)
                assert ratio >= (3 if "line" in selector else 4.5), (scheme, selector, ratio)  # WCAG 2.1 AA
            backgrounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert backgrounds[0] != backgrounds[1]


_CONTRAST = """(chosen) => {
    const light = (colour) => {
        const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const node = document.querySelector(chosen), style = getComputedStyle(node);
    const ink = node.matches('text') ? style.fill : node.matches('path') ? style.stroke : style.color;
    let ground = node;
    while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
    const [a, b] = [light(ink), light(getComputedStyle(ground).backgroundColor)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
}"""


def test_the_slider_moves_by_keyboard_and_by_mouse(browser: Browser, run: Run) -> None:
    with opened(browser, write_run_page(run)) as page:
        slider, after = page.locator(".versus input"), page.locator(".versus figure + figure img")
        clip = "image => getComputedStyle(image).clipPath"
        assert slider.is_visible() and after.evaluate(clip) == "inset(0px 0px 0px 15%)"
        slider.focus()
        page.keyboard.press("ArrowRight")
        assert after.evaluate(clip) == "inset(0px 0px 0px 16%)"
        page.keyboard.press("Home")
        assert after.evaluate(clip) == "inset(0px 0px 0px 0%)"
        assert slider.get_attribute("aria-valuetext") == "0 % before, 100 % after"
        box = after.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 0.5 * box["height"])
        share = float(slider.input_value())
        assert share == pytest.approx(75, abs=2)  # the boundary is where the image was clicked
        both = page.locator(".versus img").all()
        assert both[0].bounding_box() == both[1].bounding_box()


def test_both_halves_have_one_size_though_the_images_differ(browser: Browser, tmp_path: Path) -> None:
    run = fabricate(tmp_path / "run", done=2, steps=400, n_previews=2, video=False)
    scatter(0.0).resize((400, 268)).save(run.path / "previews" / "step-00000000.png")
    scatter(0.1).resize((392, 262)).save(run.path / "previews" / "step-00000002.png")
    with opened(browser, write_run_page(run)) as page:
        before, after = (image.bounding_box() for image in page.locator(".versus img").all())
        assert before == after is not None and after["width"] / after["height"] == pytest.approx(392 / 262, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
def test_terms_are_explained_by_mouse_keyboard_and_touch(browser: Browser, run: Run, width: int) -> None:
    with opened(browser, write_run_page(run), width=width) as page:
        for term in page.locator(".term").all():
            if not term.is_visible():  # in what is folded
                continue
            tip = term.locator("[role=tooltip]")
            assert not tip.is_visible()
            term.hover()
            assert tip.is_visible()
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            box = tip.bounding_box()
            assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width
            page.mouse.move(0, 0)
            assert not tip.is_visible()
            term.click(position={"x": 3, "y": 3})
            page.mouse.move(0, 0)
            assert tip.is_visible()  # as after a tap
            page.keyboard.press("Escape")
            assert not tip.is_visible()
            term.focus()
            assert tip.is_visible()
            page.keyboard.press("Escape")


def test_curves_tell_their_values_by_mouse_and_keys(browser: Browser, run: Run) -> None:
    with opened(browser, write_run_page(run)) as page:
        chart = page.locator(".curve").nth(0)
        svg, output = chart.locator("svg"), chart.locator("output")
        assert output.inner_text() == ""
        box = svg.bounding_box()
        assert box is not None
        left, right = (54 / 420 * box["width"], (1 - 12 / 420) * box["width"])  # the axis from step 0 to 399
        svg.hover(position={"x": (left + right) / 2, "y": box["height"] / 2})
        match = re.fullmatch(r"step (\d+): (\S+)", output.inner_text())
        assert match is not None and abs(int(match[1]) - 200) <= 3
        assert float(match[2]) == pytest.approx(0.5 * math.exp(-int(match[1]) / 25), rel=1e-3)
        page.mouse.move(0, 0)
        assert output.inner_text() == ""
        svg.focus()
        page.keyboard.press("Home")
        assert output.inner_text() == "step 0: 0.5"
        page.keyboard.press("ArrowRight")
        step = int(output.inner_text().split()[1].removesuffix(":"))
        assert 1 <= step <= 3
        page.keyboard.press("End")
        assert output.inner_text().startswith("step 399: ")
        page.keyboard.press("ArrowRight")
        assert output.inner_text().startswith("step 399: ")


def test_without_javascript_both_images_are_side_by_side(browser: Browser, run: Run) -> None:
    with opened(browser, write_run_page(run), script=False) as page:
        before, after = (image.bounding_box() for image in page.locator(".versus img").all())
        assert before is not None and after is not None and not page.locator(".versus input").is_visible()
        apart = after["x"] >= before["x"] + before["width"] or after["y"] >= before["y"] + before["height"]
        assert apart and min(before["width"], after["width"]) > 200


def test_an_empty_run_renders(browser: Browser, tmp_path: Path) -> None:
    run = fabricate(tmp_path / "run", done=0, n_previews=0, status={"state": "created"})
    with opened(browser, write_run_page(run)) as page:
        check_rendered(page, images=0, curves=0)
        assert "No step was made yet" in page.inner_text("main")


def test_markup_in_a_folder_is_escaped(browser: Browser, tmp_path: Path) -> None:
    run = fabricate(tmp_path / "run", name=HOSTILE, done=2, status={"state": "failed", "reason": HOSTILE})
    row = {"step": 0, "direction_norm": 1.0, f"loss_{HOSTILE}": 1.0}
    (run.path / "metrics.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(row | {"step": 1}) + "\n")
    (run.path / "log.txt").write_text(HOSTILE + "\n")
    for path in (write_run_page(run), write_comparison([run, run], tmp_path / "compare.html")):
        with opened(browser, path, width=400) as page:
            assert page.evaluate("window.hurt") is None and HOSTILE in page.inner_text("main")
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_injected_markup_can_load_and_run_nothing(browser: Browser, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "injected.html"
    text = write_run_page(run).read_text(encoding="utf-8")
    path.write_text(text.replace("<main>", f"<main>{HOSTILE.removeprefix('</style>')}"), encoding="utf-8")
    requests: list[str] = []
    page = browser.new_page()

    def answer(route: Route) -> None:
        requests.append(route.request.url)
        route.fulfill(status=200, content_type="image/gif", body=PIXEL)

    try:
        page.route(re.compile("^https:"), answer)
        page.goto(path.as_uri(), wait_until="load")
        page.wait_for_timeout(100)
        assert page.locator("main > img").count() == 1  # it is present, and blocked
        assert page.evaluate("window.hurt") is None and requests == []
    finally:
        page.close()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_comparison_renders(browser: Browser, run: Run, tmp_path: Path, scheme: str, width: int) -> None:
    others = [
        fabricate(tmp_path / "sds-ring", method="sds", seed=3, n_previews=2, video=False),
        fabricate(tmp_path / "sdi-ring", method="sdi", done=50, n_previews=0),
    ]
    with opened(browser, write_comparison([run, *others], tmp_path / "compare.html"), scheme, width) as page:
        assert page.title() == "3 runs compared · modeseek"
        check_rendered(page, images=2, curves=4)
        colours = page.evaluate(
            "[...document.querySelectorAll('.key path')].map(path => getComputedStyle(path).stroke)"
        )
        assert len(colours) == len(set(colours)) == 3


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_page_of_results_renders(browser: Browser, tmp_path: Path, scheme: str, width: int) -> None:
    scatter(0.5).save(tmp_path / "dots.png")
    run = Run.create(
        {"verb": "toy", "name": "a" * 90},
        name_parts=[],
        command=["modeseek", "toy", *["--long"] * 30],
        prior={},
        out=tmp_path / "run",
    )
    columns = (Column("nll", "NLL", "Low is good.", ".2f", "low"), Column("calls", "Calls", "Neither.", ".0f"))
    wide = tuple(replace(columns[1], key=f"calls{i}", heading=f"Calls{i}") for i in range(40))
    table = Table(columns, tuple(Row(name, {"nll": 0.5, "calls": 800.0}) for name in ("ddim", "sds", "msd")))
    runs = Table(wide, (Row("sds " * 30, {column.key: 1e9 for column in wide}),))
    page = ResultsPage(
        "Modes of the ring",
        ["What one sees."],
        TableSection("Metrics", table, notes=["A note."]),
        [ImageSection.read(tmp_path / "dots.png", "Dots", "On their way.")],
        ["a" * 300],
        [TableSection("Runs", runs), TableSection("All runs", runs, folded=True)],
        [TOY2D_ENTRIES[name] for name in ("ddim", "sds", "msd")],
        ["a red cone " * 30],
        sources=["mmd"],
    )
    write_results_page(run, page)
    with opened(browser, run.path / "report.html", scheme, width) as shown:
        assert shown.title() == "Modes of the ring · modeseek"
        check_rendered(shown, images=1, curves=0)
        assert shown.locator("td.best").count() == 3
        for summary in shown.locator("summary").all():
            summary.click()
        assert shown.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        scroller = shown.locator(".scroll").nth(1)
        scroller.focus()
        shown.keyboard.press("ArrowRight")  # a wide table scrolls by itself, by keyboard too
        assert any(scroller.evaluate("box => box.scrollLeft") > 0 or shown.wait_for_timeout(20) for _ in range(100))
