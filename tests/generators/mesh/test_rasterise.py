"""The rasteriser against ray-triangle intersections in float64, and against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from modeseek.generators.camera import Cameras
from modeseek.generators.mesh import rasterise as module
from modeseek.generators.mesh.rasterise import Fragments, rasterise

Array = np.ndarray


def cameras(*poses: tuple[float, float, float, float]) -> Cameras:
    return Cameras(*torch.tensor(poses, dtype=torch.float64).T)


def rays(pose: tuple[float, float, float, float], size: int) -> tuple[Array, Array, Array]:
    """Eye, ray directions (size, size, 3) with component 1 along the axis, and the axis, from the convention."""
    a, e, distance, fov = math.radians(pose[0]), math.radians(pose[1]), pose[2], math.radians(pose[3])
    back = np.array([math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)])
    right = np.array([math.cos(a), 0.0, -math.sin(a)])
    up = np.cross(back, right)
    at = ((np.arange(size) + 0.5) / size * 2 - 1) * math.tan(fov / 2)
    return distance * back, -back + at[None, :, None] * right - at[:, None, None] * up, -back


def intersect(eye: Array, toward: Array, corners: Array) -> tuple[Array, Array]:
    """Depth (inf: no hit) and barycentric weights of rays and one triangle, by solving eye + t d = sum w corners."""
    system = np.stack(
        [
            np.broadcast_to(corners[1] - corners[0], toward.shape),
            *(np.broadcast_to(x, toward.shape) for x in (corners[2] - corners[0],)),
            -toward,
        ],
        -1,
    )
    with np.errstate(all="ignore"):
        solvable = np.abs(np.linalg.det(system)) > 1e-12
        system[~solvable] = np.eye(3)
        one, two, t = np.moveaxis(np.linalg.solve(system, (eye - corners[0])[:, None])[..., 0], -1, 0)
    weights = np.stack([1 - one - two, one, two], -1)
    return np.where(solvable & (weights >= 0).all(-1) & (t > 1e-3), t, np.inf), weights


def soup(rng: torch.Generator, n: int) -> tuple[Tensor, Tensor]:
    """Triangles around the origin, large and small; some extend behind a camera at distance 1."""
    middle = 1.2 * torch.randn(n, 1, 3, generator=rng, dtype=torch.float64)
    size = torch.logspace(-1, 0.3, n, dtype=torch.float64)[:, None, None]
    corners = middle + size * torch.randn(n, 3, 3, generator=rng, dtype=torch.float64)
    return corners.reshape(-1, 3), torch.arange(3 * n).reshape(n, 3)


def dense_maps(fragments: Fragments, n: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Face (-1: none), depth and weights of every pixel."""
    face, depth = torch.full((n * size * size,), -1), torch.zeros(n * size * size, dtype=fragments.depth.dtype)
    weights = torch.zeros(n * size * size, 3, dtype=fragments.depth.dtype)
    face[fragments.pixel], depth[fragments.pixel], weights[fragments.pixel] = (
        fragments.face,
        fragments.depth,
        fragments.weights,
    )
    return tuple(values.reshape(n, size, size, *values.shape[1:]) for values in (face, depth, weights))


@pytest.mark.parametrize("fov", [40.0, 120.0])
def test_every_pixel_sees_the_first_hit_of_its_ray(rng: torch.Generator, fov: float) -> None:
    size, poses = 32, ((0.0, 0.0, 1.0, fov), (130.0, -35.0, 3.0, fov), (-70.0, 90.0, 2.0, fov))
    vertices, faces = soup(rng, 40)
    face, depth, weights = dense_maps(rasterise(vertices, faces, cameras(*poses), size), 3, size)
    behind = 0
    for k, pose in enumerate(poses):
        eye, toward, axis = rays(pose, size)
        each = [intersect(eye, toward, vertices[f].numpy()) for f in faces]
        along = (vertices.numpy() - eye) @ axis
        behind += ((along.reshape(-1, 3).min(1) < 0) & (along.reshape(-1, 3).max(1) > 0)).sum()
        depths = np.stack([d for d, _ in each])
        nearest = depths.min(0)
        assert ((face[k] >= 0).numpy() == (nearest < np.inf)).all()
        hit = nearest < np.inf
        np.testing.assert_allclose(depth[k].numpy()[hit], nearest[hit], rtol=1e-6)
        assert (face[k].numpy()[hit] == depths.argmin(0)[hit]).all()
        shares = np.stack([w for _, w in each])[depths.argmin(0), *np.indices((size, size))]
        np.testing.assert_allclose(weights[k].numpy()[hit], shares[hit], atol=1e-8)
        assert 50 < hit.sum()
    assert behind > 10  # triangles across the camera plane are included


def test_the_near_plane_hides_what_is_behind_the_camera() -> None:
    triangle = torch.tensor([[-9.0, -9, 0], [9, -9, 0], [0, 18, 0]])
    face = torch.tensor([[0, 1, 2]])
    seen = rasterise(triangle + torch.tensor([0.0, 0, 5]), face, cameras((0.0, 0.0, 3.0, 50.0)), 8)  # behind
    assert len(seen.pixel) == 0
    seen = rasterise(triangle, face, cameras((0.0, 0.0, 3.0, 50.0)), 8)
    assert len(seen.pixel) == 64
    torch.testing.assert_close(seen.depth, torch.full((64,), 3.0))


def test_a_face_that_extends_behind_the_camera_is_fully_visible() -> None:
    """Its corner behind lies on the axis: the visible part is outside the bounding box of its corners."""
    corners, pose, size = (
        torch.tensor([[1.0, -0.93, 2], [1.1, 0.87, 2], [0, 0, 4]]).double(),
        (0.0, 0.0, 3.0, 120.0),
        32,
    )
    face, depth, _ = dense_maps(rasterise(corners, torch.tensor([[0, 1, 2]]), cameras(pose), size), 1, size)
    eye, toward, _ = rays(pose, size)
    true, _ = intersect(eye, toward, corners.numpy())
    assert ((face[0] >= 0).numpy() == (true < np.inf)).all() and (true[:, 28:] < 0.6).any()
    np.testing.assert_allclose(depth[0].numpy()[true < np.inf], true[true < np.inf], rtol=1e-6)


def sphere(radius: float, rows: int = 48) -> tuple[Tensor, Tensor]:
    """A closed sphere of latitudes and longitudes, corners counter-clockwise from outside."""
    vertices, faces = [[0.0, radius, 0.0]], []
    for i in range(1, rows):
        for k in range(2 * rows):
            e, a = math.pi * i / rows, math.pi * k / rows
            vertices.append(
                [radius * math.sin(e) * math.sin(a), radius * math.cos(e), radius * math.sin(e) * math.cos(a)]
            )
    vertices.append([0.0, -radius, 0.0])
    at = lambda i, k: 1 + (i - 1) * 2 * rows + k % (2 * rows)  # noqa: E731
    for k in range(2 * rows):
        faces += [[0, at(1, k), at(1, k + 1)], [len(vertices) - 1, at(rows - 1, k + 1), at(rows - 1, k)]]
        for i in range(1, rows - 1):
            faces += [[at(i, k), at(i + 1, k), at(i + 1, k + 1)], [at(i, k), at(i + 1, k + 1), at(i, k + 1)]]
    return torch.tensor(vertices), torch.tensor(faces)


def test_a_ball_has_its_silhouette_without_a_gap_and_its_depth() -> None:
    vertices, faces = sphere(0.5)
    size, distance, fov = 96, 2.5, 40.0
    poses = [(a, e, distance, fov) for a, e in ((0.0, 0.0), (77.0, 50.0), (200.0, -90.0))]
    fragments = rasterise(vertices, faces, cameras(*poses), size)
    culled = rasterise(vertices, faces, cameras(*poses), size, cull=True)
    assert torch.equal(fragments.pixel, culled.pixel) and torch.equal(fragments.face, culled.face)
    face, depth, _ = dense_maps(fragments, 3, size)
    at = ((torch.arange(size) + 0.5) / size * 2 - 1) * math.tan(math.radians(fov / 2))
    off = (at**2 + at[:, None] ** 2).sqrt()
    edge = 0.5 / math.sqrt(distance**2 - 0.5**2)  # tangent of the cone around the ball
    for k in range(3):
        assert (face[k] >= 0)[off < 0.99 * edge].all() and not (face[k] >= 0)[off > edge].any()
    # |eye + z d| = r with d = (u, v, 1) and the eye at -distance along the axis.
    square = off**2 + 1
    true = (distance - (distance**2 - square * (distance**2 - 0.25)).clamp(min=0).sqrt()) / square
    inner = off < 0.9 * edge
    torch.testing.assert_close(depth[:, inner], true[inner].expand(3, -1), atol=3e-3, rtol=0)


def test_corners_on_pixels_leave_no_gap_and_the_lowest_index_wins_ties() -> None:
    size, n = 16, 16
    ticks = ((torch.arange(n) + 0.5) / n * 2 - 1) * math.tan(math.radians(20)) * 2  # pixel centres, at depth 2
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    vertices = torch.stack([x, y, torch.zeros_like(x)], -1).reshape(-1, 3)
    corner = (torch.arange(n - 1)[:, None] * n + torch.arange(n - 1)).flatten()
    faces = torch.cat(
        [torch.stack([corner, corner + 1, corner + n + 1], 1), torch.stack([corner, corner + n + 1, corner + n], 1)]
    )
    seen = rasterise(vertices, faces, cameras((0.0, 0.0, 2.0, 40.0)), size)
    face, depth, _ = dense_maps(seen, 1, size)
    assert (face[0, 1:-1, 1:-1] >= 0).all()  # pixels on the border of the sheet may be just outside
    assert (depth[face >= 0] - 2).abs().max() < 1e-5
    twice = rasterise(vertices, torch.cat([faces, faces.flip(0)]), cameras((0.0, 0.0, 2.0, 40.0)), size)
    assert torch.equal(twice.face, seen.face)


def test_faces_without_area_are_never_visible() -> None:
    vertices = torch.tensor([[-1.0, -1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]], requires_grad=True)
    faces = torch.tensor([[0, 1, 2], [0, 0, 1], [2, 2, 2], [0, 1, 3]])
    seen = rasterise(vertices, faces, cameras((0.0, 0.0, 3.0, 60.0), (45.0, 0.0, 3.0, 60.0)), 31)
    assert len(seen.pixel) and (seen.face == 3).all()
    assert seen.weights.isfinite().all() and seen.depth.isfinite().all()
    (seen.depth.sum() + seen.weights.square().sum()).backward()
    assert vertices.grad is not None and vertices.grad.isfinite().all()


def test_many_small_chunks_equal_one(rng: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    vertices, faces = soup(rng, 30)
    one = rasterise(vertices, faces, cameras((20.0, 10.0, 3.0, 60.0)), 20)
    monkeypatch.setattr(module, "_PAIRS", 97)
    many = rasterise(vertices, faces, cameras((20.0, 10.0, 3.0, 60.0)), 20)
    assert torch.equal(one.pixel, many.pixel) and torch.equal(one.face, many.face)


def test_weights_and_depth_are_differentiable_in_the_vertices(rng: torch.Generator) -> None:
    vertices = torch.tensor([[-2.0, -2, 0.3], [2, -2, 0], [0, 3, -0.4]], dtype=torch.float64)  # covers every pixel
    faces = torch.tensor([[0, 1, 2]])

    def outputs(points: Tensor) -> Tensor:
        fragments = rasterise(points, faces, cameras((10.0, 5.0, 4.0, 20.0)), 4)
        assert len(fragments.pixel) == 16
        return torch.cat([fragments.weights, fragments.depth[:, None]], 1)

    assert torch.autograd.gradcheck(outputs, vertices.requires_grad_(), eps=1e-6, atol=1e-7)
