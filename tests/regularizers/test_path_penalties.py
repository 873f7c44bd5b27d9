"""Penalties on paths of drawings against sampled winding numbers, closed forms and finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from cases import one_line
from torch import Tensor
from vector_drawings import wild
from vector_oracle import curve, winding

from modeseek.generators.base import Rendering, View
from modeseek.generators.vector.paths import Paths, circle
from modeseek.generators.vector.rendering import RenderedDrawing
from modeseek.regularizers import ColorPalette, OpacityBinary, PathCrossing, Penalty, SmallestArea, SmoothJoints
from modeseek.regularizers.crossings import doubled_area
from modeseek.regularizers.vector import signed_areas

F64 = torch.float64


def rendered(paths: Paths) -> RenderedDrawing:
    return RenderedDrawing(View(tuple(range(paths.n))), torch.zeros(paths.n, 3, 4, 4), paths)


def drawing(fills: Tensor, colors: Tensor | None = None) -> Paths:
    """One drawing of these fills alone, (p, 3c, 2)."""
    p = len(fills)
    colors = torch.ones(p, 4, dtype=F64) if colors is None else colors
    return Paths(
        fills[None], fills.new_zeros(1, 0, 4, 2), fills.new_zeros(1, 0), colors[None], torch.arange(p)[None],
        torch.zeros(1, p, dtype=torch.bool), torch.ones(1, 3, dtype=F64),
    )  # fmt: skip


def polygon_path(*vertices: tuple[float, float]) -> Tensor:
    """Closed path of straight cubics through the vertices, (3c, 2)."""
    start = torch.tensor(vertices, dtype=F64)
    end = start.roll(-1, 0)
    return torch.stack([start, (2 * start + end) / 3, (start + 2 * end) / 3], 1).flatten(0, 1)


def bow_tie(left: float, right: float) -> Tensor:
    """Figure of eight of two triangles that meet in the origin, their areas left^2 and right^2."""
    return polygon_path((-left, -left), (right, right), (right, -right), (-left, left))


STAR = [(math.sin(0.8 * math.pi * k), -math.cos(0.8 * math.pi * k)) for k in range(5)]
PENTAGON = 5 / 2 * math.sin(0.4 * math.pi) * (math.cos(0.4 * math.pi) / math.cos(0.2 * math.pi)) ** 2
RING = (0, 0), (4, 0), (4, 4), (0, 4), (0, 0), (1, 1), (1, 3), (3, 3), (3, 1), (1, 1)
CROSSED = [  # paths, and the area that they wind around wrongly
    ("the smaller triangle of a figure of eight", bow_tie(0.3, 0.5), 0.09),
    ("either of two equal ones", bow_tie(0.4, 0.4), 0.16),
    ("the same one the other way round", bow_tie(0.3, 0.5).flip(0).roll(1, 0), 0.09),
    ("the square that a spiral goes around twice",
     polygon_path((0, 0), (3, 0), (3, 3), (-1, 3), (-1, -1), (2, -1), (2, 2), (0, 2)), 4.0),
    ("the pentagon of a pentagram", polygon_path(*STAR), PENTAGON),
    ("nothing of a square", polygon_path((0, 0), (1, 0), (1, 1), (0, 1)), 0.0),
    ("nothing of a square the other way round", polygon_path((0, 0), (0, 1), (1, 1), (1, 0)), 0.0),
    ("nothing of a ring with a bridge", polygon_path(*RING), 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("path", "area"), [(path, area) for _, path, area in CROSSED], ids=[c[0] for c in CROSSED])
def test_crossings_have_the_area_that_is_wound_around_wrongly(path: Tensor, area: float) -> None:
    assert PathCrossing(chords=2).measure(rendered(drawing(path[None]))).item() == pytest.approx(area, abs=1e-9)


def test_areas_of_wild_polygons_are_those_of_sampled_winding_numbers() -> None:
    polygons = torch.randn(6, 9, 2, generator=torch.Generator().manual_seed(0), dtype=F64)
    found = doubled_area(polygons)
    side, low, high = 400, -3.6, 3.6
    x = low + (np.arange(side) + 0.5) * (high - low) / side
    points = np.stack(np.meshgrid(x, x), -1)
    for polygon, area in zip(polygons.numpy(), found.tolist(), strict=True):
        number = winding(polygon, points)
        cell = ((high - low) / side) ** 2
        want = ((number**2).sum() - abs(number.sum())) * cell / 2
        assert area == pytest.approx(want, abs=0.03)  # a cell is 3e-4, its error about its root along a perimeter of 30
    assert found.mean() > 0.3
    some = torch.cat([polygons[:3], circle(torch.zeros(2, dtype=F64), torch.tensor(1.0, dtype=F64), 3)[None]])
    assert doubled_area(some).tolist() == pytest.approx([*found[:3].tolist(), 0.0])


def test_descent_uncrosses_a_path() -> None:
    path = bow_tie(0.3, 0.6).clone().requires_grad_()
    optimizer = torch.optim.SGD([path], 1.0)
    areas = []
    for _ in range(40):
        areas.append(PathCrossing(chords=3).measure(rendered(drawing(path[None]))))
        if not areas[-1].item():
            break
        optimizer.zero_grad()
        areas[-1].backward()
        optimizer.step()
    assert areas[0].item() > 0.05 and areas[-1].item() < 1e-4


def test_areas_of_cubics_are_in_closed_form() -> None:
    paths = wild(2, 4, 2)
    for item in range(2):
        for area, curves in zip(signed_areas(paths)[item], paths.fill_curves()[item], strict=True):
            dense = np.concatenate([curve(control, 400)[:-1] for control in curves.numpy()])
            after = np.roll(dense, -1, 0)
            want = (dense[:, 0] * after[:, 1] - dense[:, 1] * after[:, 0]).sum() / 2
            assert area.item() == pytest.approx(want, abs=1e-5)
    radius = torch.tensor([0.1, 0.02], dtype=F64)
    discs = drawing(circle(torch.zeros(2, 2, dtype=F64), radius, 4))
    least = math.pi * 0.04**2 / 4
    want = (1 - 0.25) ** 2 / 2  # the larger one has more, the smaller one a quarter of it
    assert SmallestArea(least=least).measure(rendered(discs)).item() == pytest.approx(want, rel=2e-3)


def test_opacities_are_driven_apart() -> None:
    opacity = torch.tensor([0.0, 1.0, 0.5, 0.75], dtype=F64)
    colors = torch.cat([torch.rand(4, 3, dtype=F64), opacity[:, None]], 1).requires_grad_()
    value = OpacityBinary().measure(rendered(drawing(torch.zeros(4, 6, 2, dtype=F64), colors)))
    assert value.item() == pytest.approx((0 + 0 + 1 + 0.75) / 4)
    (grad,) = torch.autograd.grad(value, colors)
    assert grad[:, 3].tolist() == [1, -1, 0, -0.5] and not grad[:, :3].any()


def palette_of(colors: Tensor, k: int) -> float:
    """Smallest weighted sum over all groupings of the colours into k groups, by brute force."""
    rgb, weight = colors[:, :3].numpy(), colors[:, 3].numpy()
    best = math.inf
    for code in range(k ** len(rgb)):
        group = np.array([code // k**i % k for i in range(len(rgb))])
        total = 0.0
        for g in range(k):
            own, share = rgb[group == g], weight[group == g]
            if share.sum():
                mean = (own * share[:, None]).sum(0) / share.sum()
                total += (share * ((own - mean) ** 2).sum(1)).sum()
        best = min(best, total)
    return best / len(rgb)


def test_palettes_are_fixed_or_the_k_means_of_a_drawing() -> None:
    rng = torch.Generator().manual_seed(5)
    centers = torch.tensor([[0.9, 0.1, 0.1], [0.1, 0.8, 0.2], [0.2, 0.2, 0.9]], dtype=F64)
    colors = (centers.repeat(3, 1)[:7] + 0.08 * torch.randn(7, 3, generator=rng, dtype=F64)).clamp(0, 1)
    colors = torch.cat([colors, torch.rand(7, 1, generator=rng, dtype=F64)], 1)
    scene = rendered(drawing(torch.zeros(7, 6, 2, dtype=F64), colors))
    assert ColorPalette(k=3).measure(scene).item() == pytest.approx(palette_of(colors, 3), rel=1e-9)
    assert ColorPalette(k=7).measure(scene).item() == pytest.approx(0, abs=1e-12)
    assert ColorPalette(k=9).measure(scene).item() == pytest.approx(0, abs=1e-12), "more colours than paths"
    fixed = tuple(map(tuple, centers.tolist()))
    want = sum(
        o * min(sum((a - b) ** 2 for a, b in zip(rgb, one, strict=True)) for one in fixed)
        for *rgb, o in colors.tolist()
    )
    assert ColorPalette(colors=fixed).measure(scene).item() == pytest.approx(want / 7)
    for order in list(permutations(range(7)))[1::997]:
        again = rendered(drawing(torch.zeros(7, 6, 2, dtype=F64), colors[list(order)]))
        assert ColorPalette(k=3).measure(again).item() == pytest.approx(
            ColorPalette(k=3).measure(scene).item(), rel=1e-9
        )


def test_joints_are_smoothed_and_corners_left_alone() -> None:
    sides = polygon_path(*[(math.cos(2 * math.pi * k / 8), math.sin(2 * math.pi * k / 8)) for k in range(8)])
    octagon = rendered(drawing(sides[None]))
    assert SmoothJoints().measure(octagon).item() == pytest.approx(1 - math.cos(math.pi / 4))
    assert SmoothJoints(corner=44.0).measure(octagon).item() == 0
    disc = rendered(drawing(circle(torch.zeros(1, 2, dtype=F64), torch.ones(1, dtype=F64), 4)))
    assert SmoothJoints().measure(disc).item() == pytest.approx(0, abs=1e-12)
    line = torch.tensor([[0.0, 0], [1, 0], [2, 0], [3, 0], [4, 1], [5, 2], [6, 3]], dtype=F64)
    strokes = replace(disc.paths, strokes=line[None, None], widths=torch.ones(1, 1, dtype=F64))
    assert SmoothJoints().measure(rendered(strokes)).item() == pytest.approx((1 - math.sqrt(0.5)) / 5)
    point = torch.zeros(1, 12, 2, dtype=F64, requires_grad=True)
    value = SmoothJoints().measure(rendered(drawing(point)))
    assert value.item() == 0 and not torch.autograd.grad(value, point)[0].any()


SENSITIVE = (OpacityBinary(), ColorPalette(k=2), PathCrossing(chords=3), SmallestArea(least=0.3), SmoothJoints())


@pytest.mark.parametrize("penalty", SENSITIVE, ids=lambda penalty: type(penalty).__name__)
def test_gradients_are_central_differences(penalty: Penalty) -> None:
    paths = wild(1, 2, 1)

    def value(fills: Tensor, strokes: Tensor, colors: Tensor) -> Tensor:
        return penalty.measure(rendered(replace(paths, fills=fills, strokes=strokes, colors=colors)))

    leaves = [part.clone().requires_grad_() for part in (paths.fills, paths.strokes, paths.colors)]
    assert value(*leaves).item() > 0
    if isinstance(penalty, ColorPalette):  # opacities weigh without gradient
        rgb, opacity = leaves[2].detach().split([3, 1], -1)
        assert torch.autograd.gradcheck(
            lambda c: value(leaves[0], leaves[1], torch.cat([c, opacity], -1)), rgb.requires_grad_()
        )
    else:
        assert torch.autograd.gradcheck(value, leaves)


@pytest.mark.parametrize("penalty", SENSITIVE, ids=lambda penalty: type(penalty).__name__)
def test_they_need_drawings_and_have_weights(penalty: Penalty) -> None:
    scene = rendered(wild(1, 2, 1))
    assert replace(penalty, weight=3.0)(scene, 0.0).item() == pytest.approx(3 * penalty.measure(scene).item())
    name = type(penalty).__name__
    with pytest.raises(ValueError, match=f"{name} needs the paths of a drawing, got a Rendering; remove it") as caught:
        penalty(Rendering(View((0,)), torch.zeros(1, 3, 2, 2)), 0.0)
    one_line(caught.value)


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: PathCrossing(chords=1), "chords >= 2, got 1"),
        (lambda: SmallestArea(least=0.0), "least > 0, got 0.0"),
        (lambda: ColorPalette(k=0), "k >= 1"),
        (lambda: ColorPalette(colors=((0.0, 0.0, 1.5),)), "in \\[0, 1\\]"),
        (lambda: SmoothJoints(corner=181.0), "degrees, got 181.0"),
    ],
)
def test_settings_are_checked(build: Callable[[], Penalty], match: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        build()
    one_line(caught.value)
