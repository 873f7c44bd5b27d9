"""Empty space skipping, chunks, pruning, refinement and resuming against plain rendering; invalid arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from volumes import POSES, AnalyticVolume, cameras, rng, tiny

import modeseek as ms
from modeseek.generators.camera import CameraView
from modeseek.generators.nerf import (
    Background,
    BlobInit,
    Dense,
    EmptySpaceSkipping,
    Fourier,
    HashGrid,
    NeRF,
    RandomFourier,
    ResolutionStage,
    Triplane,
)
from modeseek.generators.orbit import Orbit


def trained(seed: int = 0) -> NeRF:
    """A grid with a dense ball in the middle and haze around it, like the end of a run; pruned."""
    nerf = NeRF(Dense((24,), BlobInit(6.0, 70.0)), size=24, samples=48, radius=1.2, orbit=Orbit(fov=(30.0, 40.0)))
    with torch.no_grad():
        grid = nerf.volume.grid
        grid[0, 0].clamp_(min=-9)
        grid += torch.randn(grid.shape, generator=rng(seed))
    nerf.prune(0.05)
    return nerf


def test_empty_space_skipping_equals_plain_rendering() -> None:
    nerf = trained()
    view = replace(nerf.view(3, ms.Streams(0)), normals=True)
    pull = torch.randn(3, 3, 24, 24, generator=rng(1))
    both = []
    for skip in (None, EmptySpaceSkipping()):
        nerf.skip = skip
        nerf.zero_grad()
        solid = nerf(view)
        assert solid.ray_samples is not None and solid.normal is not None
        (solid.image * pull).sum().backward()
        both.append((solid, nerf.volume.grid.grad.clone()))
    (plain, slope), (fast, fast_slope) = both
    for name in ("image", "opacity", "normal"):
        assert (getattr(plain, name) - getattr(fast, name)).abs().max() < 1e-4, name
    assert (plain.depth - fast.depth)[plain.opacity > 0.1].abs().max() < 1e-3
    assert (slope - fast_slope).norm() < 1e-4 * slope.norm()
    assert len(fast.ray_samples.ray) < 0.8 * len(plain.ray_samples.ray)
    rows = torch.isin(plain.ray_samples.ray, fast.ray_samples.ray)
    assert (plain.ray_samples.weights[rows] - fast.ray_samples.weights).abs().max() < 1e-4
    assert plain.ray_samples.weights[~rows].max() < 1e-4
    assert 0.05 < (fast.ray_samples.weights > 0).float().mean() < 0.5  # some samples are skipped, and not all


def test_pruning_closes_empty_cells_only() -> None:
    nerf = NeRF(AnalyticVolume(lambda p: 5.0 * (p[:, 0] > 0.5) + 0.01), size=8, samples=64)
    view = nerf.view_from(cameras(POSES[0]))
    before = nerf(view)
    nerf.prune(0.1)
    x = (np.arange(64) + 0.5) / 32 - 1
    closed = x[~nerf.space.open.numpy().any((0, 1))]  # the last axis is x
    assert (
        closed.max() == pytest.approx(0.5 - 3 / 64, abs=1e-6)  # one neighbour cell stays open
        and (nerf.space.open.numpy().all((0, 1)) == (x > closed.max())).all()
    )
    after = nerf(view)
    assert (after.opacity[..., :3] == 0).all() and (before.opacity[0, 0, 3:5, 2] > 0.01).all()
    assert torch.allclose(after.opacity[..., 7], before.opacity[..., 7], atol=0.03)


def test_chunks_equal_the_whole() -> None:
    whole, parts = tiny(5), tiny(5, chunk=29)
    view = whole.view(2, ms.Streams(1))
    got = []
    for nerf in (whole, parts):
        solid = nerf(replace(view, normals=True))
        (solid.image.square().sum() + solid.normal.sum() + solid.depth.sum()).backward()
        got.append((solid.image, solid.normal, nerf.volume.grid.grad))
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(*got, strict=True))


def test_refinement_keeps_the_volume_and_the_optimizer_works_on() -> None:
    nerf = NeRF(
        Dense((5, 9, 17), BlobInit(2.0, 4.0)), size=8, samples=16
    )  # 17 = 2 * 9 - 1: nested, so exactly the same
    optimizer = torch.optim.Adam(nerf.parameters(), lr=0.1)
    view = nerf.view_from(nerf.orbit.ring(2))
    kinds = []
    for level in (0, 1, 2):
        before = nerf(view).image
        nerf.volume.refine(level)
        assert torch.allclose(nerf(view).image, before, atol=1e-4)
        old = [grid.detach().clone() for grid in nerf.volume.grid_of]
        optimizer.zero_grad()
        nerf(view).image.mean().backward()
        optimizer.step()
        kinds.append([not torch.equal(a, b) for a, b in zip(old, nerf.volume.grid_of, strict=True)])
        assert nerf(view).grids[0] is nerf.volume.grid and nerf.volume.spacing == 2 / (4 * 2**level)
    assert kinds == [[True, False, False], [False, True, False], [False, False, True]]
    with pytest.raises(ValueError, match="levels 0 to 2, got 3"):
        nerf.volume.refine(3)


def test_a_resumed_run_neither_refines_nor_prunes_again() -> None:
    def make() -> NeRF:
        return NeRF(
            Dense((5, 9)), size=8, samples=8, stages=(ResolutionStage(0.0, 6), ResolutionStage(0.5, 10, 1, 0.05))
        )

    nerf = make()
    assert nerf.size == 6 and nerf.space.all_open
    nerf.advance(0.49)
    assert int(nerf.volume.level) == 0
    nerf.advance(0.5)
    with torch.no_grad():
        nerf.volume.grid.normal_(generator=rng())
        nerf.volume.grid[..., :4] = -20  # what another pruning would close
    again = make()
    again.load_state_dict(nerf.state_dict())
    again.advance(0.75)
    assert again.size == 10 and torch.equal(again.space.open, nerf.space.open) and not again.space.all_open
    view = nerf.view(2, ms.Streams(0))
    assert torch.equal(nerf(view).image, again(view).image)


def test_rays_that_all_miss_give_the_background_and_zero_gradient() -> None:
    nerf = NeRF(Dense((4,)), size=2, samples=4, radius=0.1)
    solid = nerf(CameraView((0,), cameras((0.0, 0.0, 3.0, 90.0)), 2))
    assert (solid.image == 1).all() and (solid.depth == 0).all() and len(solid.ray_samples.ray) == 0
    solid.image.sum().backward()
    assert nerf.volume.grid.grad is not None and nerf.volume.grid.grad.abs().max() == 0
    nerf.prune(1e9)  # everything
    assert (nerf(nerf.view(2, rng())).opacity == 0).all()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NeRF(size=0), "size, samples and chunk of 1 or more"),
        (lambda: NeRF(samples=0), "size, samples and chunk of 1 or more"),
        (lambda: NeRF(chunk=0), "size, samples and chunk of 1 or more"),
        (lambda: NeRF(radius=0.0), "positive radius"),
        (lambda: NeRF(stages=(ResolutionStage(0.1, 8),)), "stages must start at 0"),
        (lambda: NeRF(stages=(ResolutionStage(0.0, 8), ResolutionStage(0.0, 16))), "stages must start at 0"),
        (lambda: NeRF(stages=(ResolutionStage(0.0, 8, 1), ResolutionStage(0.5, 8, 0))), "stages must start at 0"),
        (lambda: NeRF(stages=(ResolutionStage(0.0, 8, 2),)), "one of the volume's 2 levels"),
        (lambda: NeRF(stages=(ResolutionStage(0.0, 0),)), "size >= 1"),
        (lambda: Dense(()), ">= 2 and increase"),
        (lambda: Dense((8, 8)), ">= 2 and increase"),
        (lambda: Triplane(rng(), side=1), "at least 2 points per side"),
        (lambda: Triplane(rng(), width=0), "positive sizes"),
        (lambda: Fourier(rng(), octaves=0), "at least one octave"),
        (lambda: RandomFourier(rng(), frequency=0.0), "frequency of random Fourier features must be above 0, got 0.0"),
        (lambda: HashGrid(rng(), 8, 4), "a finest grid no coarser"),
        (lambda: Background("gold"), "constant, random or learned, got 'gold'"),
        (lambda: Background(colour=(2.0, 0.0, 0.0)), r"three numbers in \[0, 1\]"),
        (lambda: EmptySpaceSkipping(empty=-1.0), "empty >= 0"),
        (lambda: EmptySpaceSkipping(opaque=1.0), r"opaque in \[0, 1\)"),
        (lambda: NeRF(Dense((4,))).view(0, rng()), "at least one item"),
    ],
)
def test_invalid_arguments_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_module_that_is_not_a_volume_is_refused() -> None:
    with pytest.raises(TypeError, match="renders a Volume"):
        NeRF(nn.Linear(3, 4))
