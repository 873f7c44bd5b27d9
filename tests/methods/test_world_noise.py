"""Noise in the world: cells of one pixel each, exact statistics within a view, shared numbers between views."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from cases_shift import generator
from torch import Tensor

import modeseek as ms
from modeseek.generators.base import Rendering, View
from modeseek.generators.camera import Cameras, CameraView, camera_frame
from modeseek.generators.rendering3d import Rendering3D
from modeseek.methods import CFD, FSD, Triplanes, Voxels
from modeseek.methods.cell_assignment import assign_cells
from modeseek.methods.world_noise import CellNoise

F64 = torch.float64
KINDS: dict[str, type[CellNoise]] = {"voxels": Voxels, "triplanes": Triplanes}


def cameras_at(azimuths: list[float], elevation: float = 10.0) -> Cameras:
    n = len(azimuths)
    columns = (azimuths, [elevation] * n, [3.5] * n, [35.0] * n)
    return Cameras(*(torch.tensor(column, dtype=F64) for column in columns))


def ball(cameras: Cameras, size: int, radius: float = 0.8) -> tuple[Tensor, Tensor]:
    """Depth along the viewing axis and opacity of a ball around the origin, ray by ray."""
    depth, opacity = (torch.zeros(len(cameras), 1, size, size, dtype=F64) for _ in range(2))
    position, right, up, forward = camera_frame(cameras.azimuth, cameras.elevation, cameras.distance)
    for b in range(len(cameras)):
        t = math.tan(math.radians(float(cameras.fov[b]) / 2))
        for i in range(size):
            for j in range(size):
                u, v = (2 * j + 1) / size - 1, 1 - (2 * i + 1) / size
                ray = forward[b] + t * (u * right[b] + v * up[b])
                a, half, c = ray @ ray, position[b] @ ray, position[b] @ position[b] - radius**2
                root = half**2 - a * c
                if root > 0:
                    depth[b, 0, i, j], opacity[b, 0, i, j] = (-half - root.sqrt()) / a, 1.0
    return depth, opacity


def context_of(
    azimuths: list[float], size: int = 16, particles: tuple[int, ...] | None = None, solid: bool = True, first: int = 0
) -> ms.RenderContext:
    """Renderings of a ball (or of nothing) from several cameras."""
    cameras = cameras_at(azimuths)
    depth, opacity = ball(cameras, size) if solid else (torch.zeros(len(cameras), 1, size, size, dtype=F64),) * 2
    view = CameraView(tuple(range(first, first + len(cameras))), cameras, size, particles=particles)
    image = torch.zeros(len(cameras), 3, size, size, dtype=F64)
    particle = torch.tensor(view.particle_of_item)
    rendering = Rendering3D(view, image, opacity, depth)
    return ms.RenderContext(view, rendering, image, ms.codec.Identity(), torch.tensor(view.items), particle)


def noise_of(kind: CellNoise, context: ms.RenderContext, z: Tensor, seed: int = 0, step: int = 0) -> Tensor:
    rng = ms.Streams(seed, step, context.view.items)
    return kind(kind.draw({}, z, context, rng), z, context, rng)


@pytest.mark.parametrize("seed", range(4))
def test_a_cell_belongs_to_the_pixel_with_most_sub_samples_in_it(seed):
    views, pixels, samples, n = 3, 5, 7, 6
    cells = torch.randint(-1, n, (views, pixels, samples), generator=torch.Generator().manual_seed(seed))
    table, own = assign_cells(cells, n)
    for view in range(views):
        counts = [Counter(pixel) for pixel in cells[view].tolist()]
        got = [sorted(table[view, pixel][own[view, pixel]].tolist()) for pixel in range(pixels)]
        want: list[list[int]] = [[] for _ in range(pixels)]
        for cell in range(n):
            most = max(count[cell] for count in counts)
            if most:
                want[[count[cell] for count in counts].index(most)].append(cell)
        assert got == want
    alone, own_alone = assign_cells(cells[1:2], n)
    q = own_alone.shape[2]
    assert (
        torch.equal(alone[0], table[1, :, :q]) and torch.equal(own_alone[0], own[1, :, :q]) and not own[1, :, q:].any()
    )
    nothing, none = assign_cells(torch.full((2, 3, 4), -1), 5)
    assert nothing.shape == (2, 3, 1) and not none.any()


@pytest.mark.slow
@pytest.mark.parametrize("solid", [True, False])
@pytest.mark.parametrize("name", KINDS)
def test_the_pixels_of_a_view_are_independent_and_of_unit_variance_exactly(name, solid):
    size, kind = 8, KINDS[name]()
    context = context_of([20.0, 75.0], 32, solid=solid)
    z = torch.zeros(2, 1, size, size, dtype=F64)
    n = kind.object_cells(16) + 6 * (6 * size) ** 2
    weights = torch.zeros(2, size * size, n, dtype=F64)  # W of each view, column by column of seen cells
    table, _ = assign_cells(kind.visible_cells(context, z), n)
    rng = ms.Streams(0, 0, (0, 1))
    zero = kind({0: torch.zeros(1, n, dtype=F64)}, z, context, rng)
    for cell in table.unique().tolist():
        unit = torch.zeros(1, n, dtype=F64)
        unit[0, cell] = 1.0
        weights[:, :, cell] = (kind({0: unit}, z, context, rng) - zero).flatten(1)
    covered = zero.flatten(1) == 0
    assert covered.double().mean() > 0.8
    for view in range(2):
        gram = weights[view] @ weights[view].T
        assert (gram - torch.diag(covered[view].to(F64))).abs().max() < 1e-12
    # what no cell covers is standard normal by itself
    assert 0 < zero[~covered.view_as(zero)].square().mean() < 4 if not covered.all() else True


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_near_cameras_share_noise_and_opposite_ones_do_not(name):
    kind, size = KINDS[name](), 16
    context = context_of([0.0, 4.0, 180.0, 37.0, 217.0], 64)
    z = torch.zeros(5, 128, size, size, dtype=F64)
    noise = noise_of(kind, context, z)
    assert abs(float(noise.mean())) < 0.02 and abs(float(noise.var()) - 1) < 0.03
    inner = slice(5, 11)  # the ball fills it
    same, near = noise[0, :, inner, inner], noise[1, :, inner, inner]
    best = max(float((same[..., 1:5] * near[..., 1 + k : 5 + k]).mean()) for k in (-1, 0, 1))
    assert best > 0.25
    for one, other in ((0, 2), (3, 4)):
        across = [noise[other].flip(-1).roll(k, -1)[:, inner, inner] for k in (-1, 0, 1)]
        most = max(abs(float((noise[one, :, inner, inner] * row).mean())) for row in across)
        assert most < 0.06 or (name, one) == ("triplanes", 0) and most < 0.6  # two points on one line share a plane


def test_a_camera_that_does_not_move_sees_the_same_at_every_step_and_in_every_batch():
    for kind in (Voxels(), Triplanes()):
        z = torch.zeros(2, 4, 8, 8, dtype=F64)
        context = context_of([0.0, 90.0], 32)
        rng = ms.Streams(3, 5, (0, 1))
        state = kind.draw({}, z, context, rng)
        both, later = (kind(state, z, context, ms.Streams(3, step, (0, 1))) for step in (5, 9))
        table, own = assign_cells(kind.visible_cells(context, z), state[0].shape[1])
        covered = own.any(-1).view(2, 1, 8, 8).expand_as(both)
        assert torch.equal(both[covered], later[covered]) and table.max() < state[0].shape[1]
        assert not covered.all() or torch.equal(both, later)
        part = context_of([90.0], 32, first=1)
        alone = noise_of(kind, part, z[1:], seed=3, step=5)
        assert torch.equal(alone[0], both[1])


def test_particles_have_worlds_of_their_own():
    context = context_of([0.0, 0.0, 0.0], 32, particles=(0, 1, 1))
    z = torch.zeros(3, 32, 8, 8, dtype=F64)
    noise = noise_of(Voxels(), context, z)
    state = Voxels().draw({}, z, context, ms.Streams(0, 0, (0, 1, 2)))
    assert set(state) == {0, 1} and abs(float((noise[0] * noise[1]).mean())) < 0.1
    assert float((noise[1] * noise[2]).mean()) > 0.8  # one world, one camera: all but what no cell covers


def test_the_world_is_drawn_once_and_drifts_as_cfd_says():
    context, z = context_of([0.0, 30.0], 32), torch.zeros(2, 3, 8, 8, dtype=F64)
    prior = ms.Empirical(torch.zeros(1, 3, 8, 8, dtype=F64), ms.VP())
    for method, share in ((FSD(noise=Voxels()), 0.0), (CFD(noise=Triplanes(), refresh=0.25), 0.25)):
        state = method.init(z, prior)
        rng = ms.Streams(1, 0, (0, 1))
        _, first = method.step(z, prior, state, progress=0.0, rng=rng, context=context)
        _, second = method.step(z, prior, first, progress=0.1, rng=rng.at(1), context=context)
        a, b = first.noise[0], second.noise[0]
        correlation = float((a * b).mean() / (a.std() * b.std()))
        assert abs(correlation - math.sqrt(1 - share)) < 0.01 and abs(float(b.var()) - 1) < 0.03
        _, again = method.step(z, prior, second, progress=0.1, rng=rng.at(1), context=context)
        assert torch.equal(again.noise[0], b)  # a second batch of the same step


def test_cells_lie_where_the_point_is():
    context = context_of([90.0], 1)  # one ray through the middle, from +x
    z = torch.zeros(1, 1, 1, 1, dtype=F64)
    cells = Voxels(cells=10, samples=1).visible_cells(context, z)
    distance = float(context.rendering.depth)
    assert abs(distance - (3.5 - 0.8)) < 1e-9
    e = math.radians(10.0)
    point = (0.8 * math.cos(e), 0.8 * math.sin(e), 0.0)
    x, y, zed = (math.floor((p + 1) / 2 * 10 + 1e-9) for p in point)
    assert int(cells) in {(x * 10 + y) * 10 + zed, (x * 10 + y) * 10 + zed - 1}  # z = 0 is a boundary
    planes = Triplanes(cells=10, samples=1).visible_cells(context, z).flatten().tolist()
    assert planes[0] == x * 10 + y and planes[1] // 10 - 10 == y and planes[2] // 10 - 20 in (zed, zed - 1)


def test_mistakes_are_one_clear_line():
    z = torch.zeros(1, 1, 8, 8, dtype=F64)
    for wrong in ({"cells": 0}, {"directions": 0}, {"samples": 0}, {"radius": 0.0}, {"opaque": 0.0}):
        with pytest.raises(ValueError, match=r"Voxels needs cells, directions >= 1, .*, got"):
            Voxels(**wrong)
    with pytest.raises(ValueError, match="Triplanes needs a context, got none"):
        Triplanes().draw({}, z, None, generator())
    flat = View((0,))
    plain = ms.RenderContext(flat, Rendering(flat, z), z, ms.codec.Identity(), torch.tensor([0]), torch.tensor([0]))
    with pytest.raises(ValueError, match=r"needs the cameras and the depth of a 3D generator, got a View and"):
        Voxels().draw({}, z, plain, generator())
    with pytest.raises(ValueError, match=r"needs square z \(b, c, s, s\), got \(1, 1, 4, 8\); try"):
        Voxels().draw({}, z[:, :, :4], context_of([0.0], 8), generator())
    with pytest.raises(ValueError, match="particle 0 must keep the shape"):
        Voxels().draw({0: torch.zeros(1, 3)}, z, context_of([0.0], 8), generator())
