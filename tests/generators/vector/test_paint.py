"""Painter against full planes in float64, against resvg, and central differences; visible areas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import one_line
from vector_drawings import NAMES, wild, with_values
from vector_oracle import cover, curve, resvg, svg

from modeseek.generators.vector.coverage import coverage
from modeseek.generators.vector.paint import paint, visible_areas
from modeseek.generators.vector.paths import Paths, canvas_to_pixels, circle, pixels_to_canvas, random_paths
from modeseek.generators.vector.stroke import outline_edges

SIZE = (33, 40)


def planes(paths: Paths, item: int, size: tuple[int, int]) -> list[torch.Tensor]:
    """Coverage of each slot over the whole canvas, from curves of 300 chords."""
    result = []
    for slot in range(paths.n_fills):
        curves = canvas_to_pixels(paths.fill_curves()[item, slot], size).numpy()
        polygon = torch.from_numpy(np.concatenate([curve(control, 300)[:-1] for control in curves]))
        result.append(coverage(polygon[None], size, "evenodd" if paths.even_odd[item, slot] else "nonzero")[0])
    widths = paths.widths[item] * max(size) / 2
    strokes = canvas_to_pixels(paths.stroke_curves()[item], size)
    if not len(strokes):
        return result
    edges, owner = outline_edges(strokes, widths)
    return result + [coverage(edges[owner == k][None, :, 0], size)[0] for k in range(len(strokes))]


def composite(paths: Paths, item: int, covers: list[torch.Tensor]) -> torch.Tensor:
    """Straight-alpha compositing of full planes, from the bottom to the top."""
    canvas = paths.background[item, :, None, None].expand(3, *covers[0].shape)
    for slot in paths.order[item].tolist():
        red_green_blue, opacity = paths.colors[item, slot, :3], paths.colors[item, slot, 3]
        canvas = canvas * (1 - opacity * covers[slot]) + red_green_blue[:, None, None] * opacity * covers[slot]
    return canvas


def test_it_is_the_compositing_of_full_planes() -> None:
    paths = wild(3, 4, 2)
    images = paint(paths, SIZE)
    for item in range(3):
        expected = composite(paths, item, planes(paths, item, SIZE))
        assert (images[item] - expected).abs().mean() < 3e-4 and (images[item] - expected).abs().max() < 0.03


@pytest.mark.parametrize(
    ("name", "fills", "strokes"), [(n, 3, 2) for n in NAMES] + [("fills", 4, 0), ("strokes", 0, 3)]
)
def test_gradients_are_central_differences(name: str, fills: int, strokes: int) -> None:
    paths, rng = wild(2, fills, strokes), torch.Generator().manual_seed(3)
    value = getattr(paths, name).clone().requires_grad_()
    weight = torch.randn(2, 3, *SIZE, generator=rng, dtype=torch.float64)
    direction = torch.randn(value.shape, generator=rng, dtype=torch.float64)

    def loss(step: float) -> torch.Tensor:
        return (paint(with_values(paths, {name: value + step * direction}), SIZE) * weight).sum()

    (grad,) = torch.autograd.grad(loss(0.0), value)
    slope = (loss(1e-7) - loss(-1e-7)).item() / 2e-7
    assert (grad * direction).sum().item() == pytest.approx(slope, rel=1e-6, abs=1e-6)


def path_text(paths: Paths, slot: int, size: tuple[int, int]) -> str:
    curves = canvas_to_pixels(paths.fill_curves()[0, slot], size)
    start = " ".join(f"{v:.6f}" for v in curves[0, 0])
    rest = "".join("C" + " ".join(f"{v:.6f}" for v in control[1:].flatten()) for control in curves)
    red, green, blue = (f"{100 * v:.4f}%" for v in paths.colors[0, slot, :3])
    return f'<path d="M{start}{rest}Z" fill="rgb({red},{green},{blue})" fill-opacity="{paths.colors[0, slot, 3]:.6f}"/>'


@pytest.mark.parametrize(("count", "opacity", "bound"), [(1, 1.0, 1e-4), (32, 0.5, 2e-3)])
def test_it_is_nearer_to_supersampled_resvg_than_resvg(count: int, opacity: float, bound: float) -> None:
    size, paths = (96, 96), wild(1, count, 0)
    colors = torch.cat(
        [(paths.colors[..., :3] * 255).round() / 255, torch.full_like(paths.colors[..., 3:], opacity)], -1
    )
    white, nonzero = torch.ones_like(paths.background), torch.zeros_like(paths.even_odd)
    paths = replace(paths, colors=colors, background=white, even_odd=nonzero)
    text = svg([path_text(paths, slot, size) for slot in paths.order[0].tolist()], size)
    truth = resvg(text, size, 8)
    ours, theirs = (np.abs(image - truth).mean() for image in (paint(paths, size)[0].numpy(), resvg(text, size, 1)))
    assert ours < bound and ours < 1.1 * theirs


def test_each_call_gives_the_same_bits_and_a_batch_what_each_gives_alone() -> None:
    paths = wild(3, 6, 3, dtype=torch.float32)

    def gradients(paths: Paths) -> list[torch.Tensor]:
        values = {name: getattr(paths, name).clone().requires_grad_() for name in NAMES}
        image = paint(with_values(paths, values), SIZE)
        return [image.detach(), *torch.autograd.grad(image.square().sum(), list(values.values()))]

    together = gradients(paths)
    assert all(torch.equal(a, b) for a, b in zip(together, gradients(paths), strict=True))
    for item in range(3):
        for a, b in zip(together, gradients(paths.select([item])), strict=True):
            torch.testing.assert_close(a[item], b[0], rtol=1e-4, atol=1e-5 * float(b.abs().amax()))
        torch.testing.assert_close(together[0][item], paint(paths.select([item]), SIZE)[0], rtol=0, atol=1e-5)


def test_a_larger_image_averages_to_the_smaller_one() -> None:
    paths = wild(1, 5, 2)
    large = paint(paths, (4 * SIZE[0], 4 * SIZE[1])).unflatten(2, (SIZE[0], 4)).unflatten(4, (SIZE[1], 4)).mean((3, 5))
    assert (large - paint(paths, SIZE)).abs().mean() < 3e-3


def test_a_path_beyond_the_canvas_changes_nothing() -> None:
    paths = wild(2, 4, 0)
    fills = paths.fills.clone()
    fills[:, 1] += 9
    far, rest = replace(paths, fills=fills), replace(paths, fills=fills, colors=paths.colors.clone())
    rest.colors[:, 1, 3] = 0
    assert torch.equal(paint(far, SIZE), paint(rest, SIZE))
    assert torch.equal(visible_areas(far, SIZE)[:, 1], torch.zeros(2, dtype=torch.float64))


def test_visible_areas_of_discs() -> None:
    """A disc of radius 8 under one of radius 5: pi 64 - 0.5 pi 25 and 0.5 pi 25."""
    size = (32, 32)
    paths = random_paths(1, 2, 0, 8, torch.Generator(), like=torch.empty(0, dtype=torch.float64))
    center = torch.zeros(1, 2, 2, dtype=torch.float64)
    fills = circle(center, torch.tensor([[5.0, 8.0]], dtype=torch.float64) / 16, 8)
    colors = paths.colors.clone()
    colors[..., 3] = torch.tensor([0.5, 1.0])
    paths = replace(paths, fills=fills, colors=colors, order=torch.tensor([[1, 0]]))
    inner, outer = 0.5 * np.pi * 25, np.pi * 64
    expected = torch.tensor([[inner, outer - inner]], dtype=torch.float64)
    torch.testing.assert_close(visible_areas(paths, size), expected, rtol=1e-3, atol=0)
    np.testing.assert_allclose(visible_areas(paths, (64, 64)), 4 * expected, rtol=1e-3)


def test_canvas_units() -> None:
    points = torch.tensor([[-1.0, -0.5], [1, 0.5], [0, 0]])
    torch.testing.assert_close(canvas_to_pixels(points, (20, 40)), torch.tensor([[0.0, 0], [40, 20], [20, 10]]))
    torch.testing.assert_close(pixels_to_canvas(canvas_to_pixels(points, (20, 40)), (20, 40)), points)


def test_a_circle_of_cubics_is_round() -> None:
    control = circle(torch.zeros(1, 2, dtype=torch.float64), torch.ones(1, dtype=torch.float64), 4)
    closed = torch.cat([control, control[:, :1]], 1)[0].numpy()
    radii = np.concatenate([np.hypot(*curve(closed[3 * k : 3 * k + 4], 50).T) for k in range(4)])
    assert np.abs(radii - 1).max() < 3e-4
    paths = random_paths(1, 1, 0, 4, torch.Generator().manual_seed(2))
    polygon = canvas_to_pixels(paths.fill_curves()[0, 0], SIZE).double().numpy()
    polygon = np.concatenate([curve(part, 40)[:-1] for part in polygon])
    tinted = paint(replace(paths, colors=torch.tensor([[[0.0, 0, 0, 1]]])), SIZE)[0, 0].numpy()
    np.testing.assert_allclose(1 - tinted, cover(polygon, SIZE, False), atol=0.03)


@pytest.mark.parametrize(("value", "match"), [(float("nan"), "got nan"), (float("inf"), "got inf"), (1e9, r"got \d")])
def test_points_that_are_lost(value: float, match: str) -> None:
    paths = wild(1, 2, 0)
    paths.fills[0, 0, 0, 0] = value
    with pytest.raises(
        ValueError, match=f"points of a drawing must be finite and within 1e6 pixels, {match}"
    ) as caught:
        paint(paths, SIZE)
    one_line(caught.value)


def test_a_square_on_the_pixel_grid_is_pushed_out_on_all_sides() -> None:
    corners = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]], dtype=torch.float64)
    steps = torch.tensor([0, 1 / 3, 2 / 3], dtype=torch.float64)[:, None]
    sides = torch.cat([a + steps * (b - a) for a, b in zip(corners, corners.roll(-1, 0), strict=True)])
    paths = replace(
        wild(1, 1, 0), fills=sides[None, None], colors=torch.tensor([[[0.0, 0, 0, 1]]], dtype=torch.float64)
    )
    paths = replace(paths, background=torch.ones_like(paths.background), even_odd=torch.zeros_like(paths.even_odd))
    fills = paths.fills.clone().requires_grad_()
    (grad,) = torch.autograd.grad(paint(replace(paths, fills=fills), (16, 16)).sum(), fills)
    expected = torch.zeros(12, 2, dtype=torch.float64)
    expected[::3] = -2 * corners * 3 * (8 / 2) * 8  # three channels, half of each side of 8 pixels, 8 pixels a unit
    torch.testing.assert_close(grad[0, 0], expected)
