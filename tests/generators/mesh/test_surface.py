"""Mesh generator: renders, gradients, and optimisation by a method."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import modeseek as ms
from modeseek.generators.background import Background
from modeseek.generators.base import Generator, render
from modeseek.generators.camera import Cameras, CameraView
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.surface import Surface
from modeseek.generators.rendering3d import Rendering3D
from modeseek.rng import Rng


def octahedron(subdivided: int = 0, dtype: torch.dtype = torch.float32) -> Mesh:
    """A closed octahedron, or a sphere by subdivision."""
    vertices = [(1.0, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    faces = [(0, 2, 4), (2, 1, 4), (1, 3, 4), (3, 0, 4), (2, 0, 5), (1, 2, 5), (3, 1, 5), (0, 3, 5)]
    points = [torch.tensor(v, dtype=dtype) for v in vertices]
    for _ in range(subdivided):
        halves: dict[tuple[int, int], int] = {}

        def half(a: int, b: int, halves: dict[tuple[int, int], int] = halves) -> int:
            key = (min(a, b), max(a, b))
            if key not in halves:
                halves[key] = len(points)
                middle = points[a] + points[b]
                points.append(middle / middle.norm())
            return halves[key]

        faces = [
            f
            for a, b, c in faces
            for ab, bc, ca in [(half(a, b), half(b, c), half(c, a))]
            for f in [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        ]
    corners = torch.stack(points)
    return Mesh(corners / 2, torch.tensor(faces), (corners + 1) / 2)


def view(*poses: tuple[float, float], size: int = 16, dtype: torch.dtype = torch.float32) -> CameraView:
    azimuth, elevation = torch.tensor(poses, dtype=dtype).T
    n = len(poses)
    distance, fov = torch.full((n,), 2.5, dtype=dtype), torch.full((n,), 40.0, dtype=dtype)
    return CameraView(tuple(range(n)), Cameras(azimuth, elevation, distance, fov), size)


class Fixed(Surface):
    """A surface with a fixed view."""

    fixed_view: CameraView

    def view(self, n: int, rng: Rng) -> CameraView:
        return self.fixed_view


def surface(mesh: Mesh, fixed_view: CameraView, **options: Any) -> Surface:
    generator = Fixed(mesh, size=fixed_view.size, **options)
    generator.fixed_view = fixed_view
    return generator


def test_it_is_a_generator_and_renders_in_3d() -> None:
    camera_view = view((0.0, 0.0), (90.0, 30.0), size=32)
    generator = surface(octahedron(3), camera_view, background=Background(colour=(0.2, 0.4, 0.6)))
    assert isinstance(generator, Generator) and generator.view(2, torch.Generator()) is camera_view
    rendering = render(generator, generator.view_from(camera_view.cameras, normals=True))
    assert render(generator, camera_view).normal is None
    assert isinstance(rendering, Rendering3D) and rendering.ray_samples is None and rendering.grids == ()
    assert rendering.image.shape == (2, 3, 32, 32) and rendering.opacity.shape == rendering.depth.shape == (
        2,
        1,
        32,
        32,
    )
    torch.testing.assert_close(rendering.image[:, :, 0, 0], torch.tensor([0.2, 0.4, 0.6]).expand(2, 3))
    assert (
        rendering.normal is not None
        and (rendering.opacity[:, :, 0, 0] == 0).all()
        and (rendering.depth[:, :, 0, 0] == 0).all()
    )
    # From the front: the middle is the point (0, 0, 1/2), whose colour is (1/2, 1/2, 1), and its normal +z.
    torch.testing.assert_close(
        rendering.image[0, :, 15:17, 15:17].mean((1, 2)), torch.tensor([0.5, 0.5, 1.0]), atol=0.02, rtol=0
    )
    torch.testing.assert_close(
        rendering.normal[0, :, 15:17, 15:17].mean((1, 2)), torch.tensor([0, 0, 1.0]), atol=0.02, rtol=0
    )
    assert rendering.depth[0, 0, 15:17, 15:17].mean().item() == pytest.approx(2.0, abs=0.01)
    # Right in the image is +x, so red; up is +y, so green.
    row, column = rendering.image[0, :, 16], rendering.image[0, :, :, 16]
    assert row[0, 20] > row[0, 12] and column[1, 12] > column[1, 20]


def test_opacity_has_the_area_of_the_silhouette_and_sub_pixels_are_averaged() -> None:
    camera_view = view((20.0, 10.0), size=24)
    tangent = math.tan(math.radians(20))
    share = math.pi * (0.5 / math.sqrt(2.5**2 - 0.25) / tangent) ** 2 / 4
    mesh = octahedron(4)
    for samples, tolerance in ((1, 0.05), (4, 0.01)):
        rendering = surface(mesh, camera_view, samples=samples)(camera_view)
        assert rendering.opacity.mean().item() == pytest.approx(share, rel=tolerance)
        levels = rendering.opacity.unique() * samples**2
        torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    fine = surface(mesh, camera_view, samples=1)(view((20.0, 10.0), size=72))
    pooled = torch.nn.functional.avg_pool2d(fine.image, 3)
    torch.testing.assert_close(surface(mesh, camera_view, samples=3)(camera_view).image, pooled, atol=1e-6, rtol=0)
    deep = torch.nn.functional.avg_pool2d(fine.depth, 3) / torch.nn.functional.avg_pool2d(fine.opacity, 3).clamp(
        min=0.01
    )
    torch.testing.assert_close(surface(mesh, camera_view, samples=3)(camera_view).depth, deep, atol=1e-5, rtol=0)


def test_the_gradient_of_the_colours_is_exact() -> None:
    camera_view = view((30.0, 20.0), (200.0, -50.0), size=8, dtype=torch.float64)
    generator = surface(octahedron(1, torch.float64), camera_view)
    weight = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def value() -> Tensor:
        return (generator(camera_view).image.sin() * weight).sum()

    value().backward()
    grad, numeric = generator.logits.grad, torch.zeros_like(generator.logits)
    with torch.no_grad():
        for k in range(generator.logits.numel()):
            for sign in (1, -1):
                generator.logits.view(-1)[k] += sign * 1e-5
                numeric.view(-1)[k] += sign * value() / 2e-5
                generator.logits.view(-1)[k] -= sign * 1e-5
    assert grad is not None and grad.abs().max() > 0.1
    torch.testing.assert_close(grad, numeric, atol=1e-8, rtol=1e-6)


def test_a_mesh_out_of_view_shows_the_background() -> None:
    mesh = octahedron()
    camera_view = view((0.0, 0.0))
    away = Mesh(mesh.vertices + torch.tensor([9.0, 0, 0]), mesh.faces, mesh.colours)
    generator = surface(away, camera_view)
    rendering = generator(generator.view_from(camera_view.cameras, normals=True))
    assert (
        (rendering.image == 1).all()
        and (rendering.opacity == 0).all()
        and (rendering.depth == 0).all()
        and (rendering.normal == 0).all()
    )
    rendering.image.sum().backward()
    assert generator.logits.grad is not None and (generator.logits.grad == 0).all()


def test_an_open_mesh_shows_its_back() -> None:
    mesh = octahedron()
    lid = Mesh(mesh.vertices, mesh.faces[[0, 1, 2, 3]], mesh.colours)  # the four faces towards +z
    camera_view = view((180.0, 0.0))
    assert mesh.closed and not lid.closed
    assert (
        surface(lid, camera_view)(camera_view).opacity.sum()
        == surface(mesh, camera_view)(camera_view).opacity.sum()
        > 5
    )


def test_colours_and_mesh_survive_a_state_dict() -> None:
    mesh = octahedron(1)
    generator = surface(mesh, view((0.0, 0.0)))
    torch.testing.assert_close(generator.mesh.colours, mesh.colours.clamp(1 / 512, 1 - 1 / 512))
    assert torch.equal(generator.mesh.vertices, mesh.vertices) and torch.equal(generator.mesh.faces, mesh.faces)
    other = surface(Mesh(2 * mesh.vertices, mesh.faces, 1 - mesh.colours), view((0.0, 0.0)))
    other.load_state_dict(generator.state_dict())
    assert torch.equal(other.mesh.colours, generator.mesh.colours) and torch.equal(other.vertices, mesh.vertices)
    with pytest.raises(ValueError, match="1 to 8 samples along each side of a pixel, got size=16, samples=0"):
        surface(mesh, view((0.0, 0.0)), samples=0)


def test_mean_shift_moves_colours_to_the_nearest_mode(rng: torch.Generator) -> None:
    """A prior of two images of one view: the colours converge to the nearer image."""
    camera_view = view((0.0, 0.0), size=12)
    mesh = octahedron(2)
    colours = [torch.tensor(c).expand(len(mesh.vertices), 3) for c in ([0.9, 0.2, 0.1], [0.1, 0.2, 0.9])]
    data = torch.cat(
        [surface(Mesh(mesh.vertices, mesh.faces, c), camera_view)(camera_view).image.detach() for c in colours]
    )
    generator = surface(Mesh(mesh.vertices, mesh.faces, 0.6 * colours[0] + 0.4 * colours[1]), camera_view)
    prior = ms.Empirical(data, schedule=ms.VE(0.01, 10.0))
    method = ms.MSD(bandwidth=ms.Fixed(0.5))
    optimizer = torch.optim.Adam(generator.parameters(), lr=0.1)
    for _ in ms.distill(generator, prior, method, optimizer, steps=60, rng=rng):
        pass
    torch.testing.assert_close(generator(camera_view).image.detach(), data[:1], atol=0.05, rtol=0)


def test_a_view_is_sampled_item_by_item(rng: torch.Generator) -> None:
    generator = Surface(octahedron(), size=8, background=Background("random"), normals=True)
    four = generator.view(4, ms.Streams(3, items=(0, 1, 2, 3)))
    one = generator.view(1, ms.Streams(3, items=(2,)))
    for part in ("azimuth", "elevation", "distance", "fov"):
        assert torch.equal(getattr(four.cameras, part)[2:3], getattr(one.cameras, part))
    assert four.backdrop is not None and one.backdrop is not None and torch.equal(four.backdrop[2:3], one.backdrop)
    rendering = generator(four)
    torch.testing.assert_close(rendering.image[:, :, 0, 0], four.backdrop)  # the mesh covers no corner
    assert rendering.normal is not None and rendering.view is four
    torch.testing.assert_close(generator(one).image, rendering.image[2:3])
    assert not generator.view(1, rng).cameras.azimuth.equal(generator.view(1, rng).cameras.azimuth)


def test_the_background_of_a_volume_is_reused() -> None:
    learned = Background("learned", (0.3, 0.5, 0.7))
    generator = Surface(octahedron(), size=8, background=learned)
    rendering = generator(generator.view_from(view((40.0, 0.0)).cameras))
    torch.testing.assert_close(rendering.image[0, :, 0, 0], torch.tensor([0.3, 0.5, 0.7]))
    rendering.image.sum().backward()
    assert learned.raw.grad is not None and learned.raw.grad.abs().sum() > 0
