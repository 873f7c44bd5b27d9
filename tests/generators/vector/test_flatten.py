"""Chords of cubics: area by Green's theorem, distance from the curve, gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import generator
from vector_oracle import curve

from modeseek.generators.vector.flatten import bernstein, count_chords, flatten


def loops(n: int, scale: float) -> torch.Tensor:
    """Closed curves of 3 cubics each, (3 n, 4, 2)."""
    points = torch.rand(n, 9, 2, generator=generator(), dtype=torch.float64) * scale
    return torch.cat([points, points[:, :1]], 1).unfold(1, 4, 3).transpose(-1, -2).flatten(0, 1)


def area(control: np.ndarray) -> float:
    """Area below a cubic, 1/2 of the integral of x dy - y dx, by Gauss-Legendre quadrature (exact for degree 5)."""
    nodes, weights = np.polynomial.legendre.leggauss(4)
    t, step = (nodes + 1) / 2, np.diff(control, axis=0) * 3
    point = sum(
        c * (b * (1 - t) ** (3 - k) * t**k)[:, None] for k, (b, c) in enumerate(zip((1, 3, 3, 1), control, strict=True))
    )
    speed = sum(
        c * (b * (1 - t) ** (2 - k) * t**k)[:, None] for k, (b, c) in enumerate(zip((1, 2, 1), step, strict=True))
    )
    return float((weights / 4 * (point[:, 0] * speed[:, 1] - point[:, 1] * speed[:, 0])).sum())


@pytest.mark.parametrize("scale", [8.0, 64.0, 512.0])
def test_the_area_is_that_of_the_curve(scale: float) -> None:
    curves = loops(5, scale)
    counts = count_chords(curves)
    chords = flatten(curves, counts).split(counts.tolist())
    for control, part in zip(curves.numpy(), chords, strict=True):
        (x0, y0), (x1, y1) = part[:, 0].T, part[:, 1].T
        shoelace = 0.5 * float((x0 * y1 - x1 * y0).sum())
        assert shoelace == pytest.approx(area(control), abs=2e-3 * scale), "chords alone lose 0.03 times the length"
        assert torch.equal(part[1:, 0], part[:-1, 1]), "closed"
        np.testing.assert_allclose(part[[0, -1], [0, 1]], control[[0, 3]], atol=1e-12)


def test_vertices_stay_near_the_curve() -> None:
    curves = loops(4, 100.0)
    counts = count_chords(curves, 0.05)
    for control, part in zip(curves.numpy(), flatten(curves, counts).split(counts.tolist()), strict=True):
        middles = part.mean(1)
        dense = curve(control, 2000)
        for points in (part[:, 0], middles):
            distance = np.linalg.norm(points.numpy()[:, None] - dense[None], axis=-1).min(1)
            assert distance.max() < 0.08


def test_a_straight_cubic_is_one_chord_and_a_bent_one_has_more() -> None:
    line = torch.tensor([[[0.0, 0], [1, 1], [2, 2], [3, 3]]])
    bent = torch.tensor([[[0.0, 0], [0, 40], [40, 40], [40, 0]]])
    assert count_chords(line).tolist() == [1]
    assert count_chords(bent).item() > 8 and count_chords(1e6 * bent).item() == 256
    assert count_chords(bent, 0.1 / 16).item() == pytest.approx(4 * count_chords(bent, 0.1).item(), abs=4)


def test_gradients_are_central_differences() -> None:
    curves = loops(3, 30.0).requires_grad_()
    counts = count_chords(curves)
    assert torch.autograd.gradcheck(lambda c: flatten(c, counts), (curves,))


def test_bernstein_weights_are_de_casteljau() -> None:
    control = loops(1, 1.0)[0]
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    np.testing.assert_allclose(bernstein(t) @ control, curve(control.numpy(), 8), atol=1e-14)
