"""Text of exported SVGs, what resvg shows of it, and the way back through the reader."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from cases import generator, one_line
from hypothesis import given, settings
from hypothesis import strategies as st
from vector_drawings import wild
from vector_oracle import resvg

from modeseek.generators.vector.paint import paint
from modeseek.generators.vector.paths import Paths, canvas_to_pixels, pixels_to_canvas, random_paths
from modeseek.generators.vector.svg_read import read_svg
from modeseek.generators.vector.svg_write import write_svg

SIZE = (32, 64)


def two_paths() -> Paths:
    """A stroke below a see-through even-odd fill, in pixels of a canvas of 32 x 64 pixels."""
    fill = torch.tensor([[8, 4], [16.004, 4], [24, 8.5], [24, 16], [20, 24], [-0.001, 20]])
    stroke = torch.tensor([[0, 0], [10, 0.25], [20, 30], [64, 32]])
    return Paths(
        pixels_to_canvas(fill, SIZE)[None, None],
        pixels_to_canvas(stroke, SIZE)[None, None],
        torch.tensor([[2.5 / 32]]),
        torch.tensor([[[1, 0.5, 0, 0.25], [0, 0, 1, 1]]]),
        torch.tensor([[1, 0]]),
        torch.tensor([[True]]),
        torch.ones(1, 3),
    )


def test_text() -> None:
    assert write_svg(two_paths(), size=SIZE, title='an <owl> & "moon"\x00').splitlines() == [
        '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="32" viewBox="0 0 64 32" stroke-linecap="round"'
        ' stroke-linejoin="round">',
        '<title>an &lt;owl&gt; &amp; "moon"</title>',
        '<rect width="64" height="32" fill="#ffffff"/>',
        '<path fill="none" stroke="#0000ff" stroke-width="2.5" d="M0 0C10 0.25 20 30 64 32"/>',
        '<path fill="#ff8000" fill-opacity="0.25" fill-rule="evenodd" d="M8 4C16 4 24 8.5 24 16 20 24 0 20 8 4Z"/>',
        "</svg>",
    ]


def test_a_plain_fill_has_neither_opacity_nor_rule_nor_caps_nor_background_nor_title() -> None:
    paths = random_paths(1, 1, 0, 2, generator(), size=SIZE)
    paths = replace(paths, colors=torch.tensor([[[0.0, 0, 0, 0.99999]]]))
    text = write_svg(paths, size=SIZE, background=False, decimals=0)
    head, path, _ = text.splitlines()
    assert "stroke" not in head and path.startswith('<path fill="#000000" d="M') and "." not in path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": (0, 64)}, "size must be"),
        ({"size": SIZE, "decimals": 7}, "decimals must be from 0 to 6"),
        ({"size": SIZE, "item": 1}, "item must be from 0 to 0"),
        ({"size": SIZE, "item": -1}, "item must be from 0 to 0"),
    ],
)
def test_arguments(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        write_svg(two_paths(), **options)
    one_line(error.value)


@pytest.mark.parametrize("name", ["fills", "colors", "widths"])
def test_values_that_are_not_finite(name: str) -> None:
    paths = two_paths()
    with pytest.raises(ValueError, match="must be finite") as error:
        write_svg(replace(paths, **{name: getattr(paths, name) * torch.nan}), size=SIZE)
    one_line(error.value)


@pytest.mark.parametrize("opaque", [False, True])
def test_resvg_shows_the_optimised_image(opaque: bool) -> None:
    """8 bits of colour alone make 1 / 1020; a hundredth of a pixel at every edge and compositing make up the rest."""
    paths = random_paths(1, 24, 4, 4, generator(), size=(64, 64), background=(0.9, 0.95, 1.0))
    colors = torch.cat([paths.colors[..., :3], torch.full_like(paths.colors[..., :1], 1.0 if opaque else 0.6)], -1)
    paths = replace(
        paths, colors=colors, fills=paths.fills + 0.02 * torch.randn(paths.fills.shape, generator=generator())
    )
    image = paint(paths, (64, 64))[0].numpy()
    assert np.abs(resvg(write_svg(paths, size=(64, 64)), (64, 64), 8) - image).mean() < 2e-3


def test_even_odd_and_order_reach_the_renderer() -> None:
    paths = wild(2, 3, 2, noise=0.3)
    for item in range(2):
        shown = resvg(write_svg(paths, item, size=(96, 96), decimals=4), (96, 96), 8)
        assert np.abs(shown - paint(paths, (96, 96))[item].numpy()).mean() < 2e-3


@given(
    fills=st.integers(1, 3),
    strokes=st.integers(0, 2),
    size=st.tuples(st.integers(5, 300), st.integers(5, 300)),
    decimals=st.integers(0, 6),
    seed=st.integers(0, 1000),
    title=st.text(max_size=20),
)
@settings(max_examples=12, deadline=None)
def test_what_was_written_is_read(fills, strokes, size, decimals, seed, title) -> None:
    """Points to half a unit of the last decimal, colours to half a step of 8 bits, all else exactly."""
    paths = random_paths(1, fills, strokes, 3, generator(seed), size=size, like=torch.empty(0, dtype=torch.float64))
    order = torch.cat([torch.randperm(fills, generator=generator(seed)), fills + torch.arange(strokes)])
    paths = replace(paths, order=order[None], even_odd=torch.rand(1, fills, generator=generator(seed)) < 0.5)
    text = write_svg(paths, size=size, decimals=decimals, title=title)
    read, read_size = read_svg(text, like=paths.fills)
    assert read_size == size and read.order.tolist() == [list(range(fills + strokes))]
    unit, rank = 0.5001 * 10.0**-decimals, paths.order[0]
    for kind, slots in (("fills", rank[:fills]), ("strokes", rank[fills:] - fills)):
        expected = canvas_to_pixels(getattr(paths, kind)[0, slots], size)
        if len(slots):
            torch.testing.assert_close(canvas_to_pixels(getattr(read, kind)[0], size), expected, rtol=0, atol=unit)
    torch.testing.assert_close(read.widths, paths.widths, rtol=0, atol=unit * 2 / max(size) if decimals > 2 else 0.005)
    torch.testing.assert_close(read.colors[0], paths.colors[0, rank], rtol=0, atol=0.50001 / 255)
    torch.testing.assert_close(read.background, paths.background, rtol=0, atol=0.50001 / 255)
    assert read.even_odd.tolist() == paths.even_odd[:, rank[:fills]].tolist()
    assert write_svg(read, size=size, decimals=decimals, title=title) == text
    ElementTree.fromstring(text)
