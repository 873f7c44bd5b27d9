"""Splat viewer in a real browser: it draws what the renderer draws, from any side."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from jinja2 import ChoiceLoader, DictLoader
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from modeseek.generators.camera import Cameras
from modeseek.generators.splats import Ball, Splats
from modeseek.generators.splats.starts import GivenSplats, StartingSplats
from modeseek.reports import page as pages
from modeseek.reports.splat_viewer import SplatView

pytestmark = pytest.mark.slow

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = ["--no-sandbox", "--disable-background-networking", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
TEMPLATE = """{% extends "base.html.j2" %}
{% from "model.html.j2" import model_view %}
{% block main %}<style>header { display: none; }
.model canvas { position: fixed; inset: 0 auto auto 0; width: 290px; height: 290px; background: white; z-index: 9; }
.model canvas:focus-visible { outline: 0 !important; }</style>
<section>{{ model_view(model) }}</section>{% endblock %}"""
"""The canvas lies on whole pixels and has no ring of focus, so that its screenshot holds the drawing alone."""


def cloud() -> StartingSplats:
    """Long, coloured splats around the origin, some behind others; a distant one bounds the first view."""
    g = torch.Generator().manual_seed(0)
    ball = Splats(120, Ball(0.4, 0.6), rng=g).splats
    stretch = torch.exp(0.5 * torch.randn(120, 3, generator=g))
    return StartingSplats(
        ball.means, torch.randn(120, 4, generator=g), ball.scales * stretch, ball.opacities,
        torch.rand(120, 3, generator=g),
    )  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    named = os.environ.get("MODESEEK_CHROMIUM")
    found = next(filter(None, map(shutil.which, (named,) if named else _NAMES)), None)
    if found is None:
        pytest.skip("no browser: apt-get install chromium")
    file: Path = tmp_path_factory.mktemp("page") / "splats.html"
    environment, script = pages._environment(), "\n".join(map(pages.read_script, ("splat_viewer", "model_viewer")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment, "loader", ChoiceLoader([DictLoader({"s.html.j2": TEMPLATE}), environment.loader]))
        text = pages.render_page("s", title="Splats", script=script, model=SplatView.of(cloud(), "splats"))
    file.write_text(text, encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=_FLAGS)
        context = browser.new_context(viewport={"width": 360, "height": 500}, reduced_motion="reduce")
        context.set_default_timeout(120_000)  # software WebGL is slow to start on a busy machine
        page, complaints = context.new_page(), []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(file.as_uri(), wait_until="load")
        yield page
        assert complaints == []
        browser.close()


def shown(page: Page) -> np.ndarray:
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))")
    with Image.open(io.BytesIO(page.locator(".model canvas").screenshot())) as shot:
        pixels = np.asarray(shot.convert("RGB")).astype(float)
    size = page.evaluate("document.querySelector('.model canvas').width")
    return pixels[:size, :size]


def rendered(azimuth: float, size: int) -> np.ndarray:
    """The splats by the library's renderer, from a camera at the viewer's distance."""
    splats = cloud()
    far = splats.scales.amax(1)
    middle = ((splats.means + far[:, None]).amax(0) + (splats.means - far[:, None]).amin(0)) / 2
    reach = ((splats.means - middle).norm(dim=1) + far).max()
    distance = 1.08 * reach / torch.tensor(20.0).deg2rad().sin()
    splats.means.sub_(middle)
    cameras = Cameras(torch.tensor([azimuth]), torch.tensor([20.0]), distance[None], torch.tensor([40.0]))
    generator = Splats(120, GivenSplats(splats), rng=torch.Generator(), size=size)
    with torch.no_grad():
        image = generator(generator.view_from(cameras)).image[0]
    return image.permute(1, 2, 0).numpy() * 255


def test_it_draws_what_the_renderer_draws_from_any_side(page: Page) -> None:
    """The order of depth changes with the side: front and back differ by far more than the two renderers."""
    front = shown(page)
    size = len(front)
    assert front.shape == (size, size, 3) and front.std() > 20
    assert np.abs(front - rendered(30.0, size)).mean() < 1
    page.locator(".model canvas").focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    back = shown(page)
    assert page.locator(".model output").inner_text() == "azimuth -150°, elevation 20°"
    assert np.abs(back - rendered(-150.0, size)).mean() < 1
    assert np.abs(back - front).mean() > 10
