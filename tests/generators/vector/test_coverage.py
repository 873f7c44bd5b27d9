"""Exact coverage of polygons: supersampled winding, closed forms, central differences, invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from cases import generator, one_line
from hypothesis import given, settings
from hypothesis import strategies as st
from vector_oracle import cover

from modeseek.generators.vector.coverage import coverage

SIZE = (20, 26)
ANGLES = torch.arange(5, dtype=torch.float64) * (4 * math.pi / 5)
POLYGONS = {
    "triangle": [(2.3, 1.7), (20.2, 4.4), (9.1, 17.9)],
    "concave": [(3.0, 3.0), (22.0, 5.0), (11.5, 8.25), (20.0, 18.0), (4.5, 15.5)],
    "pixel aligned": [(4.0, 3.0), (17.0, 3.0), (17.0, 12.0), (4.0, 12.0)],
    "within a pixel": [(5.2, 6.1), (5.9, 6.3), (5.4, 6.8)],
    "beyond all sides": [(-9.0, 8.0), (12.0, -6.0), (40.0, 9.0), (13.0, 31.0)],
    "left of the canvas": [(-20.0, 2.0), (-3.0, 4.0), (-8.0, 15.0)],
    "right of the canvas": [(28.0, 2.0), (43.0, 4.0), (38.0, 15.0)],
    "below the canvas": [(2.0, 22.0), (13.0, 24.0), (8.0, 35.0)],
    "across the left side": [(-6.0, 3.0), (9.0, 6.5), (-4.0, 14.0)],
    "no area": [(3.0, 3.0), (18.0, 12.0), (3.0, 3.0)],
}
PENTAGRAM = torch.stack([13 + 9.3 * ANGLES.sin(), 10 - 9.3 * ANGLES.cos()], 1)


@pytest.mark.parametrize("rule", ["nonzero", "evenodd"])
@pytest.mark.parametrize("name", POLYGONS)
def test_polygons_that_do_not_cross_are_exact(name: str, rule: str) -> None:
    polygon = torch.tensor(POLYGONS[name], dtype=torch.float64)
    area = coverage(polygon[None], SIZE, rule)[0].numpy()
    assert area.shape == SIZE
    np.testing.assert_allclose(area, cover(polygon.numpy(), SIZE, False, 40), atol=0.013)
    np.testing.assert_allclose(coverage(polygon.flip(0)[None], SIZE, rule)[0], area, atol=1e-12)


@pytest.mark.parametrize(("rule", "centre"), [("nonzero", 1.0), ("evenodd", 0.0)])
def test_a_pentagram_by_both_rules(rule: str, centre: float) -> None:
    area = coverage(PENTAGRAM[None], SIZE, rule)[0].numpy()
    assert area[10, 13] == pytest.approx(centre, abs=1e-12)
    assert np.abs(area - cover(PENTAGRAM.numpy(), SIZE, rule == "evenodd")).mean() < 4e-3


def test_a_rectangle_is_the_product_of_its_overlaps() -> None:
    x0, x1, y0, y1 = 3.25, 17.5, 2.125, 11.875
    polygon = torch.tensor([[(x0, y0), (x1, y0), (x1, y1), (x0, y1)]], dtype=torch.float64)
    columns, rows = (
        np.clip(np.minimum(np.arange(n) + 1, high) - np.maximum(np.arange(n), low), 0, 1)
        for n, low, high in ((SIZE[1], x0, x1), (SIZE[0], y0, y1))
    )
    np.testing.assert_allclose(coverage(polygon, SIZE)[0], rows[:, None] * columns, atol=1e-13)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(1, 19), st.floats(1, 19)), min_size=3, max_size=8), st.integers(1, 5))
def test_area_and_translation(points: list[tuple[float, float]], shift: int) -> None:
    center = np.mean(points, 0)
    order = np.argsort(np.arctan2(*(np.array(points) - center).T))  # star-shaped: it does not cross itself
    polygon = torch.tensor(np.array(points)[order])[None]
    area = coverage(polygon, (26, 26), "evenodd")
    x, y = polygon[0].T
    shoelace = 0.5 * (x * y.roll(-1) - x.roll(-1) * y).sum().abs()
    star = coverage(polygon, (26, 26))
    if torch.allclose(area, star, atol=1e-9):
        assert area.sum().item() == pytest.approx(shoelace.item(), abs=1e-9)
    moved = coverage(polygon + shift, (26, 26), "evenodd")
    torch.testing.assert_close(moved[:, shift:, shift:], area[:, :-shift, :-shift], rtol=0, atol=1e-9)
    assert float(area.min()) >= -1e-9 and float(area.max()) <= 1 + 1e-9


@pytest.mark.parametrize("rule", ["nonzero", "evenodd"])
def test_gradients_are_central_differences(rule: str) -> None:
    rng = generator()
    polygons = torch.rand(4, 6, 2, generator=rng, dtype=torch.float64) * 34 - 5  # vertices on all sides of the canvas
    weight, direction = (torch.randn(s, generator=rng, dtype=torch.float64) for s in ((4, *SIZE), (4, 6, 2)))
    polygons.requires_grad_()
    (grad,) = torch.autograd.grad((coverage(polygons, SIZE, rule) * weight).sum(), polygons)
    with torch.no_grad():
        ahead, behind = (coverage(polygons + s * 1e-6 * direction, SIZE, rule) for s in (1, -1))
    for row in range(4):
        slope = ((ahead - behind) * weight)[row].sum().item() / 2e-6
        assert (grad * direction)[row].sum().item() == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_sides_on_the_pixel_grid_have_a_gradient() -> None:
    polygon = torch.tensor([POLYGONS["pixel aligned"]], dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(coverage(polygon, SIZE).sum(), polygon)
    expected = torch.tensor([(-4.5, -6.5), (4.5, -6.5), (4.5, 6.5), (-4.5, 6.5)], dtype=torch.float64)
    torch.testing.assert_close(grad[0], expected, atol=1e-12, rtol=0)  # half the length of the sides at each corner


def test_each_call_gives_the_same_bits_alone_and_in_a_batch() -> None:
    polygons = torch.rand(6, 9, 2, generator=generator()) * 26
    together = coverage(polygons, SIZE)
    assert torch.equal(together, coverage(polygons, SIZE))
    for row in range(6):
        assert torch.equal(together[row], coverage(polygons[row : row + 1], SIZE)[0])


TRIANGLE = torch.tensor([POLYGONS["triangle"]])


@pytest.mark.parametrize(
    ("polygons", "size", "rule", "match"),
    [
        (TRIANGLE, (0, 4), "nonzero", "size must be .* got"),
        (TRIANGLE / 0, SIZE, "nonzero", "polygons must be finite and within 1e6 pixels, got inf"),
        (TRIANGLE * math.nan, SIZE, "nonzero", "polygons must be finite .* got nan"),
    ],
)
def test_wrong_arguments(polygons: object, size: tuple[int, int], rule: str, match: str) -> None:
    with pytest.raises((TypeError, ValueError), match=match) as caught:
        coverage(polygons, size, rule)
    one_line(caught.value)
