"""CFD and FSD: a step with fixed noise is a DDIM step; noise per particle and of a world."""

from __future__ import annotations

import math

import pytest
import torch
from cases_phi import FOUR, PerRow, context, eps_of, levels, prior_on, step
from cases_shift import generator, three_gaussians
from oracles_shift import F64

import modeseek as ms
from modeseek.methods.cfd import CFD, FSD, ConsistentState
from modeseek.methods.noise_maps import WORLD, WorldNoise, refresh_noise
from modeseek.rundir.checkpoint import read_checkpoint, write_checkpoint

METHODS = {"cfd": CFD(PerRow(), ms.weights.unit_weight, refresh=0.0), "fsd": FSD(PerRow(), ms.weights.unit_weight)}


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["VP", "Flow", "VE"])
@pytest.mark.parametrize("name", METHODS)
def test_a_step_of_the_right_length_is_a_ddim_step(schedule, name):
    method, prior, steps = METHODS[name], prior_on(schedule, three_gaussians()), 49
    starts, ends = (0.9, 0.95, 0.6, 0.8), (0.05, 0.3, 0.1, 0.02)  # a walk of its own for each row
    walk = [tuple(a + (b - a) * k / steps for a, b in zip(starts, ends, strict=True)) for k in range(steps + 1)]
    z, state, z_t = FOUR, method.init(FOUR, prior), None
    rng = ms.Streams(2, 0, (0, 1, 2, 3))
    for index, (t, s) in enumerate(zip(walk[:-1], walk[1:], strict=True)):
        (a_t, s_t), (a_s, s_s) = levels(schedule, t), levels(schedule, s)
        times = PerRow(t)
        method = (
            CFD(times, ms.weights.unit_weight, refresh=0.0) if name == "cfd" else FSD(times, ms.weights.unit_weight)
        )
        answer, state = method.step(z, prior, state, progress=0.0, rng=rng.at(index))
        if z_t is None:
            z_t, noise = a_t * z + s_t * answer.eps, answer.eps
        z = z - (s_t / a_t - s_s / a_s) * answer.grad
        eps = eps_of(three_gaussians(), z_t, a_t, s_t)
        z_t = a_s * (z_t - s_t * eps) / a_t + s_s * eps
        assert ((a_s * z + s_s * noise) - z_t).abs().max() <= 1e-9 * max(1.0, float(z_t.abs().max()))


@pytest.mark.parametrize("schedule", ["VP", "Cosine"])
def test_with_the_first_noise_it_is_sds_of_that_noise(schedule):
    answer = step(CFD(PerRow()), FOUR, prior_on(schedule, three_gaussians()), generator())
    alpha, sigma = levels(schedule)
    want = eps_of(three_gaussians(), alpha * FOUR + sigma * answer.eps, alpha, sigma) - answer.eps
    assert torch.allclose(answer.grad, sigma / alpha * want, rtol=1e-9, atol=1e-10)


def noises_along(method: ms.Method, z: torch.Tensor, steps: int, rng, **options) -> list[torch.Tensor]:
    """The noise of each step of a run."""
    prior = ms.Empirical(torch.zeros_like(z[:1]), ms.VP())
    state, noises = method.init(z, prior), []
    for index in range(steps):
        answer, state = method.step(z, prior, state, progress=0.5, rng=rng(index), **options)
        noises.append(answer.eps)
    return noises


@pytest.mark.slow
def test_noise_drifts_as_an_ornstein_uhlenbeck_process():
    n, share, rng = 40_000, 0.19, generator(5)
    first, *rest = noises_along(CFD(refresh=share), torch.zeros(n, 1, dtype=F64), 4, lambda _: rng)
    for k, later in enumerate(rest, 1):
        keep = (1 - share) ** (k / 2)
        assert abs(float((first * later).mean()) - keep) <= 4 * math.sqrt((1 + keep**2) / n)
        assert abs(float(later.var()) - 1) <= 4 * math.sqrt(2 / n) and abs(float(later.mean())) <= 4 / math.sqrt(n)
    still = noises_along(CFD(refresh=0.0), torch.zeros(5, 1, dtype=F64), 3, lambda _: rng)
    assert torch.equal(still[0], still[1]) and torch.equal(still[0], still[2])
    fresh = noises_along(CFD(refresh=1.0), torch.zeros(n, 1, dtype=F64), 2, lambda _: rng)
    assert abs(float((fresh[0] * fresh[1]).mean())) <= 4 / math.sqrt(n)


@pytest.mark.parametrize("refresh", [0.0, 0.3])
def test_an_items_noise_is_its_own_in_any_company(refresh):
    z = torch.zeros(4, 2, dtype=F64)
    method = CFD(refresh=refresh)
    together = noises_along(method, z, 3, lambda k: ms.Streams(7, k, (3, 1, 8, 5)))
    for slot, item in enumerate((3, 1, 8, 5)):
        alone = noises_along(method, z[:1], 3, lambda k, item=item: ms.Streams(7, k, (item,)))
        assert all(torch.equal(a[0], b[slot]) for a, b in zip(alone, together, strict=True))
    assert len(together[0].unique()) == 8
    # met for the first time later in the run, it is the same
    late = noises_along(FSD(), z[:1], 1, lambda k: ms.Streams(7, 40, (8,)))
    assert torch.equal(late[0][0], together[0][2])


def test_items_come_and_go():
    prior, method, state = prior_on("VP", three_gaussians()), FSD(PerRow((0.5, 0.5))), ConsistentState()
    first_noise = {}
    for index, items in enumerate([(0, 1), (2, 1), (1, 0)]):
        answer, state = method.step(FOUR[:2], prior, state, progress=0.0, rng=ms.Streams(3, index, items))
        for item, eps in zip(items, answer.eps, strict=True):
            assert torch.equal(first_noise.setdefault(item, eps), eps)
    assert sorted(state.noise) == [0, 1, 2]


def test_the_rows_of_a_point_cloud_each_have_noise_of_their_own():
    noise, again = noises_along(FSD(), torch.zeros(6, 2, dtype=F64), 2, lambda k: ms.Streams(7, k, (0,)))
    assert torch.equal(noise, again) and len(noise.unique()) == 12


def surface(n: int = 2) -> ms.RenderContext:
    """Two cameras with 3 x 4 pixels; the view of camera 1 is that of camera 0, shifted by one pixel."""
    return context(torch.zeros(n, 2, 3, 4, dtype=F64))


def shifted(planes: int):
    """Pixel (i, j) of view b maps to the world point (i, j + b), a separate cell on each plane."""

    def places(s: ms.RenderContext) -> torch.Tensor:
        j = torch.arange(4)[None, None] + s.item[:, None, None]
        cell = 8 * torch.arange(3)[None, :, None] + j
        return torch.stack([cell + 24 * plane for plane in range(planes)], 1)

    return places


@pytest.mark.parametrize("planes", [1, 3])
def test_views_of_one_place_see_one_noise(planes):
    z = torch.zeros(2, 2, 3, 4, dtype=F64)
    method = FSD(noise=WorldNoise(24 * planes, shifted(planes)))
    first, again = noises_along(method, z, 2, lambda k: ms.Streams(1, k, (0, 1)), context=surface())
    assert torch.equal(first, again)
    assert torch.equal(first[0, :, :, 1:], first[1, :, :, :-1])
    assert len(first[0].unique()) == 24
    alone = noises_along(method, z[1:], 1, lambda k: ms.Streams(1, 9, (1,)), context=part_of(surface(), 1))
    assert torch.equal(alone[0][0], first[1])


def part_of(s: ms.RenderContext, row: int) -> ms.RenderContext:
    """The context of one item."""
    view = type(s.view)((int(s.item[row]),))
    return ms.RenderContext(
        view, s.rendering, s.image[row : row + 1], s.codec, s.item[row : row + 1], s.particle[row : row + 1]
    )


def test_a_world_of_noise_is_standard_normal_everywhere():
    side, planes = 60, 3

    def places(s: ms.RenderContext) -> torch.Tensor:
        cell = torch.arange(side * side).reshape(1, side, side)
        return torch.stack([cell + plane * side * side for plane in range(planes)], 1)

    z = torch.zeros(1, 4, side, side, dtype=F64)
    (noise,) = noises_along(
        FSD(noise=WorldNoise(planes * side**2, places)), z, 1, lambda _: generator(3), context=context(z)
    )
    n = noise.numel()
    assert abs(float(noise.mean())) <= 4 / math.sqrt(n) and abs(float(noise.var()) - 1) <= 4 * math.sqrt(2 / n)


def test_a_world_drifts_as_a_whole():
    z = torch.zeros(2, 2, 3, 4, dtype=F64)
    method = CFD(noise=WorldNoise(24, shifted(1)), refresh=0.5)
    rng = generator()
    for source in (lambda k: ms.Streams(1, k, (0, 1)), lambda _: rng):
        first, second = noises_along(method, z, 2, source, context=surface())
        assert (first != second).all() and torch.equal(second[0, :, :, 1:], second[1, :, :, :-1])


def test_a_run_goes_on_from_a_checkpoint_bit_for_bit(tmp_path):
    prior, method = prior_on("VP", three_gaussians()), CFD(refresh=0.2)

    def walk(z, state, rng, steps):
        for _ in range(steps):
            answer, state = method.step(z, prior, state, progress=0.5, rng=rng)
            z = z - 0.3 * answer.grad
        return z, state

    whole, _ = walk(FOUR, method.init(FOUR, prior), generator(), 6)
    rng = generator()
    half, state = walk(FOUR, method.init(FOUR, prior), rng, 3)
    checkpoint = read_checkpoint(write_checkpoint(tmp_path, 3, {"method": state, "rng": rng}))
    again = checkpoint.restore({"method": method.init(FOUR, prior), "rng": generator(9)})
    assert torch.equal(walk(half, again["method"], again["rng"], 3)[0], whole)


def test_calls():
    prior = ms.Counting(prior_on("VP", three_gaussians(), [0, 0, 1]))
    conditions = ms.Conditions(torch.tensor([1]), null=torch.tensor([-1]))
    for method in (CFD(), FSD()):
        prior.calls = 0
        step(method, FOUR, prior, generator())
        assert prior.calls == 4
        step(method, FOUR, ms.Guided(prior, 7.0), generator(), conditions=conditions)
        assert prior.calls == 4 + 8


def test_mistakes_are_one_clear_line():
    prior, world = prior_on("VP", three_gaussians()), WorldNoise(24, shifted(1))
    z = torch.zeros(2, 2, 3, 4, dtype=F64)
    images = ms.Empirical(z, ms.VP())
    for wrong in (-0.1, 1.1):
        with pytest.raises(ValueError, match="CFD refresh must be in"):
            CFD(refresh=wrong)
    with pytest.raises(ValueError, match="WorldNoise needs cells >= 1, got 0"):
        WorldNoise(0, shifted(1))
    with pytest.raises(ValueError, match="WorldNoise needs a context, got none"):
        step(FSD(noise=world), z, images, generator())
    with pytest.raises(ValueError, match=r"needs z of shape \(b, c, h, w\), got \(4, 2\); try PerParticle"):
        step(FSD(noise=world), FOUR, prior, generator(), context=context(FOUR))
    with pytest.raises(ValueError, match=r"places must have shape \(2, p, 3, 4\), got \(2, 1, 3, 3\)"):
        few = WorldNoise(24, lambda s: shifted(1)(s)[..., :3])
        step(FSD(noise=few), z, images, generator(), context=surface())
    with pytest.raises(ValueError, match="particle 0 must keep the shape .* of its noise, got"):
        FSD().step(FOUR, prior, ConsistentState({0: torch.zeros(1, 3, dtype=F64)}), progress=0.0, rng=generator())
    with pytest.raises(ValueError, match="items must be distinct"):
        FSD().step(FOUR[:2], prior, ConsistentState(), progress=0.0, rng=ms.Streams(0, 0, (1, 1)))
    assert refresh_noise({WORLD: FOUR}, 0.0, generator())[WORLD] is FOUR
