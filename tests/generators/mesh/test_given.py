"""Mesh files that are given: every format, what is broken in them, decimation, and distances by brute force."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from modeseek.generators.mesh import given
from modeseek.generators.mesh.decimate import decimate
from modeseek.generators.mesh.given import read_given_mesh
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.nearest import NearestPoints, closest_weights, spread_points
from modeseek.generators.mesh.placement import MeshPlacement

LIKE = torch.empty(0, dtype=torch.float64)
BALL = trimesh.creation.icosphere(2)


def scene() -> trimesh.Scene:
    """A ball of radius 1 and, 3 to its right, a unit cube that a transform of the scene puts there."""
    result = trimesh.Scene([BALL])
    move = np.eye(4)
    move[0, 3] = 3
    result.add_geometry(trimesh.creation.box(), transform=move)
    return result


def write(path: Path, vertices: np.ndarray, faces: np.ndarray) -> Path:
    trimesh.Trimesh(vertices, faces, process=False).export(path)
    return path


@pytest.mark.parametrize("suffix", ["glb", "obj", "stl"])
def test_objects_of_a_scene_become_one_mesh_in_the_ball(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"scene.{suffix}"
    scene().export(path)
    found = read_given_mesh(path, LIKE, radius=0.9)
    assert found.remarks == () and found.mesh.closed and len(found.mesh.faces) == len(BALL.faces) + 12
    low, high = found.mesh.vertices.amin(0), found.mesh.vertices.amax(0)
    assert (low + high).abs().max() < 1e-6 and found.mesh.vertices.norm(dim=-1).max() == pytest.approx(0.9)
    assert found.mesh.volume == pytest.approx((BALL.volume + 1) * found.placement.scale**3, rel=1e-5)
    assert "4.5 x 2 x 2 in units of the file with y up" in found.summary
    back = found.placement.restore(found.mesh.vertices)
    assert back.amin(0).tolist() == pytest.approx([-1, -1, -1], abs=1e-5)
    assert back.amax(0).tolist() == pytest.approx([3.5, 1, 1], abs=1e-5)


def test_z_up_is_turned_upright(tmp_path: Path) -> None:
    path = write(tmp_path / "tall.ply", trimesh.creation.box((1, 2, 4)).vertices, trimesh.creation.box().faces)
    tall = read_given_mesh(path, LIKE, up="z").mesh.vertices
    sides = tall.amax(0) - tall.amin(0)
    assert (sides / sides[0]).tolist() == pytest.approx([1, 4, 2])
    tip = np.array([[0.0, -1, 0], [1, 0, 0], [-1, 0, 0], [0, 0, 1]])  # front along -y of a file with z up
    path = write(tmp_path / "tip.ply", tip, np.array([[0, 1, 3], [1, 2, 3], [2, 0, 3], [0, 2, 1]]))
    placed = read_given_mesh(path, LIKE, up="z")
    assert placed.mesh.closed and placed.mesh.volume > 0, "turned, not mirrored"
    assert placed.placement.restore(placed.mesh.vertices)[0].tolist() == pytest.approx([0, 0, 1])


def broken(kind: str) -> tuple[np.ndarray, np.ndarray]:
    vertices, faces = BALL.vertices.view(np.ndarray), BALL.faces.view(np.ndarray).copy()
    if kind == "hole":
        return vertices, np.delete(faces, [0, 200], 0)
    if kind == "inside out":
        return vertices, faces[:, ::-1]
    if kind == "flipped":
        faces[:3] = faces[:3, ::-1]
    if kind == "degenerate":
        faces = np.concatenate([faces, [[0, 0, 1], [5, 5, 5]]])
    if kind == "soup":
        return vertices[faces].reshape(-1, 3), np.arange(faces.size).reshape(-1, 3)
    if kind == "fin":
        return np.concatenate([vertices, [[2, 2, 2]]]), np.concatenate([faces, [[*faces[0, :2], len(vertices)]]])
    return vertices, faces


@pytest.mark.parametrize(
    ("kind", "remark"),
    [
        ("sound", None),
        ("soup", None),
        ("hole", "2 holes with 6 open edges: not closed, so both sides of faces are rendered"),
        ("inside out", "orientation of 320 faces of 320 reversed, which faced inwards"),
        ("flipped", "orientation of 3 faces of 320 reversed, which faced inwards"),
        ("degenerate", "2 faces without area removed"),
        ("fin", "1 edge of more than two faces"),
    ],
)
def test_what_is_broken_is_said_and_repaired(kind: str, remark: str | None, tmp_path: Path) -> None:
    found = read_given_mesh(write(tmp_path / "m.ply", *broken(kind)), LIKE)
    if remark is None:
        assert found.remarks == ()
    else:
        assert f"m.ply: {remark}" in found.remarks
    assert found.mesh.closed == (kind not in ("hole", "fin"))
    if found.mesh.closed:
        assert found.mesh.volume == pytest.approx(BALL.volume * 0.8**3, rel=1e-4), "faces look outwards"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.fbx", b"x", "a mesh to paint must be a .glb, .obj, .ply, .stl file, got 'a.fbx'; convert it to glb"),
        ("a.glb", b"glTFxxxxyyyy", "a.glb is not a mesh: .*; try a file with triangles"),
        ("a.obj", b"", "a.obj is not a mesh: it has no triangles"),
        ("a.obj", b"v 0 0 0\nv 1 1 1\nv 2 2 2\nf 1 2 3\n", "no face with an area, got 1 degenerate faces"),
        ("a.obj", b"v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "its vertices must be finite"),
    ],
)
def test_what_is_no_mesh_is_refused_in_one_line(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_given_mesh(tmp_path / name, LIKE)
    assert "\n" not in str(error.value)


def test_damaged_files_raise_one_line(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for suffix in ("glb", "ply", "stl"):
        data = trimesh.creation.box().export(file_type=suffix)
        for _ in range(12):
            damaged = np.frombuffer(data, np.uint8).copy()
            damaged[rng.integers(len(damaged), size=6)] = rng.integers(256, size=6)
            (tmp_path / f"d.{suffix}").write_bytes(damaged[: rng.integers(1, len(damaged) + 1)].tobytes())
            try:
                read_given_mesh(tmp_path / f"d.{suffix}", LIKE)
            except ValueError as error:
                assert "\n" not in str(error)


def test_too_many_faces_are_refused_or_decimated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "m.stl", BALL.vertices, BALL.faces)
    monkeypatch.setattr(given, "MOST_FACES", 300)
    with pytest.raises(ValueError, match="m.stl has 320 faces, more than 300; try --faces 20000"):
        read_given_mesh(path, LIKE)
    found = read_given_mesh(path, LIKE, faces=100)
    assert len(found.mesh.faces) <= 100
    assert found.remarks[0].startswith("m.stl: 320 faces decimated to 100: distance of the surfaces at most ")


def test_a_placement_needs_an_extent() -> None:
    with pytest.raises(ValueError, match="a mesh must have an extent, got 3 vertices at one point"):
        MeshPlacement.of(torch.ones(3, 3), 0.8)


def as_mesh(model: trimesh.Trimesh) -> Mesh:
    vertices = torch.tensor(model.vertices.view(np.ndarray))
    return Mesh(vertices, torch.tensor(model.faces.view(np.ndarray)), torch.full_like(vertices, 0.5))


def test_the_nearest_point_of_a_triangle_is_that_of_a_fine_search() -> None:
    rng = torch.Generator().manual_seed(0)
    corners = torch.randn(60, 3, 3, generator=rng, dtype=torch.float64)
    points = 2 * torch.randn(60, 3, generator=rng, dtype=torch.float64)
    weights = closest_weights(points, corners)
    assert weights.min() >= 0 and torch.allclose(weights.sum(-1), torch.ones(60).double())
    found = ((weights[..., None] * corners).sum(1) - points).norm(dim=-1)
    steps = 60
    grid = (
        torch.tensor([(i, j, steps - i - j) for i in range(steps + 1) for j in range(steps + 1 - i)]).double() / steps
    )
    searched = (torch.einsum("gk,tkc->tgc", grid, corners) - points[:, None]).norm(dim=-1).amin(1)
    side = (corners - corners.roll(1, 1)).norm(dim=-1).amax(1)
    assert (found <= searched + 1e-12).all() and (searched - found <= 1.2 * side / steps).all()


def test_the_nearest_point_of_a_mesh_is_that_of_all_faces() -> None:
    mesh = as_mesh(trimesh.creation.icosphere(1))
    points = torch.randn(200, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = NearestPoints(mesh)(points).positions
    everywhere = closest_weights(points[:, None].expand(-1, 80, -1), mesh.corners[None].expand(200, -1, -1, -1))
    distance = ((everywhere[..., None] * mesh.corners).sum(2) - points[:, None]).norm(dim=-1).amin(1)
    assert torch.allclose((found - points).norm(dim=-1), distance, atol=1e-12)


def test_spread_points_share_the_area() -> None:
    box = as_mesh(trimesh.creation.box((1, 2, 4)))
    points = spread_points(box, 5600)
    on = [(points[:, axis].abs() - side / 2).abs() < 1e-9 for axis, side in enumerate((1, 2, 4))]
    shares = [part.double().mean().item() for part in on]
    assert shares == pytest.approx([8 / 14, 4 / 14, 2 / 14], abs=0.002)
    assert points[on[0]].mean(0).abs().max() < 0.05


def test_decimation_states_its_deviation() -> None:
    fine = as_mesh(trimesh.creation.icosphere(4))
    small = decimate(fine, 320)
    assert len(small.mesh.faces) == 320 and small.mesh.closed and small.before == 5120
    # A chord of 320 equal faces lies 1 to 2 % below the sphere; no point is farther out than it.
    heights = (small.mesh.corners.mean(1).norm(dim=-1) - 1).abs()
    assert 0.004 < small.there < 0.04 and small.there == pytest.approx(heights.max().item(), rel=0.6)
    assert small.mean < small.there and small.hausdorff >= small.back
    assert f"{small.hausdorff:.2%} of the radius" in small.summary
    assert decimate(fine, 6000).mesh is fine
    with pytest.raises(ValueError, match="faces must be at least 4, got 3; try 20000"):
        decimate(fine, 3)
