"""Mesh viewer in a real browser: drawing, rotation by mouse, keys and buttons, and the still image without WebGL."""

from __future__ import annotations

import io
import math
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from jinja2 import ChoiceLoader, DictLoader
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.render import render_still
from modeseek.reports import mesh_viewer as module
from modeseek.reports import page as pages
from modeseek.reports.mesh_viewer import MeshView

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
_SOFT = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]  # WebGL on the processor
TEMPLATE = """{% extends "base.html.j2" %}
{% from "model.html.j2" import model_view %}
{% block main %}<style>header { display: none; }</style>
<section><h2>The model</h2>{{ model_view(model) }}</section>{% endblock %}"""
SHOWN = "document.querySelector('.model canvas').checkVisibility()"


def box() -> Mesh:
    """A closed box, wide in x: red towards +x, green on top, blue in front; dark on the other sides."""
    half = torch.tensor([0.8, 0.4, 0.3])
    places, faces, colours = [], [], []
    for axis in range(3):
        for sign in (1, -1):
            first, second = (axis + 1) % 3, (axis + 2) % 3
            corners = torch.zeros(4, 3)
            corners[:, axis] = sign
            corners[:, first] = torch.tensor([-1.0, 1, 1, -1])
            corners[:, second] = torch.tensor([-1.0, -1, 1, 1])
            start = 4 * len(places)
            turns = [[0, 1, 2], [0, 2, 3]] if sign > 0 else [[0, 2, 1], [0, 3, 2]]
            places.append(corners * half)
            faces += [[start + k for k in turn] for turn in turns]
            colour = torch.full((3,), 0.1)
            colour[axis] = 0.9 if sign > 0 else 0.1
            colours.append(colour.expand(4, 3))
    return Mesh(torch.cat(places), torch.tensor(faces), torch.cat(colours))


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """The one driver of this file's browsers."""
    with sync_playwright() as found:
        yield found


def launch(playwright: Playwright, *flags: str) -> Browser:
    named = os.environ.get("MODESEEK_CHROMIUM")
    found = next(filter(None, map(shutil.which, (named,) if named else _NAMES)), None)
    if found is None:
        line = f"no browser ({named or ', '.join(_NAMES)}): apt-get install chromium, or name one in MODESEEK_CHROMIUM"
        pytest.fail(line) if os.environ.get("CI") else pytest.skip(line)
    return playwright.chromium.launch(executable_path=found, args=[*_QUIET, *flags])


@pytest.fixture(scope="module")
def webgl(playwright: Playwright) -> Iterator[Browser]:
    """A browser with WebGL."""
    browser = launch(playwright, *_SOFT)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with the box, whose name contains markup."""
    file = tmp_path_factory.mktemp("page") / "model.html"
    model = MeshView.of(box(), "A box <img src=x onerror='window.hurt = 1'>")
    environment, script = pages._environment(), "\n".join(map(pages.read_script, ("mesh_viewer", "model_viewer")))
    loader = environment.loader
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment, "loader", ChoiceLoader([DictLoader({"box.html.j2": TEMPLATE}), loader]))
        file.write_text(pages.render_page("box", title="Model", script=script, model=model), encoding="utf-8")
    return file


@contextmanager
def opened(
    browser: Browser, path: Path, scheme: str = "light", width: int = 360, motion: str = "reduce", scripts: bool = True
) -> Iterator[Page]:
    """The page; at the end it must have logged no message and requested nothing else."""
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 500},
        reduced_motion="reduce" if motion == "reduce" else "no-preference",
        java_script_enabled=scripts,
    )
    page, complaints, requests = context.new_page(), [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    try:
        page.goto(path.as_uri(), wait_until="load")
        if scripts:
            drawn(page)
        yield page
        page.wait_for_timeout(20)
        assert complaints == []
        assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    finally:
        context.close()


def drawn(page: Page) -> None:
    """Waits until requested frames are drawn."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))")


def until(page: Page, condition: str) -> None:
    """Waits for a condition; the page's policy blocks Playwright's own method."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"timed out: {condition}")


def canvas_pixels(page: Page) -> np.ndarray:
    """The canvas as it is shown, (h, w, 3)."""
    drawn(page)
    with Image.open(io.BytesIO(page.locator(".model canvas").screenshot())) as shot:
        return np.asarray(shot.convert("RGB")).astype(int)


def where(pixels: np.ndarray, channel: int) -> np.ndarray:
    """Pixels in which one channel is far above the others."""
    others = np.delete(pixels, channel, -1).max(-1)
    return pixels[..., channel] > others + 60


def angles(page: Page) -> tuple[int, int]:
    match = re.fullmatch(r"azimuth (-?\d+)°, elevation (-?\d+)°", page.locator(".model output").inner_text())
    assert match is not None
    return int(match[1]), int(match[2])


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_the_model_is_drawn_from_where_the_convention_says(webgl: Browser, path: Path, scheme: str, width: int) -> None:
    with opened(webgl, path, scheme, width) as page:
        assert page.evaluate(SHOWN) and not page.locator(".model img").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert angles(page) == (30, 20)
        pixels = canvas_pixels(page)
        red, green, blue = (where(pixels, channel) for channel in range(3))
        assert min(red.sum(), green.sum(), blue.sum()) > 0.005 * red.size  # +x, top and front are all seen
        middle = [np.argwhere(mask).mean(0) for mask in (red, green, blue)]
        assert middle[0][1] > middle[2][1] and middle[1][0] < middle[2][0]  # red is right of blue, green above it
        ground = pixels[2, 2].sum()
        assert ground > 600 if scheme == "light" else ground < 150
        assert page.evaluate("window.hurt") is None
        label = page.locator(".model canvas").get_attribute("aria-label")
        assert label is not None and label.startswith("A box <img") and "arrow keys" in label


@pytest.fixture(scope="module")
def calm(webgl: Browser, path: Path) -> Iterator[Page]:
    """The page of a reader who asks for less motion, for several tests; each begins with the first view."""
    with opened(webgl, path) as page:
        yield page


@pytest.fixture
def page(calm: Page) -> Page:
    calm.get_by_role("button", name="First view").click()
    calm.locator(".model canvas").focus()
    drawn(calm)
    return calm


def test_the_still_image_shows_the_same(page: Page) -> None:
    light = page.get_by_role("button", name="Light")
    light.click()  # the still image has unlit colours
    pixels = canvas_pixels(page)
    light.click()
    with Image.open(io.BytesIO(render_still(box(), min(pixels.shape[:2])))) as image:
        still = np.asarray(image.convert("RGB")).astype(int)
    pixels = pixels[: len(still), : len(still)]
    for channel in range(3):
        drawn_mask, still_mask = where(pixels, channel), where(still, channel)
        assert (drawn_mask & still_mask).sum() > 0.95 * (drawn_mask | still_mask).sum() > 0


def test_it_turns_by_keys_mouse_and_buttons(page: Page) -> None:
    first = canvas_pixels(page)
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    drawn(page)
    assert angles(page) == (90, 14)
    turned = canvas_pixels(page)
    assert where(turned, 2).sum() < 0.1 * where(first, 2).sum() and where(turned, 0).sum() > where(first, 0).sum()
    for _ in range(13):
        page.keyboard.press("ArrowUp")
    drawn(page)
    assert angles(page) == (90, 89)
    page.keyboard.press("Home")
    drawn(page)
    assert angles(page) == (30, 20)
    assert np.abs(canvas_pixels(page) - first)[8:-8, 8:-8].max() <= 2  # within the ring that shows the focus
    drag(page, 100, 40)
    assert angles(page) == (-20, 40)
    shape = page.get_by_role("button", name="Shape only")
    shape.click()
    grey = canvas_pixels(page)[10:-10, 10:-10]
    shape.click()
    assert (grey.max(-1) - grey.min(-1)).max() < 12 and np.ptp(grey) > 60


def drag(page: Page, right: int, down: int) -> None:
    area = page.locator(".model canvas").bounding_box()
    assert area is not None
    x, y = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right, y + down, steps=4)
    page.mouse.up()
    page.mouse.move(x, y)
    drawn(page)


def test_it_zooms_by_keys_and_by_the_wheel_once_it_is_chosen(page: Page) -> None:
    def size() -> int:
        pixels = canvas_pixels(page)[10:-10, 10:-10]
        return int((pixels.max(-1) - pixels.min(-1) > 60).sum())

    first = size()
    page.evaluate("document.activeElement.blur()")
    page.locator(".model canvas").hover()
    before = page.evaluate("window.scrollY")
    page.mouse.wheel(0, 40)
    until(page, f"window.scrollY > {before}")  # the page scrolls as ever
    page.evaluate("window.scrollTo(0, 0)")
    assert size() == pytest.approx(first, rel=0.02)
    page.locator(".model canvas").click()
    page.mouse.wheel(0, -200)
    page.wait_for_timeout(100)
    assert page.evaluate("window.scrollY") == 0
    larger = size()
    assert larger / first == pytest.approx(math.exp(0.6), rel=0.15)  # areas: e^0.3 squared
    for _ in range(4):
        page.keyboard.press("-")
    assert size() / larger == pytest.approx(1.15**-8, rel=0.15)


def test_a_lost_context_is_drawn_again(page: Page) -> None:
    first = canvas_pixels(page)
    page.evaluate(
        """async () => {
            const canvas = document.querySelector('.model canvas');
            const lost = canvas.getContext('webgl2').getExtension('WEBGL_lose_context');
            const fired = (name) => new Promise((done) => canvas.addEventListener(name, done, { once: true }));
            const gone = fired('webglcontextlost');
            lost.loseContext();
            await gone;
            await new Promise((done) => setTimeout(done, 50));
            const back = fired('webglcontextrestored');
            lost.restoreContext();
            await back;
        }"""
    )
    assert np.abs(canvas_pixels(page) - first).max() <= 2


def test_it_turns_by_itself_only_where_motion_is_welcome(webgl: Browser, path: Path, page: Page) -> None:
    turn = page.get_by_role("button", name="Turn")
    page.wait_for_timeout(200)
    assert angles(page) == (30, 20) and turn.get_attribute("aria-pressed") == "false"
    turn.click()
    until(page, "!document.querySelector('.model output').textContent.startsWith('azimuth 30°')")
    assert turn.get_attribute("aria-pressed") == "true"
    page.keyboard.press("Space")  # on the button: it stops
    assert turn.get_attribute("aria-pressed") == "false"
    with opened(webgl, path, motion="welcome") as other:
        assert other.get_by_role("button", name="Turn").get_attribute("aria-pressed") == "true"
        until(other, "!document.querySelector('.model output').textContent.startsWith('azimuth 30°')")
        other.locator(".model canvas").click()  # a touch stops it
        drawn(other)
        before = angles(other)
        other.wait_for_timeout(200)
        assert angles(other) == before


@pytest.mark.slow
def test_without_webgl_or_scripts_a_still_image_is_shown(playwright: Playwright, webgl: Browser, path: Path) -> None:
    flat = launch(playwright, "--disable-3d-apis", "--disable-gpu")
    try:
        for browser, scripts in ((flat, True), (webgl, False)):
            with opened(browser, path, scripts=scripts) as page:
                image = page.locator(".model img")
                assert image.is_visible() and not page.locator(".model canvas").is_visible()
                assert not page.locator(".model .tools").is_visible()
                assert ("no WebGL" in page.locator(".model").inner_text()) == scripts
                area = image.bounding_box()
                assert area is not None and area["width"] == area["height"] > 250
    finally:
        flat.close()


def test_a_mesh_too_large_for_a_page_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_FACES", 11)
    with pytest.raises(ValueError, match="at most 11 faces, got 12"):
        MeshView.of(box(), "A box")
