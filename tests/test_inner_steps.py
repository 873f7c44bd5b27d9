"""Inner steps of the distillation loop: several optimizer steps towards the target of one direction."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from cases_shift import generator, prior_of, tensor, three_gaussians
from oracles_shift import F64, posterior
from torch import Tensor, nn

import modeseek as ms
from modeseek.codec import Frame
from modeseek.methods.base import has_target

Z = tensor([0.4, -0.6], [-2.5, 1.0], [1.0, -1.0], [3.0, 3.0])
PRIOR = prior_of(three_gaussians())


@dataclass(frozen=True)
class Towards:
    """Method whose directions have a given target and weight."""

    references, guides, has_target = (), False, True
    target: Tensor
    weight: Tensor

    def init(self, z, prior):
        return None

    def step(self, z, prior, state, *, conditions=None, progress, rng, context=None):
        w = self.weight.reshape(-1, *(1,) * (z.ndim - 1))
        return ms.Direction(w * (z - self.target), weight=self.weight), None


class Linear(nn.Module):
    """Generator that renders `A_i theta` of an item drawn by the view."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.randn(4, dtype=F64, generator=generator(11)))
        self.maps = torch.randn(5, 2, 4, dtype=F64, generator=generator(12))
        self.drawn: list[tuple[int, ...]] = []
        self.rendered: list[tuple[int, ...]] = []

    def view(self, n: int, rng: ms.Rng) -> ms.View:
        g = rng.generator(0, torch.device("cpu")) if isinstance(rng, ms.Streams) else rng
        self.drawn.append(tuple(torch.randperm(5, generator=g)[:n].tolist()))
        return ms.View(self.drawn[-1])

    def forward(self, view: ms.View) -> Tensor:
        self.rendered.append(view.items)
        return self.maps[list(view.items)] @ self.theta


def sgd(module: nn.Module, lr: float = 1.0) -> torch.optim.SGD:
    """Plain gradient descent."""
    return torch.optim.SGD(module.parameters(), lr=lr)


@pytest.mark.parametrize("inner", [1, 2, 5])
@pytest.mark.parametrize("lr", [1.0, 0.3])
@pytest.mark.parametrize("weight", [1.0, 0.4])
def test_free_points_approach_the_target_geometrically(weight, lr, inner):
    """`z_k - target = (1 - lr w)^k (z_0 - target)`, with the exact target of each direction."""
    h, points = 0.7, ms.Points(Z)
    method = ms.MSD(ms.Fixed(h), weight=lambda alpha, sigma: torch.full_like(sigma, weight))
    run = ms.distill(points, PRIOR, method, sgd(points, lr), steps=6, inner_steps=inner, rng=generator())
    z = Z
    for step in run:
        assert torch.allclose(step.z, z, rtol=0, atol=1e-10)
        target = posterior(three_gaussians(), z, h)[0]
        z = target + (1 - lr * weight) ** inner * (z - target)
        assert torch.allclose(points.z.detach(), z, rtol=0, atol=1e-10)


def test_each_row_has_its_own_weight():
    points, target, weight = ms.Points(Z), torch.zeros_like(Z), tensor(0.1, 0.5, 1.0, 0.0)
    (step,) = ms.distill(points, PRIOR, Towards(target, weight), sgd(points), steps=1, inner_steps=3, rng=generator())
    assert torch.allclose(points.z.detach(), (1 - weight[:, None]) ** 3 * Z, rtol=0, atol=1e-14)
    assert torch.equal(step.direction.grad, weight[:, None] * Z)


def pull(rendering: ms.Rendering, progress: float) -> Tensor:
    """A regularizer: a number for the whole batch."""
    return (1 + progress) * (rendering.image - 0.2).square().mean()


@pytest.mark.parametrize("inner", [1, 2, 4])
@pytest.mark.parametrize("regularized", [False, True])
def test_a_coordinate_network_is_updated_as_by_a_loop_written_by_hand(regularized, inner):
    h, n, steps = 0.6, 2, 4
    data = 2 * torch.rand(6, 3, 6, 6, dtype=F64, generator=generator(5)) - 1
    prior = ms.Empirical(data, ms.VP())
    weight = lambda alpha, sigma: 0.3 + sigma  # noqa: E731

    def build() -> tuple[nn.Module, torch.optim.Optimizer]:
        field = ms.Field(n, (6, 6), generator(1), width=8, depth=2, like=torch.empty(0, dtype=F64))
        return field, torch.optim.Adam(field.parameters(), lr=0.02)

    loop, optimizer = build()
    penalties = (pull,) if regularized else ()
    run = ms.distill(
        loop,
        prior,
        ms.MSD(ms.Fixed(h), weight=weight),
        optimizer,
        steps=steps,
        batch=n,
        inner_steps=inner,
        codec=ms.codec.RangeCodec(),
        regularizers=penalties,
        rng=ms.Streams(3),
    )
    by_hand, own_optimizer = build()
    view, ones = by_hand.view(n, ms.Streams(3)), torch.ones(n, dtype=F64)
    w = (0.3 + prior.schedule(prior.schedule.t_of(-2 * (h * ones).log()))[1])[:, None, None, None]
    for index, step in enumerate(run):
        for k in range(inner):
            image = by_hand(view)
            image = getattr(image, "image", image)
            z = 2 * image - 1
            if k == 0:
                first, first_image = z.detach().clone(), image.detach().clone()
                target = first - h * prior.at(first, ones, h * ones).eps
                grad = w * (first - target)
            held = grad if k == 0 else grad + w * (z.detach() - first)
            own_optimizer.zero_grad()
            loss = (1 + index / (steps - 1)) * (image - 0.2).square().mean()
            torch.autograd.backward([z, loss] if regularized else [z], [held / n, None] if regularized else [held / n])
            own_optimizer.step()
            if k == 0:
                value = loss.item()
        assert torch.equal(step.z, first) and torch.equal(step.image, first_image)  # before the update
        assert torch.equal(step.direction.grad, grad) and step.losses == ({"pull": value} if regularized else {})
        for parameter, expected in zip(loop.parameters(), by_hand.parameters(), strict=True):
            assert torch.equal(parameter, expected)


def test_regularizers_are_in_every_inner_step():
    points, target, weight = ms.Points(Z), torch.zeros_like(Z), torch.full((4,), 0.25, dtype=F64)
    run = ms.distill(
        points,
        PRIOR,
        Towards(target, weight),
        sgd(points),
        steps=3,
        inner_steps=4,
        regularizers=(lambda rendering, progress: (1 + progress) * rendering.image.sum(),),
        rng=generator(),
    )
    z = Z
    for index, step in enumerate(run):
        assert step.losses == {"<lambda>": pytest.approx(float((1 + index / 2) * z.sum()))}
        for _ in range(4):
            z = z - (0.25 * z + 1 + index / 2)
        assert torch.allclose(points.z.detach(), z, rtol=0, atol=1e-12)


def test_a_drawn_view_is_drawn_once_and_rendered_again():
    module, target, weight = Linear(), tensor([0.3, -1.0], [2.0, 0.5]), tensor(0.5, 0.2)
    theta = module.theta.detach().clone()
    run = ms.distill(
        module, PRIOR, Towards(target, weight), sgd(module, 0.1), steps=4, batch=2, inner_steps=3, rng=ms.Streams(5)
    )
    for index, step in enumerate(run):
        items = module.drawn[-1]
        assert len(module.drawn) == index + 1 and module.rendered[3 * index :] == [items] * 3
        jacobian = module.maps[list(items)]
        assert torch.allclose(step.z, jacobian @ theta, rtol=0, atol=1e-12)
        for _ in range(3):
            grad = weight[:, None] * (jacobian @ theta - target)
            theta = theta - 0.1 * torch.einsum("rij,ri->j", jacobian, grad) / 2
        assert torch.allclose(module.theta.detach(), theta, rtol=0, atol=1e-12)
    assert len(set(module.drawn)) > 1


def test_a_nerf_is_rendered_from_the_same_cameras_with_the_same_draws():
    torch.manual_seed(0)
    background = ms.generators.Background("random")
    module = ms.NeRF(ms.generators.Dense((8,)), size=6, samples=8, background=background)
    views, images = [], []

    def record(module: nn.Module, inputs: tuple, output: ms.Rendering) -> None:
        views.append(inputs[0])
        images.append(output.image.detach().clone())

    module.register_forward_hook(record)
    method = Towards(torch.full((2, 3, 6, 6), 0.5), torch.ones(2))
    optimizer = torch.optim.SGD(module.parameters(), lr=0.0)
    prior = ms.Empirical(torch.zeros(1, 3, 6, 6))
    steps = list(ms.distill(module, prior, method, optimizer, steps=3, batch=2, inner_steps=3, rng=ms.Streams(1)))
    assert len(views) == 9 and all(views[i] is views[i - i % 3] for i in range(9))
    for i, image in enumerate(images):  # parameters stand still, so that only draws could change it
        assert torch.equal(image, steps[i // 3].image)
    assert not torch.equal(images[0], images[3])


@dataclass(frozen=True)
class Drawing:
    """Random codec that adds a drawn number to the image, and records what it draws."""

    drawn: list

    def encode(self, image: Tensor) -> Tensor:
        return image

    def decode(self, z: Tensor) -> Tensor:
        return z

    def draw(self, rng: ms.Rng) -> Frame:
        offset = torch.rand(1, dtype=F64, generator=rng.generator(0, torch.device("cpu")))
        self.drawn.append(float(offset))
        return Frame(lambda image: image + offset, self)


def test_a_random_codec_draws_one_frame_for_all_inner_steps():
    points, target, weight = ms.Points(Z), torch.zeros_like(Z), torch.full((4,), 0.5, dtype=F64)
    codec = Drawing([])
    options = {"steps": 3, "inner_steps": 3, "codec": codec, "rng": ms.Streams(2)}
    z = Z
    for index, step in enumerate(ms.distill(points, PRIOR, Towards(target, weight), sgd(points), **options)):
        assert len(codec.drawn) == index + 1
        assert torch.allclose(step.z, z + codec.drawn[-1], rtol=0, atol=1e-12)
        z = 0.5**3 * (z + codec.drawn[-1]) - codec.drawn[-1]
        assert torch.allclose(points.z.detach(), z, rtol=0, atol=1e-12)
    assert len(set(codec.drawn)) == 3


def test_inner_steps_cost_no_prior_call_and_draw_nothing():
    calls, ends = [], []
    for inner in (1, 4):
        prior, points, rng = ms.Counting(PRIOR), ms.Points(Z), generator(3)
        list(ms.distill(points, prior, ms.SDS(), sgd(points, 0.1), steps=5, inner_steps=inner, rng=rng))
        calls.append(prior.calls)
        ends.append(rng.get_state())
    assert calls == [5 * 4] * 2 and torch.equal(*ends)


METHODS = {
    "msd along": ms.MSD(ms.Along(), weight=ms.weights.alpha_sigma, jitter=ms.Until(0.5)),
    "sds": ms.SDS(),
    "sdi": ms.SDI(inversion_eta=0.3, inversion_steps=4),
    "vsd": ms.VSD(scale=1.0, auxiliary=ms.methods.MLPAuxiliary(width=8)),
}


@pytest.mark.parametrize("name", ["msd along", "sds", "sdi"])
@pytest.mark.parametrize("cut", [1, 7])
def test_resumed_equals_uninterrupted_bit_for_bit(cut, name):
    def build():
        module = Linear()
        return module, torch.optim.Adam(module.parameters(), lr=0.05)

    options = {"steps": 10, "batch": 2, "inner_steps": 3, "rng": ms.Streams(42)}
    whole, optimizer = build()
    uninterrupted = list(ms.distill(whole, PRIOR, METHODS[name], optimizer, **options))
    first, optimizer = build()
    run = ms.distill(first, PRIOR, METHODS[name], optimizer, **options)
    before = [next(run) for _ in range(cut)]
    second, other = build()
    second.load_state_dict(first.state_dict())
    other.load_state_dict(optimizer.state_dict())
    after = list(ms.distill(second, PRIOR, METHODS[name], other, start=cut, state=before[-1].state, **options))
    for expected, step in zip(uninterrupted, before + after, strict=True):
        assert torch.equal(expected.z, step.z) and torch.equal(expected.direction.grad, step.direction.grad)
    assert torch.equal(whole.theta, second.theta)
    if name == "msd along":
        assert uninterrupted[-1].state.progress == after[-1].state.progress == 1.0


def test_more_inner_steps_follow_the_target_further():
    reached = []
    for inner in (1, 4):
        module, target, weight = Linear(), tensor([0.3, -1.0]), tensor(1.0)
        (step,) = ms.distill(
            module, PRIOR, Towards(target, weight), sgd(module, 0.05), steps=1, inner_steps=inner, rng=ms.Streams(5)
        )
        z = module(ms.View(module.drawn[-1])).detach()
        reached.append(float((z - target).norm() / (step.z - target).norm()))
    assert reached[1] < 0.8 * reached[0] < 0.8


@pytest.mark.parametrize("inner", [0, -3])
def test_fewer_than_one_is_refused(inner):
    points = ms.Points(Z)
    with pytest.raises(ValueError) as caught:
        next(ms.distill(points, PRIOR, ms.SDS(), sgd(points), steps=1, inner_steps=inner, rng=generator()))
    assert str(caught.value) == f"inner_steps must be at least 1, got {inner}; try 1, one update per direction"


@pytest.mark.parametrize("method", [ms.methods.SJC(), ms.methods.RSD(), ms.methods.Debiased(ms.methods.SJC())])
def test_a_method_without_a_target_is_refused_before_anything_is_computed(method):
    prior, points, rng = ms.Counting(PRIOR), ms.Points(Z), generator()
    before = rng.get_state()
    with pytest.raises(ValueError) as caught:
        next(ms.distill(points, prior, method, sgd(points), steps=3, inner_steps=2, rng=rng))
    name = type(method).__name__
    assert str(caught.value) == (
        f"inner_steps must be 1 for {name}, whose directions have no target in z, got 2; try msd or sds"
    )
    assert prior.calls == 0 and torch.equal(points.z.detach(), Z) and torch.equal(rng.get_state(), before)


@dataclass(frozen=True)
class Lying(Towards):
    """Method that promises a target and returns a direction without one."""

    in_pixels: bool = False

    def step(self, z, prior, state, **given):
        direction, state = super().step(z, prior, state, **given)
        if self.in_pixels:
            return replace(direction, grad_image=direction.grad), state
        return replace(direction, weight=None), state


@pytest.mark.parametrize(
    ("in_pixels", "words"), [(False, "weight=None, grad_image=None"), (True, "weight=a tensor, grad_image=a tensor")]
)
def test_a_promised_target_that_is_missing_is_named_before_the_first_update(in_pixels, words):
    points, method = ms.Points(Z), Lying(torch.zeros_like(Z), torch.ones(4, dtype=F64), in_pixels)
    assert has_target(method)
    with pytest.raises(ValueError) as caught:
        next(ms.distill(points, PRIOR, method, sgd(points), steps=3, inner_steps=2, rng=generator()))
    assert str(caught.value) == (
        "Lying has has_target = True, so its directions must have a weight and no grad_image, "
        f"got {words}; try inner_steps=1"
    )
    assert torch.equal(points.z.detach(), Z)


def test_an_inner_step_that_is_not_finite_is_named_and_moves_nothing():
    @dataclass(frozen=True)
    class Timed(Towards):
        def step(self, z, prior, state, **given):
            direction, state = super().step(z, prior, state, **given)
            return replace(direction, t=tensor(0.1, 0.2, 0.3, 0.4)), state

    points = ms.Points(Z)
    method = Timed(torch.zeros_like(Z), tensor(1.0, 1.0, 1e160, 1.0))
    run = ms.distill(points, PRIOR, method, sgd(points), steps=3, inner_steps=3, rng=generator())
    with pytest.raises(FloatingPointError, match=r"not finite at step 0, row 2, t = 0.3 \(1 of 4 rows\)"):
        next(run)
    assert points.z.isfinite().all()  # the update before it was the last


def test_a_state_is_advanced_once_per_direction():
    points, state = ms.Points(Z), None
    for step in ms.distill(points, PRIOR, METHODS["vsd"], sgd(points, 0.1), steps=3, inner_steps=3, rng=generator()):
        state = step.state
    assert state.steps == 3
