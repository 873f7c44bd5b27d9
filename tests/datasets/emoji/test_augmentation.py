"""Training images of emoji: coverage and colours in closed form, equivariance, settings of the draws."""

from __future__ import annotations

import math

import pytest
import torch

from modeseek.datasets.emoji import BACKGROUNDS, augment, canonical
from modeseek.datasets.emoji.placement import IconPlacement, place

CPU = torch.device("cpu")
WHITE = torch.ones(1, 3)


def square(
    half: float = 0.5, colour: tuple[int, int, int] = (200, 40, 0), alpha: int = 255, size: int = 96
) -> torch.Tensor:
    """A centred square whose side is the share `half` of the image, transparent elsewhere, with wild colours there."""
    pixels = torch.zeros(4, size, size, dtype=torch.uint8)
    pixels[:3] = torch.tensor([0, 255, 255], dtype=torch.uint8)[:, None, None]
    low = round(size * (1 - half) / 2)
    inside = slice(low, size - low)
    pixels[:3, inside, inside] = torch.tensor(colour, dtype=torch.uint8)[:, None, None]
    pixels[3, inside, inside] = alpha
    return pixels


def mean_of(colour: tuple[int, int, int], cover: float, background: torch.Tensor) -> torch.Tensor:
    return cover * torch.tensor(colour) / 255 + (1 - cover) * background


@pytest.mark.parametrize("alpha", [255, 102])
def test_the_mean_colour_is_that_of_the_area(alpha: int) -> None:
    """A square of side 1/2 at scale s covers s^2 / 4, whatever its angle and place; colour mixes by alpha alone."""
    colour = (200, 40, 0)
    background = torch.tensor([[0.1, 0.5, 0.9]])
    scale, angle = torch.tensor([0.8, 0.94, 1.04, 0.9]), torch.tensor([0.0, 0.0, 0.3, -0.12])
    offset = torch.tensor([[0.0, 0.0], [0.1, -0.2], [0.05, 0.05], [-0.3, 0.2]])
    images = place(
        square(colour=colour, alpha=alpha)[None].expand(4, -1, -1, -1),
        IconPlacement(scale, angle, offset),
        background,
        64,
    )
    for image, s in zip(images, scale.tolist(), strict=True):
        expected = mean_of(colour, s**2 / 4 * alpha / 255, background[0])
        assert torch.allclose(image.mean((1, 2)), expected, atol=2e-3), "bilinear samples of a grid, not exact areas"
    assert images.min() >= 0 and images.max() <= 1


def test_transparent_pixels_lend_no_colour_to_edges() -> None:
    """Red within, cyan where transparent: on white no channel may exceed white or be darker than red's own."""
    image = canonical(square(colour=(255, 0, 0))[None])[0]
    assert (image[0] > 0.999).all(), "red and white both have full red; a cyan fringe would darken it"


def test_the_canonical_image_is_upright_centred_and_on_white() -> None:
    image = canonical(square()[None], 64)[0]
    cover = 1 - image[2]
    half = 0.5 * 0.94 * 64
    inside = slice(math.ceil(32 - half / 2) + 1, math.floor(32 + half / 2) - 1)
    assert torch.allclose(cover[inside, inside], torch.ones(()), atol=1e-3)
    assert torch.allclose(image, image.flip(2), atol=1e-5)
    assert torch.allclose(image, image.flip(1), atol=1e-5) and torch.equal(image[:, 0], torch.ones(3, 64))
    assert abs(cover.sum().item() - half**2) < 4.0, "of 905 pixels: edges are right to 0.03 of a pixel"


def test_a_placement_moves_points_as_it_says() -> None:
    """A dot at u goes to scale R(angle) (u - offset): centres of mass, in half sides of the image."""
    pixels = torch.zeros(4, 96, 96, dtype=torch.uint8)
    pixels[3, 60:64, 20:24] = 255
    u = torch.tensor([(22 - 48) / 48, (62 - 48) / 48])
    scale, angle, offset = 0.9, 0.4, torch.tensor([0.1, -0.05])
    placement = IconPlacement(torch.tensor([scale]), torch.tensor([angle]), offset[None])
    mass = 1 - place(pixels[None], placement, WHITE, 64)[0, 0]
    centres = (torch.arange(64) + 0.5) / 32 - 1
    got = torch.stack([(mass.sum(0) * centres).sum(), (mass.sum(1) * centres).sum()]) / mass.sum()
    x, y = (u - offset).tolist()
    turned = torch.tensor([math.cos(angle) * x - math.sin(angle) * y, math.sin(angle) * x + math.cos(angle) * y])
    assert torch.allclose(got, scale * turned, atol=4e-3), (got, scale * turned)


def test_turning_the_drawing_turns_the_image() -> None:
    """Quarter turns of the pixels commute with placement when the offset turns along."""
    g = torch.Generator().manual_seed(2)
    pixels = torch.randint(0, 256, (1, 4, 32, 32), generator=g, dtype=torch.uint8)
    scale, angle = torch.tensor([0.9]), torch.tensor([0.05])
    offset = torch.tensor([[0.06, -0.02]])
    image = place(pixels, IconPlacement(scale, angle, offset), WHITE, 64)
    turned = torch.tensor([[offset[0, 1], -offset[0, 0]]])  # counter-clockwise by 90 degrees, y down: (x, y) -> (y, -x)
    other = place(pixels.rot90(1, (2, 3)), IconPlacement(scale, angle, turned), WHITE, 64)
    assert torch.allclose(other, image.rot90(1, (2, 3)), atol=1e-4)


def test_augmentation_draws_what_it_says() -> None:
    """Of 4,000 images of a square: area by the law of the scale, backgrounds by their shares."""
    n = 4000
    pixels = square(0.5, (0, 0, 0), size=32)[None].expand(n, -1, -1, -1)
    drawn = augment(pixels, torch.Generator().manual_seed(3), size=32)
    white = drawn.background == 0
    assert abs(white.float().mean() - 0.75) < 0.035, "five standard errors"
    counts = drawn.background[~white].bincount(minlength=len(BACKGROUNDS))
    assert counts[0] == 0 and len(counts) == 10 and counts[1:].min() > 60, "each some 111 times, standard error 10"
    colours = torch.tensor(list(BACKGROUNDS.values())) / 255
    corner = drawn.image[:, :, 0, 0]
    assert torch.allclose(corner, colours[drawn.background], atol=1e-6)
    cover = 1 - drawn.image[white].mean((1, 2, 3))
    side = (4 * cover).sqrt()
    assert side.min() > 0.79 and side.max() < 1.05
    assert abs(side.mean() - 0.92) < 0.01 and abs(side.std() - 0.24 / 12**0.5) < 0.005
    centres = (torch.arange(32) + 0.5) / 16 - 1
    mass = 1 - drawn.image[white][:, 0]
    across = (mass.sum(1) * centres).sum(1) / mass.sum((1, 2))
    assert across.abs().max() < 0.06 * 1.04 + 0.01 and abs(across.mean()) < 0.004
    assert abs(across.std() - 0.92 * 0.06 / 3**0.5) < 0.003
    level = (mass[:, :, 16] - mass[:, :, 16].flip(1)).abs()  # no assertion on single images: half are turned
    assert level.isfinite().all()


def test_half_of_the_drawings_are_turned_by_at_most_seven_degrees() -> None:
    """A horizontal bar: its angle is that of the principal axis of its mass."""
    n = 1500
    pixels = torch.zeros(4, 64, 64, dtype=torch.uint8)
    pixels[3, 28:36, 8:56] = 255
    images = augment(pixels[None].expand(n, -1, -1, -1), torch.Generator().manual_seed(5), 64, white=1.0).image
    mass = 1 - images[:, 0]
    centres = (torch.arange(64) + 0.5) / 32 - 1
    total = mass.sum((1, 2))
    x, y = (mass.sum(1) * centres).sum(1) / total, (mass.sum(2) * centres).sum(1) / total
    dx, dy = centres[None] - x[:, None], centres[None] - y[:, None]
    xx = (mass.sum(1) * dx**2).sum(1)
    yy = (mass.sum(2) * dy**2).sum(1)
    xy = torch.einsum("nyx,ny,nx->n", mass, dy, dx)
    angle = torch.rad2deg(0.5 * torch.atan2(2 * xy, xx - yy))
    assert angle.abs().max() < 7.05
    assert abs((angle.abs() > 0.05).float().mean() - 0.5) < 0.07, "five standard errors"
    turned = angle[angle.abs() > 0.05]
    assert abs(turned.mean()) < 0.8 and abs(turned.abs().mean() - 3.5) < 0.5


def test_draws_depend_on_the_generator_alone() -> None:
    pixels = square(size=32)[None].expand(6, -1, -1, -1)
    first, second, third = (augment(pixels, torch.Generator().manual_seed(s), 16) for s in (1, 1, 2))
    assert torch.equal(first.image, second.image) and not torch.equal(first.image, third.image)
    assert (augment(pixels, torch.Generator().manual_seed(1), 16, white=0.0).background > 0).all()
