"""Comparison with one drawing: palettes, regions and distances in closed form, and placements that are found again."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from modeseek.datasets.emoji.placement import IconPlacement, place
from modeseek.metrics.color_difference import delta_e
from modeseek.metrics.drawing_regions import (
    Palette,
    draw_placed,
    find_palette,
    find_placement,
    palette_distance,
    region_iou,
)

RED, BLUE, WHITE, BLACK = (0.9, 0.1, 0.1), (0.1, 0.1, 0.9), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)


def stripes(*parts: tuple[tuple[float, float, float], int], height: int = 10) -> Tensor:
    """Image of upright stripes, (colour, width in pixels) each."""
    columns = torch.cat([torch.tensor(color)[:, None].expand(3, width) for color, width in parts], 1)
    return columns[:, None].expand(3, height, -1).contiguous()


def color_difference(a: tuple[float, float, float], b: tuple[float, float, float]) -> float:
    return float(delta_e(torch.tensor(a)[:, None, None], torch.tensor(b)[:, None, None]))


def test_a_palette_is_the_frequent_colours_that_are_apart() -> None:
    """Two reds of 0.02 apart are one colour, their mean; a blue below 0.4 % of the pixels is none."""
    reds = (0.9, 0.1, 0.1), (0.92, 0.1, 0.1)
    image = stripes((WHITE, 50), (reds[0], 30), (reds[1], 20), height=20)
    image[:, :3, :4] = torch.tensor(BLUE)[:, None, None]  # 2 x 3 of 2000 pixels are like their neighbours
    found = find_palette(image)
    assert found.colors.shape == (2, 3) and found.shares.sum() == pytest.approx(1)
    red = found.colors[int(found.labels[10, 60])]
    assert red[1:].tolist() == pytest.approx([0.1, 0.1], abs=0.01) and float(red[0]) == pytest.approx(0.906, abs=5e-3)
    image[:, :3, :5] = torch.tensor(BLUE)[:, None, None]  # 2 x 4, 0.4 %
    assert find_palette(image).colors.shape == (3, 3)


def test_soft_edges_are_no_regions() -> None:
    image = stripes((RED, 40), *((tuple(r + k / 5 * (1 - r) for r in RED), 1) for k in range(1, 5)), (WHITE, 36))
    found = find_palette(image.repeat(1, 8, 1))  # each step of the edge has more than 0.4 % of the pixels
    assert found.colors.shape == (2, 3)
    assert sorted(found.shares.tolist()) == pytest.approx([0.475, 0.525], abs=0.013)


def test_an_image_without_flat_parts_has_a_palette() -> None:
    noise = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert find_palette(noise).shares.sum() == pytest.approx(1)


def test_at_most_twelve_colours() -> None:
    colors = [(r / 2, g / 2, b / 2) for r in range(3) for g in range(3) for b in range(3)]
    assert len(find_palette(stripes(*((color, 4) for color in colors))).colors) == 12


IOUS = {  # image, truth, mean over the regions of the truth of the best IoU, one to one
    "equal": (((RED, 6), (WHITE, 4)), ((RED, 6), (WHITE, 4)), 1.0),
    "other colours": (((BLUE, 6), (BLACK, 4)), ((RED, 6), (WHITE, 4)), 1.0),
    "edge moved": (((RED, 4), (WHITE, 6)), ((RED, 6), (WHITE, 4)), (4 / 6 + 4 / 6) / 2),
    "a part is missing": (((RED, 10),), ((RED, 6), (WHITE, 4)), 0.6 / 2),
    "a part more": (((RED, 6), (BLUE, 3), (WHITE, 3)), ((RED, 6), (WHITE, 6)), (1 + 3 / 6) / 2),
    "not the greedy match": (((RED, 6), (BLUE, 4)), ((BLACK, 5), (WHITE, 5)), (5 / 6 + 4 / 5) / 2),
}


@pytest.mark.parametrize("case", IOUS)
def test_regions_are_matched_one_to_one(case: str) -> None:
    image, truth, wanted = IOUS[case]
    assert region_iou(find_palette(stripes(*image)), find_palette(stripes(*truth))) == pytest.approx(wanted)


def test_a_match_is_the_best_of_all() -> None:
    """IoUs 10/19 and 5/15 of one region, 4/14 and 0 of the other: the largest alone would leave that one nothing."""
    truth = Palette(torch.zeros(2, 3), torch.tensor([[0] * 15 + [1] * 4]))
    image = Palette(torch.zeros(2, 3), torch.tensor([[0] * 10 + [1] * 5 + [0] * 4]))
    assert region_iou(image, truth) == pytest.approx((5 / 15 + 4 / 14) / 2)


def test_sizes_must_be_equal() -> None:
    with pytest.raises(ValueError, match=r"regions must have one size, got \(10, 6\) and \(10, 8\)"):
        region_iou(find_palette(stripes((RED, 6))), find_palette(stripes((RED, 8))))


DISTANCES = {  # image, other, distance in closed form
    "equal": (((RED, 6), (WHITE, 4)), ((RED, 6), (WHITE, 4)), 0.0),
    "flat": (((RED, 10),), ((WHITE, 10),), color_difference(RED, WHITE)),
    "a share moved": (((RED, 6), (WHITE, 4)), ((RED, 3), (WHITE, 7)), 0.3 * color_difference(RED, WHITE)),
    "places do not matter": (((WHITE, 4), (RED, 6)), ((RED, 6), (WHITE, 4)), 0.0),
    "split to two": (
        ((BLACK, 10),),
        ((RED, 2), (BLUE, 8)),
        0.2 * color_difference(BLACK, RED) + 0.8 * color_difference(BLACK, BLUE),
    ),
}


@pytest.mark.parametrize("case", DISTANCES)
def test_palettes_are_as_far_as_colours_move(case: str) -> None:
    one, other, wanted = DISTANCES[case]
    palettes = find_palette(stripes(*one)), find_palette(stripes(*other))
    assert palette_distance(*palettes) == pytest.approx(wanted, abs=1e-4)
    assert palette_distance(*palettes[::-1]) == pytest.approx(wanted, abs=1e-4)
    if case == "flat":
        assert palette_distance(find_palette(stripes((BLACK, 5))), find_palette(stripes((WHITE, 5)))) == pytest.approx(
            100, abs=0.01
        )


def drawing() -> Tensor:
    """A drawing without symmetry: a bar, a foot, and a hole, with soft alpha."""
    pixels = torch.zeros(4, 96, 96)
    pixels[:, 20:76, 30:44] = torch.tensor([200, 30, 30, 255.0])[:, None, None]
    pixels[:, 62:76, 44:70] = torch.tensor([30, 60, 200, 255.0])[:, None, None]
    pixels[:, 30:40, 34:40] = torch.tensor([240, 220, 40, 255.0])[:, None, None]
    return pixels.byte()


@pytest.mark.parametrize(
    "scale, degrees, shift", [(0.94, 0.0, (0.0, 0.0)), (0.83, -5.0, (0.05, -0.03)), (1.03, 7.0, (-0.06, 0.06))]
)
def test_a_placement_is_found_again(scale: float, degrees: float, shift: tuple[float, float]) -> None:
    pixels = drawing()
    where = IconPlacement(torch.tensor([scale]), torch.tensor([math.radians(degrees)]), torch.tensor([shift]))
    image = place(pixels[None], where, torch.ones(1, 3), 64)[0]
    found = find_placement(image, pixels)
    assert found.distance < 0.06
    assert float(found.placement.scale) == pytest.approx(scale, abs=0.016)
    assert float(found.placement.angle) == pytest.approx(math.radians(degrees), abs=math.radians(1.1))
    assert found.placement.offset[0].tolist() == pytest.approx(shift, abs=0.016)
    placed = draw_placed(pixels, found, 64)
    assert float((placed - image).square().mean().sqrt()) < 0.06
    other = pixels.flip(2)
    assert find_placement(image, other).distance > 2 * found.distance


def test_the_distance_is_that_of_the_image() -> None:
    """Of a blank image it is the least root mean square of the drawing on white: at the smallest scale."""
    pixels = drawing()
    found = find_placement(torch.ones(3, 32, 32), pixels)
    smallest = place(pixels[None], IconPlacement.centred(1, 0.77, torch.device("cpu")), torch.ones(1, 3), 64)
    assert found.distance == pytest.approx(float((1 - smallest).square().mean().sqrt()), rel=0.05)
    assert float(found.placement.scale) == pytest.approx(0.77)
