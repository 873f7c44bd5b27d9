"""Contact sheets: every image in its cell, texts where they belong and no wider than their column."""

from __future__ import annotations

import torch
from PIL import ImageFont

from modeseek.io.images import decode_image
from modeseek.reports.contact_sheet import ContactSheet, Tile, break_lines, tile_side

RED, GREEN, BLUE = ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0))


def tile(colour: tuple[float, float, float], side: int = 8, **texts: str) -> Tile:
    return Tile(torch.tensor(colour)[:, None, None].expand(3, side, side), **texts)


def find(image: torch.Tensor, colour: tuple[float, float, float]) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of the pixels of a colour, both ends included."""
    rows, columns = (image == torch.tensor(colour)[:, None, None]).all(0).nonzero().unbind(1)
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


def test_each_image_is_in_its_cell() -> None:
    """Two columns, the second without an image in the first row; two tiles side by side, a third below."""
    cells = [[[tile(RED), tile(GREEN), tile(BLUE)], []], [[], [tile((0.0, 0, 0))]]]
    image = ContactSheet(cells, side=20, across=2, gap=10).draw()
    assert find(image, RED) == (10, 29, 10, 29)
    assert find(image, GREEN) == (10, 29, 32, 51) and find(image, BLUE) == (32, 51, 10, 29)
    assert find(image, (0, 0, 0)) == (62, 81, 62, 81)
    assert image.shape == (3, 92, 114) and set(image.unique().tolist()) == {0.0, 1.0}
    decoded = decode_image(ContactSheet(cells, side=20, across=2, gap=10).png())
    assert torch.equal(decoded, image)


def test_an_image_keeps_its_proportions_and_its_pixels() -> None:
    """Enlarged by nearest neighbour, centred in a square; one channel is grey."""
    wide = torch.tensor([0.0, 0.2]).repeat(1, 5, 10)
    image = ContactSheet([[[Tile(wide)]]], side=40, gap=0).draw()
    assert image.shape == (3, 40, 40) and (image[:, :15] == 1).all() and (image[:, 25:] == 1).all()
    assert torch.allclose(image[:, 15:25], wide.repeat_interleave(2, 1).repeat_interleave(2, 2).expand(3, -1, -1))


def test_texts_are_beside_their_images() -> None:
    plain = [[[tile(RED)]], [[tile(BLUE)]]]
    headed = ContactSheet(plain, ["a heading"], ["label", "a label that needs three lines"], side=20, label_width=60)
    image = headed.draw()
    top, _, left, _ = find(image, RED)
    assert top > 14 + 20 and left == 14 + 60 + 14
    assert (image[:, :top] < 0.9).any() and (image[:, :, :left] < 0.9).any()
    below = ContactSheet([[[tile(RED, caption="caption", alarm="wrong")]]], side=40).draw()
    assert find(below, RED) == (14 + 3, 14 + 36, 14 + 3, 14 + 36)  # within the frame
    frame = below[:, 14, 14]
    assert (below[:, 14, 14:54] == frame[:, None]).all() and frame[0] > 0.6 > frame[1]
    assert (below[0, 60:] < 0.5).any() and (below[:, 54:] == frame[:, None, None]).all(0).any()
    badge = ContactSheet([[[Tile(None, badge="running")]]], side=60).draw()
    assert (badge[:, 14:30, 14:74] < 0.5).all(0).any() and (badge[:, 45:] == 1).all()


def test_cells_may_come_one_at_a_time() -> None:
    rows = (([tile(colour)] for _ in range(2)) for colour in (RED, BLUE))
    assert ContactSheet(rows, side=10, gap=5).draw().shape == (3, 35, 35)


def test_lines_fit_and_end() -> None:
    font = ImageFont.load_default(20)
    lines = break_lines("a red cone beside pneumonoultramicroscopicsilicovolcanoconiosis", font, 120)
    assert lines[0] == "a red cone" and all(font.getlength(line) <= 120 for line in lines) and len(lines) > 4
    assert "".join(lines).replace(" ", "") == "aredconebesidepneumonoultramicroscopicsilicovolcanoconiosis"
    assert break_lines("", font, 50) == [""] and break_lines("a\nb", font, 50) == ["a", "b"]
    long = break_lines("word " * 100, font, 100)
    assert len(long) == 7 and long[-1].endswith("…") and not long[0].endswith("…")
    assert break_lines("wide", font, 1) == ["w", "i", "d", "e"]


def test_sides_fill_a_width() -> None:
    assert [tile_side(n) for n in (1, 10, 1000)] == [224, 140, 64]
