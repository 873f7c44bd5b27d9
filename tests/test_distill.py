"""Distillation loop: gradients, regularizers, resuming, errors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from cases_shift import generator, prior_of, tensor, three_gaussians
from oracles_shift import F64
from torch import nn

import modeseek as ms
from modeseek.generators.base import Rendering


class Linear(nn.Module):
    """Linear generator: item i renders `A_i theta`, `rows` rows of two numbers each."""

    def __init__(self, n: int = 5, rows: int = 1) -> None:
        super().__init__()
        g = generator(11)
        self.theta = nn.Parameter(torch.randn(4, dtype=F64, generator=g))
        self.maps = torch.randn(n, rows, 2, 4, dtype=F64, generator=g)
        self.views: list[tuple[int, ...]] = []

    def view(self, n: int, rng: ms.Rng) -> ms.View:
        g = rng.generator(0, torch.device("cpu")) if isinstance(rng, ms.Streams) else rng
        self.views.append(tuple(torch.randperm(len(self.maps), generator=g)[:n].tolist()))
        return ms.View(self.views[-1])

    def forward(self, view: ms.View) -> torch.Tensor:
        return torch.cat([self.maps[i] @ self.theta for i in view.items])


@dataclass(frozen=True)
class FixedDirection:
    """Method that returns a given direction and records its inputs."""

    references, guides = (), False
    grad: torch.Tensor
    calls: list

    def init(self, z, prior):
        return 0

    def step(self, z, prior, state, *, conditions=None, progress, rng, context=None):
        self.calls.append((z, conditions, progress, rng, context))
        return ms.Direction(self.grad), state + 1


def sgd(module: nn.Module, lr: float = 1.0) -> torch.optim.SGD:
    """Plain gradient descent."""
    return torch.optim.SGD(module.parameters(), lr=lr)


PRIOR = prior_of(three_gaussians())


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("batch", [1, 3])
def test_parameters_receive_the_mean_over_items_of_the_sum_within(batch, rows):
    generator_ = Linear(rows=rows)
    before = generator_.theta.detach().clone()
    grad = torch.randn(batch * rows, 2, dtype=F64, generator=generator(2))
    (step,) = ms.distill(
        generator_, PRIOR, FixedDirection(grad, []), sgd(generator_), steps=1, batch=batch, rng=generator()
    )
    jacobian = torch.cat([generator_.maps[i] for i in generator_.views[0]])  # (rows, 2, 4)
    expected = torch.einsum("rij,ri->j", jacobian, grad) / batch
    assert torch.allclose(generator_.theta.grad, expected, rtol=1e-12)
    assert torch.allclose(generator_.theta.detach(), before - expected, rtol=1e-12)
    assert torch.allclose(step.z, jacobian @ before, rtol=1e-12) and not step.z.requires_grad
    assert step.index == 0 and step.state == 1 and step.losses == {}


def test_a_cloud_of_points_is_one_item():
    points = ms.Points(torch.zeros(6, 2, dtype=F64))
    grad = torch.randn(6, 2, dtype=F64, generator=generator())
    list(ms.distill(points, PRIOR, FixedDirection(grad, []), sgd(points), steps=1, rng=generator()))
    assert torch.equal(points.z.detach(), -grad)


def test_gradients_do_not_accumulate_over_steps():
    points = ms.Points(torch.zeros(6, 2, dtype=F64))
    grad = torch.ones(6, 2, dtype=F64)
    list(ms.distill(points, PRIOR, FixedDirection(grad, []), sgd(points, 0.5), steps=4, rng=generator()))
    assert torch.equal(points.z.detach(), -2 * grad)


def test_the_method_gets_a_detached_z_and_the_render_context():
    module, calls = Linear(), []
    codec = ms.codec.RangeCodec(-1.0, 1.0)
    method = FixedDirection(torch.zeros(2, 2, dtype=F64), calls)
    steps = list(ms.distill(module, PRIOR, method, sgd(module), steps=3, batch=2, codec=codec, rng=generator()))
    assert [entry[2] for entry in calls] == [0.0, 0.5, 1.0]
    for (z, conditions, _, _, context), items, step in zip(calls, module.views, steps, strict=True):
        assert not z.requires_grad and conditions is None
        assert context.view.items == items and context.item.tolist() == list(items)
        assert context.image.requires_grad and context.rendering.image is context.image and context.codec is codec
        assert torch.equal(z, 2 * context.image.detach() - 1) and torch.equal(step.z, z)


def test_the_codec_is_differentiated_through():
    module, grad = Linear(), tensor([1.0, -2.0])
    list(
        ms.distill(
            module,
            PRIOR,
            FixedDirection(grad, []),
            sgd(module),
            steps=1,
            codec=ms.codec.RangeCodec(-1.0, 1.0),
            rng=generator(),
        )
    )
    expected = 2 * module.maps[module.views[0][0], 0].T @ grad[0]
    assert torch.allclose(module.theta.grad, expected, rtol=1e-12)


def test_a_direction_in_pixels_goes_around_the_codec():
    @dataclass(frozen=True)
    class Pixels(FixedDirection):
        def step(self, z, prior, state, **rest):
            return ms.Direction(self.grad, grad_image=10 * self.grad), state

    module, grad = Linear(), torch.randn(2, 2, dtype=F64, generator=generator())
    list(
        ms.distill(
            module,
            PRIOR,
            Pixels(grad, []),
            sgd(module),
            steps=1,
            batch=2,
            codec=ms.codec.RangeCodec(-1.0, 1.0),
            rng=generator(),
        )
    )
    jacobian = torch.cat([module.maps[i] for i in module.views[0]])
    assert torch.allclose(module.theta.grad, torch.einsum("rij,ri->j", jacobian, 12 * grad) / 2, rtol=1e-12)


def test_regularizers_are_added_once_and_reported():
    module, grad = Linear(), torch.randn(3, 2, dtype=F64, generator=generator())

    def brightness(rendering: ms.Rendering, progress: float) -> torch.Tensor:
        return (2 + progress) * rendering.image.sum()

    class Energy:
        def __call__(self, rendering: ms.Rendering, progress: float) -> torch.Tensor:
            return rendering.image.square().sum()

    theta = module.theta.detach().clone()
    (step,) = ms.distill(
        module,
        PRIOR,
        FixedDirection(grad, []),
        sgd(module),
        steps=1,
        batch=3,
        regularizers=(brightness, Energy()),
        rng=generator(),
    )
    jacobian = torch.cat([module.maps[i] for i in module.views[0]])
    image = jacobian @ theta
    total = torch.einsum("rij,ri->j", jacobian, grad / 3 + 2 + 2 * image)
    assert torch.allclose(module.theta.grad, total, rtol=1e-12)
    assert step.losses == {
        "brightness": pytest.approx(float(2 * image.sum())),
        "Energy": pytest.approx(float(image.square().sum())),
    }


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_the_surrogate_gives_the_loops_gradients_times_its_loss_weight(weight):
    loop, own = Linear(), Linear()
    method = ms.MSD(ms.Fixed(0.5))
    (step,) = ms.distill(loop, PRIOR, method, sgd(loop, 0.0), steps=1, batch=3, rng=generator())
    view = own.view(3, generator())
    z = own(view)
    (weight * ms.surrogate(z, step.direction.grad)).backward()
    assert torch.allclose(own.theta.grad, weight * loop.theta.grad, rtol=1e-12)
    own.theta.grad = None
    z = own(view)
    ms.surrogate(z, step.direction.grad, reduction="sum").backward()
    assert torch.allclose(own.theta.grad, 3 * loop.theta.grad, rtol=1e-12)


def test_the_surrogate_does_not_differentiate_its_direction():
    z = torch.ones(2, 2, dtype=F64, requires_grad=True)
    ms.surrogate(z, z * 3, "sum").backward()
    assert torch.equal(z.grad, torch.full((2, 2), 3.0, dtype=F64))


def test_the_surrogate_requires_equal_shapes(unchecked):
    with pytest.raises(ValueError, match="the same shape"):
        ms.surrogate(torch.zeros(2, 3), torch.zeros(2, 1, 3))


def test_the_surrogates_reduction_is_checked(unchecked):
    with pytest.raises(ValueError, match="reduction must be 'mean' or 'sum', got 'max'"):
        ms.surrogate(torch.zeros(2, 3), torch.zeros(2, 3), "max")


def test_conditions_may_follow_the_view():
    module, calls = Linear(), []
    fixed = ms.Conditions(torch.tensor([1]))

    def of_view(view: ms.View) -> ms.Conditions:
        return ms.Conditions(torch.tensor(view.items))

    method = FixedDirection(torch.zeros(2, 2, dtype=F64), calls)
    list(ms.distill(module, PRIOR, method, sgd(module), steps=3, batch=2, conditions=of_view, rng=generator()))
    assert [tuple(entry[1].positive.tolist()) for entry in calls] == module.views
    list(ms.distill(module, PRIOR, method, sgd(module), steps=1, batch=2, conditions=fixed, rng=generator()))
    assert calls[-1][1] is fixed


def test_breaking_out_of_the_loop_stops_the_run():
    prior, points = ms.Counting(PRIOR), ms.Points(torch.ones(2, 2, dtype=F64))
    run = ms.distill(points, prior, ms.MSD(ms.Fixed(0.5)), sgd(points), steps=100, rng=generator())
    assert prior.calls == 0
    for step in run:
        if step.index == 2:
            break
    assert prior.calls == 3 * 2
    expected = ms.mean_shift(PRIOR, torch.ones(2, 2, dtype=F64), 0.5, tol=1e-14, max_steps=4, accelerate=False)
    assert torch.allclose(points.z.detach(), expected.z, rtol=0, atol=1e-12)


METHODS = {
    "msd adaptive": ms.MSD(ms.Adaptive(0.2, start=1.5), jitter=0.3),
    "msd product": ms.MSD(ms.Geometric(1.5, 0.2), "product", steps=4, samples=2, noise="common"),
    "kernel-score": ms.MSD(ms.Geometric(1.5, 0.2), "kernel-score", steps=4, samples=2, interval=(0.0, 0.4)),
    "sds": ms.SDS(),
    "sdi": ms.SDI(inversion_eta=0.3, inversion_steps=4),
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("cut", [1, 7, 12])
def test_resumed_equals_uninterrupted_bit_for_bit(method, cut):
    def build():
        module = Linear()
        return module, torch.optim.Adam(module.parameters(), lr=0.05)

    whole, optimizer = build()
    rng = ms.Streams(42)
    uninterrupted = list(ms.distill(whole, PRIOR, method, optimizer, steps=12, batch=2, rng=rng))

    first, optimizer = build()
    run = ms.distill(first, PRIOR, method, optimizer, steps=12, batch=2, rng=rng)
    before = [next(run) for _ in range(cut)]
    saved = first.state_dict(), optimizer.state_dict(), before[-1].state

    second, optimizer = build()
    second.load_state_dict(saved[0])
    optimizer.load_state_dict(saved[1])
    after = list(
        ms.distill(second, PRIOR, method, optimizer, steps=12, start=cut, batch=2, rng=ms.Streams(42), state=saved[2])
    )
    assert [s.index for s in before + after] == list(range(12))
    for expected, step in zip(uninterrupted, before + after, strict=True):
        assert torch.equal(expected.z, step.z) and torch.equal(expected.direction.grad, step.direction.grad)
    assert torch.equal(whole.theta, second.theta)


def test_streams_key_the_draws_by_step_and_item():
    module, calls = Linear(), []
    method = FixedDirection(torch.zeros(2, 2, dtype=F64), calls)
    list(ms.distill(module, PRIOR, method, sgd(module), steps=3, batch=2, rng=ms.Streams(9)))
    for i, (_, _, _, rng, context) in enumerate(calls):
        assert (rng.seed, rng.step, rng.items) == (9, i, context.view.items)
    assert len(set(module.views)) > 1


def test_view_and_method_draw_from_independent_streams():
    class Noisy(Linear):
        def view(self, n: int, rng: ms.Rng) -> ms.View:
            self.view_noise = torch.randn(4, generator=rng.generator(0, torch.device("cpu")))
            return ms.View((0,))

    module, calls = Noisy(), []
    method = FixedDirection(torch.zeros(1, 2, dtype=F64), calls)
    for _ in ms.distill(module, PRIOR, method, sgd(module), steps=3, rng=ms.Streams(9)):
        rng = calls[-1][3]
        assert not torch.equal(torch.randn(4, generator=rng.generator(0, torch.device("cpu"))), module.view_noise)


@pytest.mark.parametrize("t", [None, tensor(0.1, 0.25, 0.5)])
def test_a_direction_that_is_not_finite_is_named(t):
    grad = torch.zeros(3, 2, dtype=F64)
    grad[1, 0] = float("nan")

    @dataclass(frozen=True)
    class Late(FixedDirection):
        def step(self, z, prior, state, **rest):
            direction, state = super().step(z, prior, state, **rest)
            return replace(direction, grad=direction.grad if state > 2 else torch.zeros_like(z), t=t), state

    points = ms.Points(torch.ones(3, 2, dtype=F64))
    run = ms.distill(points, PRIOR, Late(grad, []), sgd(points), steps=5, rng=generator())
    next(run), next(run)
    expected = "not finite at step 2, row 1" + ("" if t is None else ", t = 0.25") + r" \(1 of 3 rows\)"
    with pytest.raises(FloatingPointError, match=expected):
        next(run)
    assert torch.equal(points.z.detach(), torch.ones(3, 2, dtype=F64))  # nothing moved


@pytest.mark.parametrize("options", [{"steps": 0}, {"steps": 5, "start": -1}, {"steps": 5, "start": 6}, {"batch": 0}])
def test_bad_input_is_one_clear_line(options):
    points = ms.Points(torch.ones(3, 2, dtype=F64))
    with pytest.raises(ValueError, match="distill needs steps >= 1, 0 <= start <= steps, batch >= 1: got") as error:
        next(ms.distill(points, PRIOR, ms.SDS(), sgd(points), **({"steps": 5, "rng": generator()} | options)))
    assert "\n" not in str(error.value)


def test_starting_at_the_end_does_nothing():
    points = ms.Points(torch.ones(3, 2, dtype=F64))
    assert list(ms.distill(points, PRIOR, ms.SDS(), sgd(points), steps=5, start=5, rng=generator())) == []


def test_a_single_step_is_the_beginning_of_its_run():
    calls = []
    points = ms.Points(torch.ones(3, 2, dtype=F64))
    list(
        ms.distill(
            points, PRIOR, FixedDirection(torch.zeros(3, 2, dtype=F64), calls), sgd(points), steps=1, rng=generator()
        )
    )
    assert calls[0][2] == 0.0


def test_two_penalties_of_one_name_are_both_in_the_loss() -> None:
    def pull(rendering: Rendering, progress: float) -> torch.Tensor:
        return rendering.image.sum()

    points = ms.Points(torch.zeros(3, 2))
    prior = ms.Empirical(torch.zeros(1, 2), ms.VP())
    options = {"steps": 1, "regularizers": (pull, pull, pull), "rng": torch.Generator().manual_seed(0)}
    step = next(
        iter(ms.distill(points, prior, ms.MSD(ms.Fixed(1.0)), torch.optim.SGD(points.parameters(), 1.0), **options))
    )
    assert list(step.losses) == ["pull", "pull_2", "pull_3"]
    assert torch.allclose(points.z, torch.full((3, 2), -3.0))
