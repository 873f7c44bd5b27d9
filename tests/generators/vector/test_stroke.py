"""Outlines of strokes against distances to the curve, the capsule's area, and central differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from vector_oracle import curve, grid, mean_pixels

from modeseek.generators.vector.cut import Size
from modeseek.generators.vector.stroke import outline_edges
from modeseek.generators.vector.winding import Boxes, fill, winding

SIZE = (24, 30)
CURVES = {
    "straight": [[(5.0, 6), (10, 9), (15, 12), (20, 15)]],
    "wave": [[(4.0, 12), (12, -4), (18, 28), (26, 12)]],
    "joined": [[(4.0, 5), (8, 5), (12, 5), (15, 6)], [(15.0, 6), (17, 12), (15, 18), (9, 20)]],
    "corner": [
        [(4.375, 6.375), (8, 6.375), (16, 6.375), (20.375, 6.375)],
        [(20.375, 6.375), (20.375, 10), (20.375, 14), (20.375, 19)],
    ],
    "beyond the canvas": [[(-6.0, 12), (8, -4), (18, 28), (40, 12)]],
}


def cover(curves: torch.Tensor, widths: torch.Tensor, size: Size = SIZE) -> torch.Tensor:
    """Coverage of one stroke over the whole canvas."""
    edges, stroke = outline_edges(curves, widths)
    boxes = Boxes.of([(0, 0, *size)], 1, edges.device)
    return fill(winding(edges, stroke, stroke, boxes, size), boxes).view(size[0], size[1] + 1)[:, :-1]


def stroke(name: str) -> torch.Tensor:
    return torch.tensor(CURVES[name], dtype=torch.float64)[None]


@pytest.mark.slow
@pytest.mark.parametrize("width", [1.0, 3.5])
@pytest.mark.parametrize("name", CURVES)
def test_it_covers_what_is_within_half_a_width_of_the_curve(name: str, width: float) -> None:
    points = np.concatenate([curve(np.array(control), 300) for control in CURVES[name]])
    samples = grid(SIZE, 8)
    distance = np.min([np.hypot(*(samples - point).transpose(2, 0, 1)) for point in points], 0)
    expected = mean_pixels((distance <= width / 2).astype(float), 8)
    error = np.abs(cover(stroke(name), torch.tensor([width], dtype=torch.float64)).numpy() - expected)
    assert error.mean() < 2e-3 and error.max() < 0.25, "8 x 8 samples know 0.02 of a pixel; overlaps at a bend add"


def test_a_straight_stroke_has_the_area_of_a_capsule() -> None:
    width, length = 4.0, math.hypot(15, 9)
    expected = length * width + math.pi * width**2 / 4
    assert cover(stroke("straight"), torch.tensor([width], dtype=torch.float64)).sum().item() == pytest.approx(
        expected, rel=6e-3
    )


def test_a_stroke_of_no_length_is_a_disc() -> None:
    point = torch.full((1, 1, 4, 2), 12.0, dtype=torch.float64, requires_grad=True)
    area = cover(point, torch.tensor([6.0], dtype=torch.float64)).sum()
    assert area.item() == pytest.approx(math.pi * 9, rel=0.02)
    (grad,) = torch.autograd.grad(area, point)
    assert grad.isfinite().all()


@pytest.mark.parametrize("name", CURVES)
def test_gradients_are_central_differences(name: str) -> None:
    rng = torch.Generator().manual_seed(1)
    curves, widths = stroke(name).requires_grad_(), torch.tensor([2.7], dtype=torch.float64, requires_grad=True)
    weight = torch.randn(SIZE, generator=rng, dtype=torch.float64)
    direction = torch.randn(curves.shape, generator=rng, dtype=torch.float64)

    def loss(s: float) -> torch.Tensor:
        return (cover(curves + s * direction, widths + s) * weight).sum()

    grads = torch.autograd.grad(loss(0.0), (curves, widths))
    slope = (loss(1e-7) - loss(-1e-7)).item() / 2e-7
    assert ((grads[0] * direction).sum() + grads[1].sum()).item() == pytest.approx(slope, rel=1e-6, abs=1e-6)
