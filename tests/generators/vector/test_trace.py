"""Traces of drawings that resvg rendered, and fits: errors, paths, colours, corners, layers; bad input."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from cases import one_line
from torch import Tensor
from vector_oracle import curve, resvg, svg

from modeseek.generators.vector.fit import fit, fit_steps, squared_error
from modeseek.generators.vector.outline import Contour, divide, fit_outline
from modeseek.generators.vector.paint import paint, visible_areas
from modeseek.generators.vector.paths import Paths, canvas_to_pixels, random_paths
from modeseek.generators.vector.trace import trace

SIZE = (48, 64)
FACE = (
    '<circle cx="32" cy="24" r="20" fill="#fc0"/>',
    '<circle cx="25" cy="19" r="3" fill="#420"/>',
    '<circle cx="39" cy="19" r="3" fill="#420"/>',
    '<path d="M22 28 C26 38 38 38 42 28 Z" fill="#a02"/>',
)
HOUSE = (
    '<path d="M12 22 L32 6 L52 22 Z" fill="#e22"/>',
    '<rect x="16" y="22" width="32" height="22" fill="#eb6"/>',
    '<rect x="20" y="28" width="9" height="16" fill="#742"/>',
)
RING = (
    '<circle cx="32" cy="24" r="18" fill="#06c"/>',
    '<circle cx="32" cy="24" r="10" fill="white"/>',
)
EDGE = ('<rect x="0" y="30" width="64" height="18" fill="#2a4"/>', '<circle cx="32" cy="16" r="9" fill="#fd0"/>')
TIPS = [(k * np.pi / 6, (21, 7)[k % 2]) for k in range(12)]
STAR = " ".join(f"{32 + r * np.sin(a):.3f} {24 - r * np.cos(a):.3f}" for a, r in TIPS)
DRAWINGS = [  # shapes, background, paths of opacity 1, largest squared error of the trace
    ("face", FACE, "white", 4, 4e-4),
    ("house", HOUSE, "#def", 3, 4e-4),
    ("ring", RING, "white", 2, 4e-4),
    ("edge", EDGE, "#9cf", 2, 4e-4),
    ("star", (f'<polygon points="{STAR}" fill="#d0a"/>',), "white", None, 2e-3),
    ("plain", (), "#7ac", 0, 1e-6),
]


SMALL = (24, 32)


def image_of(shapes: tuple[str, ...], background: str, size: tuple[int, int] = SIZE) -> Tensor:
    text = svg(shapes, SIZE, background)
    return torch.from_numpy(resvg(text, size, 8)).float()


@cache
def traced(shapes: tuple[str, ...], background: str) -> Paths:
    return trace(image_of(shapes, background), 8, 4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shapes", "background", "opaque", "error"), [d[1:] for d in DRAWINGS], ids=[d[0] for d in DRAWINGS]
)
def test_flat_drawings_are_traced(shapes: tuple[str, ...], background: str, opaque: int | None, error: float) -> None:
    image = image_of(shapes, background)
    paths = traced(shapes, background)
    assert (paths.n, paths.n_fills, paths.n_strokes, paths.cubics) == (1, 8, 0, 4)
    solid = paths.colors[0, :, 3] == 1
    assert opaque is None or int(solid.sum()) == opaque
    assert torch.equal(solid, solid.sort(descending=True).values), "spare circles are on top"
    assert (paths.colors[0, ~solid, 3] < 0.2).all() and paths.order[0].tolist() == list(range(8))
    assert squared_error(paths, image[None]).item() < error
    assert torch.allclose(paths.background[0], image[:, 0, 0], atol=1 / 255)


def test_the_colours_layers_and_corners_of_a_house_are_found() -> None:
    paths = traced(HOUSE, "#def")
    found = (paths.colors[0, :3, :3] * 255).round().int().tolist()
    assert found == [[238, 187, 102], [238, 34, 34], [119, 68, 34]]
    joints = canvas_to_pixels(paths.fills[0], SIZE)[:, ::3]
    for slot, corners in ((0, [(16, 44), (48, 44)]), (1, [(12, 22), (32, 6), (52, 22)]), (2, [(20, 28), (29, 28)])):
        for corner in corners:
            nearest = (joints[slot] - torch.tensor(corner)).norm(dim=1).min()
            assert nearest < 1.5, (slot, corner)
    wall = visible_areas(paths, SIZE)[0, 0].item()
    assert wall == pytest.approx(32 * 22 - 9 * 16, rel=0.05), "the door is on the wall, which has no hole"


@pytest.mark.slow
def test_size_and_dtype_do_not_matter() -> None:
    image = image_of(FACE, "white")
    large_image = image_of(FACE, "white", (96, 128))
    large = trace(large_image, 8, 4)
    assert squared_error(large, large_image[None]).item() < 4e-4
    assert squared_error(large, image[None]).item() < 4e-4, "canvas units at every size"
    again = trace(image.double(), 8, 4)
    assert again.fills.dtype == torch.float64 and torch.equal(again.fills.float(), traced(FACE, "white").fills)


def test_too_many_regions_are_merged() -> None:
    image = image_of(FACE, "white", SMALL)
    paths = trace(image, 2, 4)
    assert squared_error(paths, image[None]).item() < squared_error(trace(image, 1, 4), image[None]).item() < 0.03


def test_outlines_of_cubics_are_found_again() -> None:
    """A circle is within the known error of four cubics; a dumb-bell is divided at its neck."""
    angle = np.linspace(0, 2 * np.pi, 500, endpoint=False)
    disc = Contour(np.stack([10 * np.cos(angle), 10 * np.sin(angle)], 1), np.ones(500))
    control, error = fit_outline(disc, 4)
    t = np.linspace(0, 1, 50)[:, None]
    closed = np.concatenate([control, control[:1]])
    radii = [
        np.linalg.norm((1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d, axis=1)
        for a, b, c, d in (closed[3 * k : 3 * k + 4] for k in range(4))
    ]
    assert np.abs(np.array(radii) - 10).max() < 0.07 and error < 2
    leaf = np.array([[(0, 0), (14, -9), (16, -1), (20, 4)], [(20, 4), (24, 9), (9, 16), (0, 0)]], dtype=float)
    points = np.concatenate([curve(control, 200)[:-1] for control in leaf])
    assert fit_outline(Contour(points, np.ones(400)), 2)[1] < 7, "0.1 pixels; with equal steps of the parameter 11"
    bell = np.array(
        [(0, 0), (8, 0), (8, 3), (12, 3), (12, 0), (20, 0), (20, 8), (12, 8), (12, 5), (8, 5), (8, 8), (0, 8)]
    )
    parts = divide(Contour(bell.astype(float), np.ones(12)), 1.0)
    assert parts is not None
    spans = sorted((part.points[:, 0].min(), part.points[:, 0].max()) for part in parts)
    assert spans[0][1] < 13.5 and spans[1][0] > 6.5 and spans[0][1] > spans[1][0], "two halves that overlap"


@pytest.mark.parametrize(
    ("image", "paths", "cubics", "least", "match"),
    [
        (torch.zeros(3, 3, 8), 4, 4, 0.3, r"\(3, h, w\) of at least 4 pixels, got \(3, 3, 8\)"),
        (torch.full((3, 8, 8), torch.nan), 4, 4, 0.3, "finite"),
        (torch.zeros(3, 8, 8), 0, 4, 0.3, "paths >= 1, cubics >= 2 and least >= 0, got 0, 4 and 0.3"),
        (torch.zeros(3, 8, 8), 4, 1, 0.3, "got 4, 1 and"),
        (torch.zeros(3, 8, 8), 4, 4, float("nan"), "nan"),
    ],
)
def test_what_cannot_be_traced(image: Tensor, paths: int, cubics: int, least: float, match: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        trace(image, paths, cubics, least=least)
    one_line(caught.value)


def joined(*drawings: Paths) -> Paths:
    return Paths(**{f.name: torch.cat([getattr(d, f.name) for d in drawings]) for f in fields(Paths)})


@pytest.fixture(scope="module")
def two() -> tuple[Paths, Tensor]:
    images = torch.stack([image_of(FACE, "white", SMALL), image_of(RING, "#fed", SMALL)])
    rng = torch.Generator().manual_seed(0)
    return random_paths(2, 4, 1, 3, rng, size=SMALL), images


def test_fits_reduce_the_error_of_each_drawing_alone(two: tuple[Paths, Tensor]) -> None:
    paths, images = two
    before = paths.detach()
    yielded = list(fit_steps(paths, images, 8))
    fitted = fit(paths, images, 8)
    for field in fields(Paths):
        assert torch.equal(getattr(paths, field.name), getattr(before, field.name)), "the start is left alone"
        assert not getattr(fitted, field.name).requires_grad
    assert torch.equal(yielded[0], squared_error(paths, images)) and len(yielded) == 8
    assert (squared_error(fitted, images) < 0.7 * yielded[0]).all()
    assert (yielded[-1] < yielded[0]).all() and fitted.widths.min() > 0
    assert fitted.colors.min() >= 0 and fitted.colors.max() <= 1
    assert (fitted.fills - paths.fills).abs().max() < 0.6 * 8 * 2 / 32
    for item in range(2):
        alone = fit(paths.select([item]), images[item : item + 1], 8)
        assert torch.allclose(alone.fills[0], fitted.fills[item], atol=1e-4)
        assert torch.allclose(alone.strokes[0], fitted.strokes[item], atol=1e-4)
    assert not torch.equal(fitted.background, paths.background)
    assert torch.equal(fit(paths, images, 3, background=False).background, paths.background)
    assert torch.equal(fit(paths, images, 0).fills, paths.fills)


def test_a_fitted_trace_is_better_than_both(two: tuple[Paths, Tensor]) -> None:
    images = two[1]
    start = joined(*(trace(image, 4, 4) for image in images))
    fitted = fit(start, images, 40)
    assert (squared_error(fitted, images) < 1e-4).all()
    assert (squared_error(fitted, images) < squared_error(start, images)).all()
    assert (paint(fitted, SMALL) - images).abs().mean() < 4e-3


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"images": torch.zeros(1, 3, 8, 8)}, r"\(2, 3, h, w\), one per drawing, got \(1, 3, 8, 8\)"),
        ({"images": torch.full((2, 3, 8, 8), torch.inf)}, "finite"),
        ({"steps": -1}, "got -1, 0.6 and 0.05"),
        ({"points": 0.0}, "learning rates > 0"),
        ({"colors": float("nan")}, "learning rates > 0"),
    ],
)
def test_what_cannot_be_fitted(two: tuple[Paths, Tensor], change: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        settings: dict[str, Any] = {"images": two[1], "steps": 1, **change}
        fit(two[0], **settings)
    one_line(caught.value)
