"""Subdivision of chains of cubics against de Casteljau's construction, and its inverse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import generator
from vector_oracle import curve

from modeseek.generators.vector.cubics import join, straight, subdivide


def test_subdivision_is_exact_and_divides_the_longest() -> None:
    points = torch.randn(7, 2, generator=generator(), dtype=torch.float64)
    points[4:] *= 90
    parts = subdivide(points, 9)
    assert torch.equal(parts[:4], points[:4]), "the short cubic stays one"
    np.testing.assert_allclose(parts[3::3], curve(points[3:].numpy(), 8), atol=1e-12)
    for k in range(1, 9):
        whole = curve(points[3:].numpy(), 16)[2 * k - 1]
        np.testing.assert_allclose(curve(parts[3 * k : 3 * k + 4].numpy(), 2)[1], whole, atol=1e-12)
    assert torch.equal(subdivide(points, 2), points)


@pytest.mark.parametrize("parts", [3, 4, 11, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_joining_undoes_subdivision(parts: int, dtype: torch.dtype) -> None:
    points = torch.randn(10, 2, generator=generator(), dtype=dtype)
    joined = join(subdivide(points, parts), 1e-4)
    torch.testing.assert_close(joined, points, rtol=0, atol=1e-4 if dtype == torch.float32 else 1e-9)


def test_straight_lines_are_joined_and_corners_and_dents_are_not() -> None:
    corners = torch.tensor([[0.0, 0], [6, 0], [6, 3], [0, 0]], dtype=torch.float64)
    points = torch.cat([*(straight(a, b) for a, b in zip(corners, corners[1:], strict=False)), corners[-1:]])
    torch.testing.assert_close(join(subdivide(points, 14), 1e-6), points)
    dented = subdivide(points, 14)
    dented[5, 1] += 0.01
    assert len(join(dented, 1e-3)) > len(points) and len(join(dented, 0.1)) == len(points)


def test_curves_of_no_length_stay() -> None:
    points = torch.tensor([[1.0, 1]]).expand(7, 2)
    assert torch.equal(join(points, 1e-6), points)
