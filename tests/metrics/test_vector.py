"""Rendering of SVG by resvg, difference to an image, bytes and paths."""

from __future__ import annotations

import pytest
import torch
from cases import one_line

from modeseek.metrics.vector import count_bytes, count_paths, render_error, render_svg

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="4" viewBox="0 0 8 4">'
HALF = f'{HEAD}<title>\xe9</title><path fill="#f00" fill-opacity=".5" d="M0 0H4V4H0Z"/></svg>'


def test_a_see_through_drawing_is_over_white() -> None:
    image = render_svg(HALF)
    assert image.shape == (3, 4, 8)
    torch.testing.assert_close(image[:, 0, 0], torch.tensor([1.0, 0.5, 0.5]), rtol=0, atol=0.6 / 255)
    assert (image[:, :, 4:] == 1).all()


def test_sizes_and_supersampling() -> None:
    """A side on the middle of a pixel covers half of it; another shape of the canvas leaves white on both sides."""
    text = f'{HEAD}<rect width="2.5" height="4"/></svg>'
    assert render_svg(text, (8, 16)).shape == (3, 8, 16)
    for options in ({"size": (4, 8), "supersampling": 8}, {"supersampling": 8}):
        torch.testing.assert_close(render_svg(text, **options)[0, 1], torch.tensor([0, 0, 0.5, 1, 1, 1, 1, 1]))
    fitted = render_svg(text, (8, 8), 4)
    assert (fitted[:, :2] == 1).all() and (fitted[:, 6:] == 1).all() and (fitted[:, 2:6, :2] == 0).all()


def test_error() -> None:
    image = torch.ones(3, 4, 8)
    image[1:, :, :4] = 0.5
    assert render_error(HALF, image) < 1e-3
    image[0, :2] -= 0.25
    assert render_error(HALF, image) == pytest.approx(0.25 / 6, abs=1e-3)
    assert render_error(f'{HEAD}<rect width="2.3" height="4"/></svg>', render_svg(HALF)) > 0.1
    slanted = f'{HEAD}<path d="M0 0L8 .3V4H0z"/></svg>'  # the first row: what is above the side, (x + 1/2) 0.3 / 8
    exact = torch.cat([(torch.arange(8)[None] + 0.5) * 0.3 / 8, torch.zeros(3, 8)])
    assert render_error(slanted, exact.expand(3, 4, 8)) < 1e-3, "edges of the file, not of resvg"


def test_bytes_and_paths() -> None:
    assert count_bytes(HALF) == len(HALF) + 1
    assert count_paths(HALF) == 1
    assert count_paths(f'{HEAD}<rect width="8" height="4" fill="#fff"/><path d="M0 0"/><rect width="1"/></svg>') == 2
    assert count_paths(f'{HEAD}<g><circle r="1"/></g><rect width="8" height="4" fill="#fff"/></svg>') == 2
    assert count_paths(f"{HEAD}</svg>") == 0


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (f'{HEAD}<image href="file:///etc/passwd"/></svg>', {}, "an embedded image"),
        ("an owl", {}, "no well-formed XML"),
        (HALF, {"size": (0, 8)}, "at least 1"),
        (HALF, {"supersampling": 0}, "at least 1"),
        ('<svg xmlns="http://www.w3.org/2000/svg" width="0" height="4"/>', {}, "resvg refuses"),
    ],
)
def test_refused(text: str, options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        render_svg(text, **options)
    one_line(error.value)
