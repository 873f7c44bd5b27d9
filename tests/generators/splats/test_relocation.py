"""Relocation of splats: nothing changes in the image, and a run is resumed to the bit across it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

import modeseek as ms
from modeseek.generators.splats import RelocateSplats, Splats
from modeseek.generators.splats.relocate import split_opacity


@pytest.mark.parametrize("opacity", [0.02, 0.3, 0.9, 0.99])
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_equal_splats_at_one_place_show_what_one_did(opacity, n):
    """Their composite has the peak of the one, and its integral over a line through the centre."""
    shared, factor = split_opacity(torch.tensor([opacity], dtype=torch.float64), torch.tensor([n]))
    o, k = float(shared), float(factor)
    assert 1 - (1 - o) ** n == pytest.approx(opacity, rel=1e-12)

    def together(x: float) -> float:
        return 1 - (1 - o * math.exp(-0.5 * (x / k) ** 2)) ** n

    mass = quad(together, -40 * k, 40 * k, points=[0.0], limit=400)[0]
    assert mass == pytest.approx(opacity * math.sqrt(2 * math.pi), rel=1e-6)


def cloud(dead: int = 30, **policy) -> Splats:
    splats = Splats(
        200,
        rng=ms.Streams(0),
        size=24,
        relocate=RelocateSplats(**{"every": 1, "opacity": 0.005, "scale": 9.0, **policy}),
    )
    with torch.no_grad():
        splats.logits[20:] = torch.linspace(-2.0, 2.0, 180)
        splats.logits[:dead] = -9.0
    return splats


def test_dead_splats_move_onto_opaque_ones_and_the_image_stays():
    splats = cloud()
    optimizer = torch.optim.Adam(splats.parameter_groups() and [{"params": [p]} for p in splats.parameters()], lr=1e-3)
    view = splats.view_from(splats.orbit.ring(3), 24)
    splats(view).image.sum().backward()
    optimizer.step()
    with torch.no_grad():
        splats.logits[:30] = -9.0
    before, alive = splats(view).image.detach(), splats.means[30:].detach().clone()
    record = splats.relocate(optimizer, 0, ms.Streams(3))
    assert record is not None and record.elements == tuple(range(30)) and record.items == (0,) * 30
    after = splats(view).image.detach()
    assert float((after - before).abs().max()) < 0.03 and float((after - before).abs().mean()) < 2e-3
    host = torch.cdist(splats.means[:30].detach(), alive).argmin(1) + 30
    assert torch.equal(splats.means[:30], splats.means[host]) and torch.equal(splats.logits[:30], splats.logits[host])
    assert splats.logits.sigmoid().min() > 0.005
    for parameter in splats.parameters():
        moments = optimizer.state[parameter]["exp_avg"]
        assert (moments[:30] == 0).all() and (moments[host] == 0).all()
        rest = torch.ones(200, dtype=torch.bool)
        rest[:30] = rest[host] = False
        assert parameter is splats.quats or (moments[rest] != 0).any()


def test_splats_that_grow_too_large_are_relocated():
    splats = cloud(dead=0, scale=0.3)
    with torch.no_grad():
        splats.log_scales[40:50, 1] = math.log(0.31)
        splats.log_scales[50:60] = math.log(0.29)
    record = splats.relocate(torch.optim.SGD(splats.parameters(), lr=0.1), 0, ms.Streams(0))
    assert record is not None and record.elements == tuple(range(40, 50))
    assert float(splats.log_scales.detach().exp().max()) < 0.3 * 1.5  # two at one place are a little larger each


def test_hosts_are_drawn_by_their_opacity():
    splats = cloud(dead=0)
    with torch.no_grad():
        splats.logits[:] = -9.0
        splats.logits[:2] = torch.tensor([0.3, 0.9]).logit()
    counts = np.zeros(2)
    for seed in range(20):
        copy = cloud(dead=0)
        copy.load_state_dict(splats.state_dict())
        means = copy.means[:2].detach().clone()
        copy.relocate(torch.optim.SGD(copy.parameters(), lr=0.1), 0, ms.Streams(seed))
        counts += torch.bincount(torch.cdist(copy.means[2:].detach(), means).argmin(1), minlength=2).numpy()
    assert counts.sum() == 20 * 198
    assert counts[1] / counts.sum() == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / counts.sum()))


def test_noise_moves_transparent_centres_with_the_shape_of_their_splat():
    splats = cloud(dead=100, every=1000, noise=50.0)
    with torch.no_grad():
        splats.log_scales[:] = torch.tensor([0.1, 0.02, 0.05]).log()
    before = splats.means.detach().clone()
    optimizer = torch.optim.SGD([{"params": [splats.means], "lr": 0.01}])
    moves = []
    for seed in range(60):
        with torch.no_grad():
            splats.means.copy_(before)
        assert splats.relocate(optimizer, 0, ms.Streams(seed)) is None
        moves.append(splats.means.detach() - before)
    moved = torch.stack(moves)
    freedom = float(torch.sigmoid(-100 * (splats.logits[0].detach().sigmoid() - 0.005)))
    std = moved[:, :100].std((0, 1))
    expected = 0.5 * freedom * torch.tensor([0.1, 0.02, 0.05])
    assert torch.allclose(std, expected, rtol=4 / math.sqrt(2 * 6000))
    assert moved[:, 110:].abs().max() < 1e-3 * std.max()


def test_policies_and_ends():
    splats = cloud(until=0.5)
    optimizer = torch.optim.SGD(splats.parameters(), lr=0.1)
    splats.advance(0.5)
    assert splats.relocate(optimizer, 0, ms.Streams(0)) is None
    splats.advance(0.4)
    assert splats.relocate(optimizer, 0, ms.Streams(0)) is not None
    assert splats.relocate(optimizer, 0, ms.Streams(0)) is None  # none is dead any more
    with torch.no_grad():
        splats.logits.fill_(-20.0)
    assert splats.relocate(optimizer, 0, ms.Streams(0)) is None  # all are: nowhere to go
    for options in ({"every": 0}, {"opacity": 1.0}, {"scale": 0.0}, {"until": 2.0}, {"noise": -1.0}):
        with pytest.raises(ValueError, match="relocation needs every >= 1"):
            RelocateSplats(**options)


def test_a_run_is_resumed_to_the_bit_across_a_relocation():
    prior = ms.Empirical(torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)), ms.VP())

    moved: list[int] = []

    def run(splats: Splats, optimizer, start: int, stop: int, state=None):
        steps = ms.distill(
            splats, prior, ms.SDS(), optimizer, steps=8, start=start, batch=2, rng=ms.Streams(0), state=state
        )
        last = None
        for last in steps:
            moved.extend([last.index] * (last.relocation is not None))
            if last.index + 1 == stop:
                break
        return last

    def new() -> tuple[Splats, torch.optim.Optimizer]:
        splats = Splats(100, rng=ms.Streams(0), size=16, relocate=RelocateSplats(every=3, opacity=0.105, scale=9.0))
        return splats, torch.optim.Adam(splats.parameters(), lr=0.02)

    whole, optimizer = new()
    run(whole, optimizer, 0, 8)
    assert any(index < 4 for index in moved) and any(index >= 4 for index in moved), "before and after the stop"
    first, optimizer = new()
    stopped = run(first, optimizer, 0, 4)
    second, again = new()
    second.load_state_dict(first.state_dict())
    again.load_state_dict(optimizer.state_dict())
    run(second, again, 4, 8, stopped.state)
    assert all(map(torch.equal, whole.parameters(), second.parameters()))
