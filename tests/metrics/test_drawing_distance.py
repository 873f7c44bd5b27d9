"""Nearest drawing: distances against a slow twin in numpy, and what they must not depend on."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from modeseek.datasets.emoji import canonical
from modeseek.datasets.emoji.placement import IconPlacement, place
from modeseek.io.progress import Progress
from modeseek.metrics.drawing_distance import drawing_distances, nearest_drawings

WHITE = torch.ones(1, 3)


def distances(images: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    job = drawing_distances(images, pixels)
    seen: list[Progress] = []
    while True:
        try:
            seen.append(next(job))
        except StopIteration as end:
            assert [one.done for one in seen] == sorted(one.done for one in seen) and seen[-1].done == len(pixels)
            return end.value


def drawings(n: int, size: int = 48, seed: int = 0) -> torch.Tensor:
    """Random blobs with soft alpha."""
    g = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 4, 5, 5, generator=g)
    return (255 * torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")).byte()


def disc(radius: float, size: int = 64) -> torch.Tensor:
    """A black disc as a drawing."""
    across = torch.arange(size) + 0.5 - size / 2
    pixels = torch.zeros(4, size, size, dtype=torch.uint8)
    pixels[3] = 255 * (across[:, None] ** 2 + across**2 < radius**2)
    return pixels


def slow(image: np.ndarray, drawing: torch.Tensor) -> float:
    """Least RMS over scales and shifts, a loop in float64."""

    def pool(x: np.ndarray) -> np.ndarray:
        return x.reshape(3, 32, 2, 32, 2).mean((2, 4))

    small = pool(image)
    best = math.inf
    for scale in (0.80, 0.86, 0.92, 0.98, 1.04):
        one = IconPlacement(torch.tensor([scale]), torch.zeros(1), torch.zeros(1, 2))
        drawn = pool(place(drawing[None], one, WHITE, 64, samples=1)[0].double().numpy())
        for down, across in itertools.product((-1, 0, 1), repeat=2):
            rows, columns = (np.clip(np.arange(32) + k, 0, 31) for k in (down, across))
            best = min(best, float(np.sqrt(((small[:, rows][:, :, columns] - drawn) ** 2).mean())))
    return best


def test_distances_are_those_of_the_loop() -> None:
    pixels = drawings(5)
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    got = distances(images, pixels)
    for i, j in itertools.product(range(3), range(5)):
        assert got[i, j].item() == pytest.approx(slow(images[i].double().numpy(), pixels[j]), abs=2e-4)


def test_more_drawings_than_a_block_are_all_compared() -> None:
    pixels = drawings(150, size=16)
    images = canonical(pixels[[3, 70, 149]])
    got = distances(images, pixels)
    assert got.shape == (3, 150)
    alone = torch.cat([distances(images, pixels[k : k + 1]) for k in (0, 70, 149)], 1)
    assert torch.allclose(got[:, [0, 70, 149]], alone, atol=1e-5)
    assert nearest_drawings(got, 5).index[:, 0].tolist() == [3, 70, 149]


def test_place_and_size_do_not_matter_but_shape_and_colour_do() -> None:
    """Radii 26 and 13 are no placements of one another; grey on black is none of black."""
    grey = disc(26)
    grey[:3] = 128
    pixels = torch.stack([disc(26), disc(13), grey])
    scale, offset = torch.tensor([0.80, 0.92, 1.04]), torch.tensor([[0.07, -0.07], [0.0, 0.07], [-0.06, 0.06]])
    images = place(pixels[:1].expand(3, -1, -1, -1), IconPlacement(scale, torch.zeros(3), offset), WHITE, 64)
    nearest = nearest_drawings(distances(images, pixels), 2)
    assert nearest.index[:, 0].tolist() == [0, 0, 0] and nearest.distance[:, 0].max() < 0.06
    assert nearest.distance[:, 1].min() > 0.25
    assert (nearest.distance[:, 0] <= nearest.distance[:, 1]).all()


def test_images_of_other_sizes_are_resized() -> None:
    pixels = drawings(4)
    small, large = (torch.nn.functional.interpolate(canonical(pixels, 128), (s, s), mode="area") for s in (64, 128))
    assert torch.allclose(distances(small, pixels), distances(large, pixels), atol=1e-5)


def test_the_distance_of_white_to_a_black_square_is_known() -> None:
    """A filled square of scale 0.80 covers 0.64 of white: RMS sqrt(0.64), the least over the scales.

    Of the 32 x 32 averages some 102 hold an edge, where the square of a cover is up to 1/4 less than the cover.
    """
    pixels = torch.zeros(1, 4, 64, 64, dtype=torch.uint8)
    pixels[:, 3] = 255
    got = distances(torch.ones(1, 3, 64, 64), pixels)
    assert (0.64 - 102 / 1024 / 4) ** 0.5 <= got.item() <= 0.8
    assert distances(torch.ones(1, 3, 64, 64), torch.zeros(1, 4, 9, 9, dtype=torch.uint8)).item() == 0


def test_fewer_drawings_than_asked_for_and_none() -> None:
    nearest = nearest_drawings(torch.tensor([[0.3, 0.1]]), 5)
    assert nearest.index.tolist() == [[1, 0]]
    with pytest.raises(ValueError, match="need images and drawings, got 0 and 2"):
        distances(torch.zeros(0, 3, 64, 64), drawings(2))
