"""Volumes (dense, triplane, Fourier, hash grid): interpolation, fitting and chunking."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from volumes import F64, AnalyticVolume, rng

import modeseek as ms
from modeseek.generators.nerf import (
    Background,
    Dense,
    Fourier,
    HashGrid,
    NeRF,
    RandomFourier,
    ResolutionStage,
    Triplane,
)
from modeseek.generators.nerf.interpolate import bilinear, trilinear
from modeseek.generators.orbit import Orbit

VOLUMES: dict[str, tuple[Callable[[], nn.Module], float]] = {
    "dense": (lambda: Dense((16, 24)), 0.25),
    "triplane": (lambda: Triplane(rng(), 24), 0.03),
    "fourier": (lambda: Fourier(rng()), 0.015),
    "random-fourier": (lambda: RandomFourier(rng(), 32, 0.5, width=32), 0.015),
    "hash": (lambda: HashGrid(rng(), 4, 32, 4, 2**10), 0.05),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", VOLUMES)
def test_every_volume_fits_an_object(name: str) -> None:
    """A red and blue egg, fitted in 6 views, tested in 4 others; the grid is refined and pruned during the fit."""
    make, rate = VOLUMES[name]
    stages = (ResolutionStage(0.0, 10), ResolutionStage(0.5, 10, 1 if name == "dense" else 0, 0.02))
    nerf = NeRF(make(), size=10, samples=16, stages=stages)
    red, blue = torch.tensor([0.9, 0.1, 0.1]).double(), torch.tensor([0.1, 0.2, 0.9]).double()
    egg = NeRF(
        AnalyticVolume(
            lambda p: 60 * torch.sigmoid(40 * (0.55 - (p / p.new_tensor([1.0, 1.3, 0.8])).norm(dim=1))),
            lambda p: torch.where(p[:, :1] > 0, red, blue),
        ),
        size=10,
        samples=60,
    )
    training, test = nerf.orbit.ring(6), nerf.orbit.ring(4, 30.0, 22.5)
    with torch.no_grad():
        want, want_test = (egg(egg.view_from(c)).image.float() for c in (training, test))
    optimizer = torch.optim.Adam(nerf.parameters(), lr=rate, betas=(0.9, 0.99))
    first = (nerf(nerf.view_from(test)).image - want_test).square().mean()
    for step in range(45):
        nerf.advance(step / 44)
        optimizer.zero_grad()
        (nerf(nerf.view_from(training)).image - want).square().mean().backward()
        optimizer.step()
    last = (nerf(nerf.view_from(test)).image - want_test).square().mean()
    assert last < 0.2 * first and -10 * last.log10() > 19
    assert not nerf.space.all_open


def test_grids_interpolate_linearly() -> None:
    """Against eight corners by hand; hashed levels that fit their table equally; triplanes from their projections."""
    grid = torch.randn(2, 4, 5, 6, generator=rng(), dtype=torch.float64)  # z, y, x
    points = 2 * torch.rand(20, 3, generator=rng(1), dtype=torch.float64) - 1
    found = trilinear(grid, points)
    for column, (x, y, z) in enumerate(points.tolist()):
        want = torch.zeros(2, dtype=torch.float64)
        for k, j, i in np.ndindex(4, 5, 6):
            share = [max(0, 1 - abs((c + 1) / 2 * (n - 1) - at)) for c, n, at in ((x, 6, i), (y, 5, j), (z, 4, k))]
            want += math.prod(share) * grid[:, k, j, i]
        assert torch.allclose(found[:, column], want, atol=1e-12)
    table = HashGrid(rng(), 4, 4, 1, 1000, like=F64)
    corners = table.tables[0].view(2, 5, 5, 5)
    assert torch.allclose(table.encode(points), trilinear(corners, points), atol=1e-12)
    hashed = HashGrid(rng(), 4, 4, 1, 64, like=F64)
    assert torch.allclose(hashed.encode(points[:1] * 0), hashed.encode(points[:1] * 0 + 1e-9), atol=1e-7)
    planes = Triplane(rng(), 5, 2, like=F64)
    shifted = planes.encode(points + points.new_tensor([0.0, 0.0, 0.1])) - planes.encode(points)
    assert (shifted[:2] == 0).all() and (shifted[2:].abs().amax(1) > 1e-3).all()  # plane xy does not see z
    waves = Fourier(rng(), 3, like=F64).encode(points)
    x = points[:, 0]
    assert torch.allclose(waves[[0, 3, 6, 9, 15]], torch.stack([x, *(f(math.pi * k * x) for f, k in (
        (torch.sin, 1), (torch.cos, 1), (torch.sin, 2), (torch.sin, 4))) ]), atol=1e-12)  # fmt: skip


def test_threads_change_nothing() -> None:
    grid, points = torch.randn(4, 9, 9, 9, generator=rng()), torch.rand(10_001, 3, generator=rng(1))
    planes, projections = torch.randn(3, 4, 9, 9, generator=rng()), torch.rand(3, 10_001, 2, generator=rng(1))
    one, flat = trilinear(grid, points), bilinear(planes, projections)
    torch.set_num_threads(2)
    try:
        assert torch.equal(trilinear(grid, points), one)
        assert torch.equal(bilinear(planes, projections), flat)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("name", ["triplane", "fourier", "hash"])
def test_chunks_of_points_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 50 points, or of 19: density, colour and every gradient equal those of the whole."""
    points = 2 * torch.rand(50, 3, generator=rng(1)) - 1
    results = []
    for size in (10**6, 19):
        monkeypatch.setattr("modeseek.generators.nerf.network.CPU_CHUNK", size)
        volume = VOLUMES[name][0]()
        density, colour = volume(points)
        (density.sum() + (colour * points).sum()).backward()
        results.append([density.detach(), colour.detach(), *(parameter.grad for parameter in volume.parameters())])
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", VOLUMES)
def test_both_precisions(name: str, dtype: torch.dtype) -> None:
    nerf = NeRF(VOLUMES[name][0](), size=5, samples=6, background=Background("learned")).to(dtype)
    solid = nerf(nerf.view(2, rng()))
    solid.image.sum().backward()
    assert solid.image.dtype == solid.depth.dtype == dtype and solid.image.isfinite().all()
    nerf.prune(1e9)
    assert (nerf(nerf.view(2, rng())).opacity == 0).all()
    wide = NeRF(VOLUMES[name][0](), size=5, samples=6, background=Background("learned")).double()
    assert torch.allclose(wide(wide.view(2, rng())).image, solid.image.double(), atol=1e-4)


def test_a_nerf_is_optimised_under_a_prior() -> None:
    """Under an exact prior whose data are two colours, the centre of the image converges to one of them."""
    data = torch.stack([torch.tensor([c]).view(3, 1, 1).expand(3, 8, 8) for c in ((0.9, 0.2, 0.1), (0.1, 0.2, 0.9))])
    prior = ms.Empirical(2 * data - 1, ms.VE(0.02, 20.0))
    nerf = NeRF(Dense((8,)), size=8, samples=12, orbit=Orbit(fov=(30.0, 40.0)))
    optimizer = torch.optim.Adam(nerf.parameters(), lr=0.25)
    method = ms.MSD(ms.Geometric(4.0, 0.5))
    run = ms.distill(nerf, prior, method, optimizer, steps=60, batch=2, codec=ms.codec.RangeCodec(), rng=ms.Streams(0))
    for step in run:
        assert step.image.shape == (2, 3, 8, 8)
    middle = nerf(nerf.view_from(nerf.orbit.ring(2))).image[:, :, 3:5, 3:5].mean((2, 3))
    assert torch.cdist(middle, data[:, :, 0, 0]).amin(1).max() < 0.3


def test_random_waves_have_no_preferred_axes() -> None:
    """Inner products of features are the Gaussian kernel of the distance, in all directions (Rahimi, Recht 2007)."""
    waves, frequency = 40_000, 0.7
    steps = torch.nn.functional.normalize(torch.randn(12, 3, generator=rng(), dtype=torch.float64), dim=1)
    steps = steps * torch.linspace(0.05, 0.6, 12, dtype=torch.float64)[:, None]
    start = torch.tensor([[0.3, -0.2, 0.5]], dtype=torch.float64)
    features = RandomFourier(rng(1), waves, frequency, width=1, like=F64).encode(torch.cat([start, start + steps]))
    kernel = features[:, :1].T @ features[:, 1:] / waves
    wanted = torch.exp(-2 * (math.pi * frequency) ** 2 * steps.square().sum(1))
    assert torch.allclose(kernel[0], wanted, atol=4 * waves**-0.5)
