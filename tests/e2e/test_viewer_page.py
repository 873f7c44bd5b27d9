"""Viewer in a real browser: it renders checkpoints, rotates, and goes back to earlier steps."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from fabricated_runs import fabricate
from PIL import Image
from playwright.sync_api import Browser, Page

from modeseek.generators.camera import Cameras
from modeseek.generators.nerf import Dense, NeRF
from modeseek.generators.orbit import Orbit
from modeseek.rundir.checkpoint import write_checkpoint
from modeseek.rundir.run_dir import Run
from modeseek.viewer.server import Viewer, serve_run

pytestmark = pytest.mark.slow

PLACE = (0.45, 0.35, 0.0)  # of a small red ball; a large blue one is in the middle
WIDTH, HEIGHT = 700, 400


def balls(red: bool) -> NeRF:
    nerf = NeRF(Dense((32,)), samples=32)
    z, y, x = torch.meshgrid(*[torch.linspace(-1, 1, 32)] * 3, indexing="ij")
    middle = (x**2 + y**2 + z**2).sqrt() < 0.3
    small = (x - PLACE[0]) ** 2 + (y - PLACE[1]) ** 2 + (z - PLACE[2]) ** 2 < 0.15**2
    with torch.no_grad():
        grid = nerf.volume.grid[0]  # pyright: ignore[reportIndexIssue]
        grid[0] = torch.where(middle | small, 10.0, -10.0)
        grid[1:] = -6.0
        grid[3] = torch.where(middle, 6.0, -6.0)
        grid[1] = torch.where(~middle, 6.0 if red else -6.0, -6.0)
    nerf.prune()
    return nerf


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with two checkpoints: the small ball is black in the first and red in the second."""
    run = fabricate(
        tmp_path_factory.mktemp("runs") / "balls",
        done=40,
        steps=40,
        n_previews=0,
        prior={"renders": {"caption": "a red cone on a blue cube"}},
        generator={"nerf": {"sides": [32], "samples": 32}},
    )
    for step, red in ((20, False), (40, True)):
        write_checkpoint(run.path / "checkpoints", step, {"generator": balls(red), "method": None})
    return run


@pytest.fixture(scope="module")
def viewer(run: Run) -> Iterator[Viewer]:
    with serve_run(run, port=0) as found:
        yield found


@contextmanager
def opened(browser: Browser, address: str) -> Iterator[Page]:
    """The page, once it shows a frame; at the end it must have had no error and no foreign request."""
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    errors, requests = [], []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    try:
        page.goto(address)
        page.get_by_text("Shown:").wait_for()
        page.locator(".mantine-Notification-closeButton").click()  # about software WebGL
        yield page
        assert errors == []
        assert [url for url in requests if not url.startswith((address, "data:", f"blob:{address}"))] == []
    finally:
        page.close()


@pytest.fixture(scope="module")
def page(browser: Browser, viewer: Viewer) -> Iterator[Page]:
    """One page for several tests, each of which leaves it following, in colour and without a section."""
    with opened(browser, viewer.address) as found:
        yield found


def canvas_pixels(page: Page) -> np.ndarray:
    """The canvas, (h, w, 3)."""
    box = page.locator("canvas").first.bounding_box()
    assert box is not None
    panel = page.get_by_role("checkbox", name="Follow latest").bounding_box()
    assert panel is not None
    area = {"x": box["x"], "y": box["y"], "width": min(box["width"], panel["x"] - 130), "height": box["height"]}
    with Image.open(io.BytesIO(page.screenshot(clip=area))) as shot:  # pyright: ignore[reportArgumentType]
        return np.asarray(shot.convert("RGB")).astype(int)


def coloured(pixels: np.ndarray, channel: int) -> np.ndarray:
    return pixels[..., channel] > np.delete(pixels, channel, -1).max(-1) + 80


def until(page: Page, condition: Callable[[np.ndarray], bool]) -> np.ndarray:
    """The canvas, once the condition holds."""
    for _ in range(150):
        pixels = canvas_pixels(page)
        if condition(pixels):
            return pixels
        page.wait_for_timeout(50)
    raise AssertionError("timed out")


def reds(pixels: np.ndarray) -> int:
    return int(coloured(pixels, 0).sum())


def projected(azimuth: float, elevation: float) -> tuple[float, float]:
    """Where the small ball is seen: right and down of the middle, in half heights of the window."""
    orbit = Orbit().ring(1)
    camera = Cameras(torch.tensor([azimuth]), torch.tensor([elevation]), orbit.distance, orbit.fov).frame
    way = torch.tensor(PLACE) - camera.position[0]
    depth = (way @ camera.forward[0]) * math.tan(math.radians(orbit.fov.item() / 2))
    return (way @ camera.right[0] / depth).item(), -(way @ camera.up[0] / depth).item()


def test_the_page_renders_the_object_and_rotates_it(page: Page, viewer: Viewer) -> None:
    box = page.locator("canvas").first.bounding_box()
    assert box is not None
    half, middle = box["height"] / 2, box["width"] / 2

    def stands(azimuth: float, elevation: float) -> Callable[[np.ndarray], bool]:
        right, down = projected(azimuth, elevation)

        def at_projection(shot: np.ndarray) -> bool:
            spots = np.argwhere(coloured(shot, 0))
            if len(spots) <= 100:
                return False
            row, column = spots.mean(0)
            return bool(abs((column - middle) / half - right) < 0.04 and abs((row - half) / half - down) < 0.04)

        return at_projection

    column = np.argwhere(coloured(until(page, stands(30.0, 20.0)), 0)).mean(0)[1]
    drawn = viewer.render_loop.frames_sent
    page.mouse.move(middle, half)
    page.mouse.down()
    for k in range(10):
        page.mouse.move(middle - 12 * k, half, steps=2)
    page.mouse.up()
    turned = until(page, lambda shot: abs(np.argwhere(coloured(shot, 0)).mean(0)[1] - column) > 0.1 * half)
    assert viewer.render_loop.frames_sent > drawn + 3
    assert np.abs(np.argwhere(coloured(turned, 2)).mean(0) - [half, middle]).max() < 0.1 * half  # blue stays
    page.get_by_role("button", name="Front").click()
    until(page, stands(0.0, 0.0))


def test_the_slider_goes_back_and_following_returns(page: Page, viewer: Viewer) -> None:
    until(page, lambda shot: reds(shot) > 100)
    follow = page.get_by_role("checkbox", name="Follow latest")
    assert follow.is_checked()
    slider = page.get_by_role("slider").first
    slider.focus()
    page.keyboard.press("Home")
    page.get_by_text("Shown: checkpoint of step 20.").wait_for()
    until(page, lambda shot: reds(shot) < 10)
    assert not follow.is_checked()
    follow.click()
    page.get_by_text("Shown: checkpoint of step 40.").wait_for()
    until(page, lambda shot: reds(shot) > 100)
    assert slider.get_attribute("aria-valuenow") == "2"


def test_modes_and_the_section_show_something_else(page: Page) -> None:
    until(page, lambda shot: reds(shot) > 100)
    mode = page.get_by_role("combobox", name="Mode")
    mode.click()
    page.get_by_role("option", name="opacity").click()
    until(page, lambda shot: reds(shot) == 0 and (shot.max(-1) < 40).sum() > 1000)
    mode.click()
    page.get_by_role("option", name="colour").click()
    page.get_by_role("checkbox", name="Show section").click()
    viridis = np.array([68, 1, 84]) * 0.9 + 0.1 * 255  # no density, laid over white
    until(page, lambda shot: (np.abs(shot - viridis).max(-1) < 12).sum() > 5000)
    page.get_by_role("checkbox", name="Show section").click()
    until(page, lambda shot: reds(shot) > 100)


def test_a_flat_run_shows_its_previews(browser: Browser, tmp_path: Path) -> None:
    flat = fabricate(tmp_path / "flat", done=100, steps=100, n_previews=3)
    with serve_run(flat, port=0) as viewer, opened(browser, viewer.address) as page:
        page.get_by_text("Shown: preview of step 100.").wait_for()
        assert page.get_by_text("Density section").count() == 0
        assert page.get_by_role("button", name="Share").count() == 0
        until(page, lambda shot: (np.abs(shot - [214, 69, 20]).max(-1) < 30).sum() > 100)  # the dots of the preview
