"""Export without what cannot be seen: what is dropped, merged and removed, measured by resvg and the painter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from cases import generator, one_line
from vector_oracle import resvg

from modeseek.generators.vector.cubics import straight
from modeseek.generators.vector.paint import paint
from modeseek.generators.vector.paths import Paths, circle, pixels_to_canvas, random_paths
from modeseek.generators.vector.simplify import simplify, svg_within
from modeseek.generators.vector.svg_write import write_shapes, write_svg

SIZE = (64, 64)
WHITE, RED, BLUE = (1.0, 1.0, 1.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def disks(*rows: tuple[float, float, float, tuple[float, float, float], float]) -> Paths:
    """Disks of x, y, radius in pixels, colour and opacity on white, the first at the bottom."""
    numbers = torch.tensor([row[:3] for row in rows], dtype=torch.float32)
    return Paths(
        circle(pixels_to_canvas(numbers[:, :2], SIZE), numbers[:, 2] / 32, 4)[None],
        torch.empty(1, 0, 4, 2),
        torch.empty(1, 0),
        torch.tensor([[(*row[3], row[4]) for row in rows]], dtype=torch.float32),
        torch.arange(len(rows))[None],
        torch.zeros(1, len(rows), dtype=torch.bool),
        torch.ones(1, 3),
    )


@pytest.mark.parametrize(
    ("rows", "dropped", "outlines"),
    [
        ([(32, 32, 10, RED, 1), (32, 32, 12, BLUE, 1)], (0,), [1]),  # hidden
        ([(32, 32, 10, RED, 1), (32, 32, 12, BLUE, 0.9)], (), [1, 1]),  # seen through
        ([(32, 32, 10, WHITE, 1), (32, 32, 5, RED, 1)], (0,), [1]),  # of the colour behind
        ([(32, 32, 10, RED, 0.001), (32, 32, 5, BLUE, 1)], (0,), [1]),  # too clear
        ([(32, 32, 10, RED, 0.01), (32, 32, 5, BLUE, 1)], (), [1, 1]),
        ([(90, 32, 10, RED, 1), (32, 32, 5, BLUE, 1)], (0,), [1]),  # outside
        ([(32, 32, 0.01, RED, 1), (32, 32, 5, WHITE, 1)], (0, 1), []),  # too small
        ([(20, 32, 6, RED, 1), (44, 32, 6, RED, 1), (32, 50, 4, BLUE, 1)], (), [2, 1]),  # apart
        ([(20, 32, 6, RED, 1), (32, 50, 4, BLUE, 1), (44, 32, 6, RED, 1)], (), [1, 1, 1]),  # no neighbours
        ([(20, 32, 6, RED, 1), (44, 32, 6, RED, 0.9)], (), [1, 1]),
        ([(20, 32, 6, RED, 1), (44, 32, 6, (0.99, 0, 0), 1)], (), [1, 1]),
        ([(20, 32, 6, RED, 1), (26, 32, 6, RED, 1)], (), [1, 1]),  # their edges cross: not the same pixels as one path
        ([(23.48, 32, 8, RED, 1), (39.52, 32, 8, RED, 1)], (), [1, 1]),  # apart when enlarged, in one pixel at the size
        ([(10, 32, 6, RED, 1), (30, 32, 6, RED, 1), (50, 32, 6, RED, 1)], (), [3]),
        ([(32, 32, 9, RED, 0.5)] * 12, (), [1] * 12),
    ],
)
def test_what_is_dropped_and_merged(rows, dropped, outlines) -> None:
    paths = disks(*rows)
    found = simplify(paths, SIZE)
    assert found.dropped == dropped and [len(shape.outlines) for shape in found.shapes] == outlines
    assert found.merged == len(rows) - len(dropped) - len(outlines)


def test_of_two_equal_paths_one_stays() -> None:
    """Each alone changes nothing where it is left out; both together do."""
    assert simplify(disks((32, 32, 9, RED, 1), (32, 32, 9, RED, 1)), SIZE).dropped in ((0,), (1,), ())
    assert len(simplify(disks((32, 32, 9, RED, 1), (32, 32, 12, RED, 1)), SIZE).shapes) == 1


def test_small_changes_of_many_paths_do_not_add_up() -> None:
    """Each of 30 clear paths changes 0.3 steps of 8 bits, all together 9."""
    paths = disks(*[(32, 32, 9, BLUE, 0.0012)] * 30)
    found = simplify(paths, SIZE)
    assert len(found.dropped) == 1, "one is below half a step, two are not"


@pytest.mark.parametrize("turned", [False, True])
def test_outlines_that_overlap_do_not_cancel(turned: bool) -> None:
    """Two rectangles whose sides lie between pixels are one path without a hole, whichever way they turn."""
    corners = torch.tensor([[[10, 10], [30, 10], [30, 30], [10, 30]], [[20, 15], [44, 15], [44, 40], [20, 40]]])
    corners = pixels_to_canvas(torch.stack([corners[0], corners[1].flip(0) if turned else corners[1]]).float(), SIZE)
    sides = zip(corners.unbind(1), corners.roll(-1, 1).unbind(1), strict=True)
    fills = torch.cat([torch.stack([straight(*ends) for ends in zip(*side, strict=True)]) for side in sides], 1)
    paths = replace(disks((0, 0, 1, RED, 1), (0, 0, 1, RED, 1)), fills=fills[None])
    export = svg_within(paths, 0, SIZE)
    assert (export.paths, export.merged, export.text.count("<path")) == (1, 1, 1)
    assert np.abs(resvg(export.text, SIZE, 8) - paint(paths, SIZE)[0].numpy()).mean() < 1e-3


def test_strokes_and_even_odd_fills_are_not_merged() -> None:
    paths = random_paths(1, 2, 2, 4, generator(), size=SIZE)
    colors = torch.tensor([0.5, 0.5, 0.5, 1.0]).expand(1, 4, 4)
    paths = replace(paths, colors=colors, even_odd=torch.ones(1, 2, dtype=torch.bool), fills=0.2 * paths.fills)
    assert simplify(paths, SIZE).merged == 0


@pytest.mark.parametrize("seed", range(3))
def test_nothing_changes_at_the_size_and_enlarged(seed: int) -> None:
    """What is dropped changes half a step of 8 bits at the sizes where that is measured, and little more enlarged.

    What is merged is rendered by resvg, with 64 samples a pixel: as much is left where edges meet.
    """
    paths = random_paths(2, 24, 3, 4, generator(seed), size=SIZE)
    rng = generator(seed)
    opacity = torch.where(torch.rand(2, 27, 1, generator=rng) < 0.7, 1.0, 0.001)
    colors = torch.cat([(paths.colors[..., :3] * 2).round() / 2, opacity], -1)
    order = torch.stack([torch.randperm(27, generator=rng) for _ in range(2)])
    paths = replace(paths, colors=colors, order=order, fills=0.6 * paths.fills)
    found = simplify(paths, SIZE, 1)
    assert found.dropped
    dropped = torch.zeros(2, 27, 1, dtype=torch.bool)
    dropped[1, list(found.dropped)] = True
    left = replace(paths, colors=torch.where(dropped & (torch.arange(4) == 3), 0.0, paths.colors))
    for scale, most in ((1, 0.5), (2, 0.5), (6, 2.0)):
        size = (64 * scale, 64 * scale)
        change = (paint(left, size)[1] - paint(paths, size)[1]).abs().max()
        assert 255 * float(change) <= most + 1e-3, scale
    whole = write_svg(paths, 1, size=SIZE, decimals=4)
    merged = write_shapes(found.shapes, paths.background[1].tolist(), size=SIZE, decimals=4)
    assert np.abs(resvg(merged, SIZE, 8) - resvg(whole, SIZE, 8)).max() < 4 / 255


def test_the_budget() -> None:
    """Fewer decimals first, then the least visible path: of one colour and opacity, the smallest."""
    rows = [(12 + 13 * k, 12 + 13 * k, 8 - k, (k / 5, 0.0, 0.0), 1) for k in range(4)]
    paths = disks(*rows)
    whole = svg_within(paths, 0, SIZE, "red disks")
    assert (whole.paths, whole.removed, whole.decimals) == (4, 0, 2) and whole.bytes == len(whole.text)
    assert svg_within(paths, 0, SIZE, "red disks", whole.bytes) == whole
    short = svg_within(paths, 0, SIZE, "red disks", whole.bytes - 1)
    assert (short.paths, short.removed, short.decimals) == (4, 0, 1) and short.bytes < whole.bytes
    fewer = svg_within(paths, 0, SIZE, "red disks", short.bytes - 1)
    assert (fewer.paths, fewer.removed, fewer.decimals) == (3, 1, 1)
    assert "#990000" not in fewer.text and "#660000" in fewer.text, "the smallest is gone"
    one = svg_within(paths, 0, SIZE, "red disks", 400)
    assert one.bytes <= 400 and one.removed >= 2
    with pytest.raises(ValueError, match="try at least") as error:
        svg_within(paths, 0, SIZE, "red disks", 100)
    least = int(one_line(error.value).split()[-1])
    assert svg_within(paths, 0, SIZE, "red disks", least).bytes == least


def test_what_is_hidden_is_removed_before_what_is_large_and_seen() -> None:
    """A large path whose rim alone shows is less visible than a small one that is seen whole."""
    paths = disks((32, 32, 20.2, RED, 1), (32, 32, 20, BLUE, 1), (6, 6, 5, RED, 1))
    short = svg_within(paths, 0, SIZE, max_bytes=svg_within(paths, 0, SIZE).bytes - 60)
    assert short.paths == 2 and short.text.count("#ff0000") == 1 and "M11 " in short.text


@pytest.mark.parametrize("background", [True, False])
def test_the_background_is_optional(background: bool) -> None:
    export = svg_within(disks((32, 32, 9, RED, 1)), 0, SIZE, background=background)
    assert ("<rect" in export.text) == background


@pytest.mark.parametrize("item", [-1, 1])
def test_items(item: int) -> None:
    with pytest.raises(ValueError, match="item must be from 0 to 0") as error:
        svg_within(disks((32, 32, 9, RED, 1)), item, SIZE)
    one_line(error.value)
