"""Lenses with distortion: closed forms, OpenCV's formula by hand, and what a lens does not see."""

from __future__ import annotations

import math

import pytest
import torch

from modeseek.datasets.captures import Lens


def test_a_pinhole_is_a_perspective_projection() -> None:
    lens = Lens(640, 480, (500.0, 400.0), (310.0, 250.0))
    pixels, seen = lens.project(torch.tensor([[0.0, 0.0, 2.0], [1.0, -0.5, 2.0], [0.0, 0.0, -1.0], [9.0, 0.0, 2.0]]))
    assert pixels[:2].tolist() == [[310, 250], [560, 150]]
    assert seen.tolist() == [True, True, False, False]


def test_distortion_is_that_of_opencv() -> None:
    k1, k2, k3, k4, p1, p2 = -0.2, 0.05, -0.01, 0.002, 0.003, -0.004
    lens = Lens(1000, 1000, (300.0, 310.0), (500.0, 480.0), (k1, k2, k3, k4), (p1, p2))
    x, y = 0.3, -0.4  # so that r is 0.25
    radial = 1 - 0.2 * 0.25 + 0.05 * 0.0625 - 0.01 * 0.015625 + 0.002 * 0.00390625
    u = 300 * (x * radial + 2 * p1 * (-0.12) + p2 * (0.25 + 2 * 0.09)) + 500
    v = 310 * (y * radial + p1 * (0.25 + 2 * 0.16) + 2 * p2 * (-0.12)) + 480
    pixels, seen = lens.project(torch.tensor([[3 * x, 3 * y, 3.0]], dtype=torch.float64))
    assert pixels[0].tolist() == pytest.approx([u, v], abs=1e-9) and seen.all()


def test_directions_that_barrel_distortion_folds_back_are_not_seen() -> None:
    """s (1 - s^2 / 2) falls from s^2 = 2/3 on: farther directions land on the image a second time."""
    lens = Lens(200, 200, (100.0, 100.0), (100.0, 100.0), (-0.5, 0.0, 0.0, 0.0))
    s = torch.tensor([0.81, 0.82])
    pixels, seen = lens.project(torch.stack([s, 0 * s, 1 + 0 * s], -1))
    assert (pixels[:, 0] < 200).all() and seen.tolist() == [True, False]


def test_a_smaller_copy_of_the_image_has_the_same_lens() -> None:
    lens = Lens(640, 480, (500.0, 400.0), (310.0, 250.0), (0.1, 0.0, 0.0, 0.0))
    direction = torch.tensor([[0.2, 0.1, 1.0]])
    half, whole = lens.scaled(320, 240).project(direction)[0], lens.project(direction)[0]
    assert torch.allclose(2 * half, whole)
    assert lens.scaled(213, 160).width == 213  # rounded
    with pytest.raises(ValueError, match=r"must have the shape of its lens, 640 x 480 pixels, got 480 x 640"):
        lens.scaled(480, 640)


@pytest.mark.parametrize(("focal", "centre"), [((0.0, 1.0), (1.0, 1.0)), ((1.0, 1.0), (math.nan, 1.0))])
def test_invalid_lenses_are_refused(focal: tuple[float, float], centre: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="a lens must have finite numbers, focal lengths > 0"):
        Lens(4, 4, focal, centre)
