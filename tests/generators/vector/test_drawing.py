"""Drawings as generators: rendering, bounds, groups of parameters, relocation, and the loop."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from cases import generator, one_line
from vector_drawings import wild

import modeseek as ms
from modeseek.distill import distill
from modeseek.generators.base import Generator
from modeseek.generators.relocation import Relocation
from modeseek.generators.vector.bounded import bounded
from modeseek.generators.vector.drawing import Drawing, Rates, parse_color
from modeseek.generators.vector.nested import NestedDropout
from modeseek.generators.vector.paint import paint, visible_areas
from modeseek.generators.vector.paths import circle
from modeseek.generators.vector.rebirth import Relocate

SIZE = (16, 20)


def adam(drawing: Drawing, lr: float = 0.01) -> torch.optim.Optimizer:
    groups = [{**group, "lr": lr * group["relative"]} for group in drawing.parameter_groups()]
    return torch.optim.AdamW(groups, lr=lr, weight_decay=0.0)


def test_it_is_a_generator_that_renders_its_paths() -> None:
    drawing = Drawing(3, SIZE, 5, strokes=2, rng=1)
    assert isinstance(drawing, Generator) and drawing.n_items == 3
    view = drawing.view(3, generator())
    rendering = drawing(view)
    assert torch.equal(rendering.image, paint(drawing.paths, SIZE)) and rendering.image.requires_grad
    assert rendering.paths.fills.shape == (3, 5, 12, 2) and rendering.paths.strokes.shape == (3, 2, 13, 2)
    part = drawing(view.select(slice(1, 3))).image
    torch.testing.assert_close(part, rendering.image[1:], rtol=0, atol=1e-5)
    sharp = list(drawing.render_at((48, 60)))
    assert [image.shape for image in sharp] == 3 * [(3, 48, 60)] and not sharp[0].requires_grad
    with pytest.raises(ValueError, match="3 images are 3 items, got batch=2"):
        drawing.view(2, generator())


def test_the_same_seed_draws_the_same_paths() -> None:
    first, again, other = (Drawing(2, SIZE, 5, rng=seed) for seed in (1, 1, 2))
    assert torch.equal(first.fills, again.fills) and not torch.equal(first.fills, other.fills)
    assert not torch.equal(first.fills[0], first.fills[1])


def test_of_paths_keeps_them_and_their_order() -> None:
    paths = wild(2, 4, 1)
    drawing = Drawing.of(paths, SIZE, background="learned")
    torch.testing.assert_close(drawing(drawing.preview_view()).image, paint(paths, SIZE))
    assert torch.equal(drawing.paths.order, paths.order) and drawing.fills.dtype == torch.float64
    drawing.fills.data += 1
    assert not torch.equal(drawing.fills, paths.fills), "copied"
    with pytest.raises(ValueError, match=r"fills must have the shape \(2, 4, 12, 2\), got \(2, 3, 12, 2\)"):
        drawing.set_paths(wild(2, 3, 2))


def test_random_backgrounds_are_those_of_the_step_alone() -> None:
    drawing = Drawing(2, SIZE, 1, background="random", rng=0)
    drawing.colors.data[..., 3] = 0
    views = [drawing.view(2, ms.Streams(0).at(step, use="view")) for step in (0, 0, 1)]
    corners = [drawing(view).image[:, :, 0, 0] for view in views]
    assert torch.equal(corners[0], corners[1]) and not torch.equal(corners[0], corners[2])
    assert torch.equal(corners[0], views[0].backdrop)
    torch.testing.assert_close(drawing(views[0].select(slice(1, 2))).image[0, :, 0, 0], corners[0][1])
    assert (drawing(drawing.preview_view()).image == 1).all()


def test_nested_dropout_leaves_out_the_top_paths() -> None:
    drawing = Drawing.of(wild(2, 5, 1), SIZE, nested=NestedDropout(1.0))
    keeps = {keep for step in range(12) for keep in drawing.view(2, ms.Streams(0).at(step)).keep}
    assert keeps >= {1, 3, 6} and max(keeps) == 6
    view = replace(drawing.preview_view(), keep=(1, 6))
    image, whole = drawing(view).image, drawing(drawing.preview_view()).image
    paths = drawing.paths.detach()
    hidden = paths.order[0, 1:]
    paths.colors[0, hidden, 3] = 0
    torch.testing.assert_close(image[0], paint(paths, SIZE)[0])
    assert torch.equal(image[1], whole[1])


@pytest.mark.parametrize(
    ("value", "grad", "kept"),
    [(0.5, 1.0, 1.0), (1.2, 1.0, 1.0), (1.2, -1.0, 0.0), (1.0, -1.0, 0.0), (-0.1, 1.0, 0.0), (-0.1, -1.0, -1.0)],
)
def test_bounds_block_descent_that_leads_out(value: float, grad: float, kept: float) -> None:
    x = torch.tensor([value], requires_grad=True)
    y = bounded(x, 0.0, 1.0)
    y.backward(torch.tensor([grad]))
    assert 0 <= y.item() <= 1 and x.grad.item() == kept


def test_groups_have_relative_rates_and_hold_every_used_parameter() -> None:
    drawing = Drawing(1, SIZE, 3, strokes=1, background="learned", rates=Rates(2.0, 0.5, 3.0, color_norm=0.1))
    groups = drawing.parameter_groups()
    assert [(len(g["params"]), g["relative"], g["max_norm"]) for g in groups] == [
        (2, 1.0, math.inf),
        (1, 2.0, 0.1),
        (1, 0.5, math.inf),
        (1, 3.0, math.inf),
    ]
    assert {id(p) for g in groups for p in g["params"]} == {id(p) for p in drawing.parameters()}
    plain = Drawing(1, SIZE, 3)
    assert [p is q for g in plain.parameter_groups() for p, q in zip(g["params"], (plain.fills,), strict=False)][0]
    assert len(plain.parameter_groups()) == 2


def hidden_drawing(policy: Relocate | None) -> Drawing:
    """Two drawings of 4 fills; slot 2 of item 0 is transparent, slot 0 of item 1 lies under an opaque one."""
    drawing = Drawing(2, SIZE, 4, strokes=1, rng=4, relocation=policy)
    with torch.no_grad():
        drawing.colors[..., 3] = 0.9
        drawing.colors[0, 2, 3] = 0.01
        drawing.fills[1, 3], drawing.fills[1, 0] = circle(torch.zeros(2, 2), torch.tensor([0.5, 0.2]), 4)
        drawing.colors[1, 3, 3] = 1
    return drawing


def test_invisible_paths_are_relocated_and_nothing_else_changes() -> None:
    drawing = hidden_drawing(Relocate(every=5, until=0.5))
    optimizer = adam(drawing, 1e-6)
    drawing(drawing.preview_view()).image.square().sum().backward()
    optimizer.step()
    with torch.no_grad():
        drawing.colors[0, 2, 3] = 0.01
    before, moments = drawing.paths.detach(), optimizer.state[drawing.fills]["exp_avg"].clone()
    drawing.advance(0.2)
    assert drawing.relocate(optimizer, 3, generator()) is None, "not due"
    drawing.advance(0.5)
    assert drawing.relocate(optimizer, 4, generator()) is None, "too late"
    drawing.advance(0.2)
    relocation = drawing.relocate(optimizer, 4, generator())
    assert relocation == Relocation((0, 1), (2, 0)) and str(relocation) == "2 of item 0, 0 of item 1"
    after = drawing.paths
    assert after.order[0].tolist() == [0, 1, 3, 4, 2] and after.order[1].tolist() == [1, 2, 3, 4, 0], "on top"
    assert (visible_areas(after, SIZE)[[0, 1], [2, 0]] > 0.001 * 16 * 20).all()
    assert drawing.get_buffer("relocated").tolist() == [1, 1]
    kept = torch.ones(2, 5, dtype=torch.bool)
    kept[[0, 1], [2, 0]] = False
    for a, b in ((before.fills, after.fills), (moments, optimizer.state[drawing.fills]["exp_avg"])):
        assert torch.equal(a[kept[:, :4]], b[kept[:, :4]]) and not torch.equal(a, b)
    for parameter in (drawing.fills, drawing.colors):
        for name in ("exp_avg", "exp_avg_sq"):
            values = optimizer.state[parameter][name]
            assert (values[[0, 1], [2, 0]] == 0).all() and (values[1, 1] != 0).any()
    assert torch.equal(before.colors[kept], after.colors[kept]) and torch.equal(before.strokes, after.strokes)
    assert drawing.relocate(optimizer, 4, generator()) is None, "all are visible"


@pytest.mark.parametrize("seed", range(5))
def test_relocated_paths_have_the_colour_of_the_image_on_the_outline_of_one_that_moves(seed: int) -> None:
    drawing = hidden_drawing(Relocate(every=1))
    optimizer = adam(drawing)
    drawing.fills.grad = torch.zeros_like(drawing.fills)
    drawing.fills.grad[:, 1] = 1  # only fill 1 moves
    image = drawing(drawing.preview_view()).image.detach()
    drawing.relocate(optimizer, 0, torch.Generator().manual_seed(seed))
    limit = torch.tensor([1.0, 0.8])
    for item, slot in ((0, 2), (1, 0)):
        center = drawing.fills[item, slot].unflatten(0, (4, 3))[:, 0].mean(0)
        corners = drawing.fills[item, 1].unflatten(0, (4, 3))[:, 0].clamp(-limit, limit)
        assert (corners - center).norm(dim=1).min() < 1e-5
        column, row = (center * 10 + torch.tensor([10.0, 8])).long().tolist()
        assert torch.equal(drawing.colors[item, slot, :3], image[item, :, min(row, 15), min(column, 19)])


@pytest.mark.parametrize("policy", [None, Relocate(every=10_000)])
def test_no_relocation(policy: Relocate | None) -> None:
    drawing = hidden_drawing(policy)
    assert drawing.relocate(adam(drawing), 0, generator()) is None


def run_loop(
    steps: int, start: int, drawing: Drawing, optimizer: torch.optim.Optimizer, state: object
) -> list[ms.Step]:
    data = torch.stack([torch.zeros(3, *SIZE), torch.ones(3, *SIZE)])
    prior = ms.Empirical(data)
    options = {"steps": 8, "start": start, "batch": 2, "rng": 0, "state": state}
    loop = distill(drawing, prior, ms.MSD(ms.Fixed(0.5)), optimizer, **options)
    return [step for _, step in zip(range(steps - start), loop, strict=False)]


def test_the_loop_relocates_clips_and_resumes_bit_for_bit() -> None:
    def start() -> tuple[Drawing, torch.optim.Optimizer]:
        drawing = hidden_drawing(Relocate(every=2, until=1.0, opacity=0.5))
        drawing.rates = Rates(point_norm=1e-3)
        return drawing, adam(drawing)

    drawing, optimizer = start()
    steps = run_loop(8, 0, drawing, optimizer, None)
    events = [(step.index, step.relocation.items) for step in steps if step.relocation is not None]
    assert events and events[0][0] == 1 and all(index % 2 == 1 for index, _ in events)
    first, first_optimizer = start()
    before = run_loop(4, 0, first, first_optimizer, None)
    second, second_optimizer = start()
    second.load_state_dict(first.state_dict())
    second_optimizer.load_state_dict(first_optimizer.state_dict())
    run_loop(8, 4, second, second_optimizer, before[-1].state)
    assert all(
        torch.equal(a, b) for a, b in zip(drawing.state_dict().values(), second.state_dict().values(), strict=True)
    )
    assert drawing.fills.grad.norm() <= 1e-3 * 1.001, "clipped"
    assert drawing.colors.grad.norm() > 1e-3


@pytest.mark.parametrize(
    ("color", "expected"), [("white", (1, 1, 1)), ("#336699", (0.2, 0.4, 0.6)), ((0.0, 0.5, 1.0), None)]
)
def test_colors(color: object, expected: tuple[float, ...] | None) -> None:
    assert parse_color(color) == pytest.approx(color if expected is None else expected)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"n": 0}, "a drawing must have n, size and paths of at least 1 .* got n=0"),
        ({"paths": 0}, "a drawing must have .* paths=0, strokes=0"),
        ({"size": (0, 4)}, r"size=\(0, 4\)"),
        ({"cubics": 1}, "cubics=1"),
        ({"background": "pinkish"}, "a colour must be such as white or #336699, got 'pinkish'"),
        ({"background": (0.0, 0.5, 2.0)}, r"a colour must be three numbers in \[0, 1\], got"),
    ],
)
def test_wrong_arguments(options: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        Drawing(**options)
    one_line(caught.value)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Rates(color=0.0), "rates of a drawing must be above 0"),
        (lambda: Relocate(every=0), "relocation needs every >= 1"),
        (lambda: Relocate(until=1.5), r"in \[0, 1\], got"),
        (lambda: NestedDropout(2.0), r"a probability in \[0, 1\]"),
    ],
)
def test_wrong_policies(make: object, match: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        make()
    one_line(caught.value)
