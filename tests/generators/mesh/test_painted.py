"""Textures that are optimised: renders, recovery of a known texture in the atlas, seams, and exports."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor, nn

import modeseek as ms
from modeseek.generators import AtlasTexture, Cameras, Dense, FieldTexture, Fourier, SurfaceTexture
from modeseek.generators.export_mesh import encode_textured
from modeseek.generators.mesh.atlas import Atlas, texels, unwrap
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.placement import MeshPlacement
from modeseek.generators.mesh.surface_points import SurfacePoints, vertex_points
from modeseek.generators.mesh.texture import bake_texture
from modeseek.rng import Streams

SIDE = 64  # texels
ORBIT = ms.Orbit(elevation=(-80.0, 80.0))


def cube() -> Mesh:
    model = trimesh.creation.box((1.0, 1.0, 1.0)).subdivide()
    vertices = torch.tensor(model.vertices.view(np.ndarray), dtype=torch.float32)
    return Mesh(vertices, torch.tensor(model.faces.view(np.ndarray)), torch.full_like(vertices, 0.5))


MESH = cube()


def truth(points: Tensor) -> Tensor:
    return torch.stack(
        [0.5 + 0.4 * (3 * p).sin() for p in (points[:, 0] + points[:, 2], points[:, 1], points[:, 2])], -1
    )


class Known(SurfaceTexture):
    """The known texture."""

    def forward(self, points: SurfacePoints) -> Tensor:
        return truth(points.positions)


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return unwrap(MESH, SIDE)


def test_a_pixel_shows_the_texture_at_the_point_that_it_sees() -> None:
    painted = ms.PaintedMesh(MESH, Known(), samples=1, size=33)
    front = Cameras(*(torch.tensor([value]) for value in (0.0, 0.0, 2.0, 45.0)))
    rendering = painted(painted.view_from(front))
    tangent = math.tan(math.radians(22.5))
    ticks = ((2 * torch.arange(33) + 1) / 33 - 1) * tangent * 1.5  # the front face lies 1.5 before the camera
    y, x = torch.meshgrid(-ticks, ticks, indexing="ij")
    inside = (x.abs() < 0.499) & (y.abs() < 0.499)
    wanted = truth(torch.stack([x, y, torch.full_like(x, 0.5)], -1).reshape(-1, 3)).view(33, 33, 3).permute(2, 0, 1)
    assert torch.allclose(rendering.image[0][:, inside], wanted[:, inside], atol=1e-5)
    assert (rendering.image[0][:, (x.abs() > 0.51) | (y.abs() > 0.51)] == 1).all(), "white background"


def test_the_views_of_a_batch_are_those_of_singles() -> None:
    painted = ms.PaintedMesh(MESH, FieldTexture(Fourier(Streams(0))), size=16)
    view = painted.view(4, Streams(3, 1, (0, 1, 2, 3)))
    whole = painted(view).image
    for row in range(4):
        assert torch.allclose(painted(view.select(slice(row, row + 1))).image[0], whole[row], atol=1e-6)


def test_a_texel_gets_the_weight_of_the_look_up(atlas: Atlas) -> None:
    texture = AtlasTexture(atlas, SIDE, Streams(0), torch.empty(0, dtype=torch.float64))
    rng = torch.Generator().manual_seed(0)
    weights = torch.rand(50, 3, generator=rng, dtype=torch.float64)
    weights = weights / weights.sum(1, keepdim=True)
    points = SurfacePoints(
        torch.randint(len(MESH.faces), (50,), generator=rng), weights, MESH.faces, MESH.vertices.double()
    )
    uv = (weights[..., None] * atlas.uv.double()[atlas.faces[points.face]]).sum(1)
    image = texture.logits.detach().sigmoid().view(SIDE, SIDE, 3).permute(2, 0, 1)
    grid = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]], -1)[None, None]
    wanted = nn.functional.grid_sample(image[None], grid, align_corners=False, padding_mode="border")[0, :, 0].T
    assert torch.allclose(texture(points), wanted, atol=1e-12)


def recovered(texture: SurfaceTexture, rate: float, steps: int) -> ms.PaintedMesh:
    """A mesh whose texture was fitted to renders of the known one."""
    target, painted = (ms.PaintedMesh(MESH, each, size=32, orbit=ORBIT) for each in (Known(), texture))
    optimizer = torch.optim.Adam(painted.parameters(), lr=rate)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * 0.05 ** (step / steps)
        view = painted.view(2, Streams(0, step, (0, 1)))
        with torch.no_grad():
            wanted = target(view).image
        optimizer.zero_grad()
        (painted(view).image - wanted).square().sum().backward()
        optimizer.step()
    return painted


@pytest.mark.parametrize("kind", ["field", "atlas"])
def test_a_known_texture_is_recovered_in_the_atlas(kind: str, atlas: Atlas) -> None:
    field = kind == "field"
    texture = FieldTexture(Dense((20,))) if field else AtlasTexture(atlas, SIDE, Streams(1))
    painted = recovered(texture, 0.25 if field else 0.4, 40 if field else 65)
    size = 128
    found = bake_texture(MESH, size, painted.surface_colours(MESH), atlas).image
    wanted = bake_texture(MESH, size, Known(), atlas).image
    of_surface = texels(MESH, atlas, size)
    inside = of_surface.index[of_surface.points.weights.amin(1) >= 0]
    error = (found - wanted).flatten(1)[:, inside].square().mean().item()
    assert -10 * math.log10(error) >= 30, "dB"
    assert 255 * seam_difference(found, atlas) <= 2, "of 255"


def seam_difference(image: Tensor, atlas: Atlas) -> float:
    """Mean difference of look-ups on both sides of every edge whose faces lie apart, edge by edge."""
    places: dict[frozenset[tuple[float, ...]], list[dict[tuple[float, ...], Tensor]]] = {}
    for face in atlas.faces.tolist():
        for first, second in ((0, 1), (1, 2), (2, 0)):
            ends = {tuple(MESH.vertices[atlas.origin[face[k]]].tolist()): atlas.uv[face[k]] for k in (first, second)}
            places.setdefault(frozenset(ends), []).append(ends)
    sides: tuple[list[Tensor], list[Tensor]] = ([], [])
    share = torch.linspace(0.03, 0.97, 15)[:, None]
    for ends, (one, other) in places.items():
        start, end = ends
        if not (torch.equal(one[start], other[start]) and torch.equal(one[end], other[end])):
            for side, uv in zip(sides, (one, other), strict=True):
                side.append(uv[start] * (1 - share) + uv[end] * share)
    looked = []
    for side in sides:
        uv = torch.cat(side)
        grid = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]], -1)[None, None]
        pixels = (255 * image).round()[None] / 255
        looked.append(nn.functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)[0, :, 0])
    return (looked[0] - looked[1]).abs().mean().item()


def test_texels_of_noise_agree_across_seams(atlas: Atlas) -> None:
    texture = AtlasTexture(atlas, SIDE, Streams(2))
    with torch.no_grad():
        texture.logits.mul_(20)

    def image(each: AtlasTexture) -> Tensor:
        return each.logits.detach().sigmoid().view(SIDE, SIDE, 3).permute(2, 0, 1)

    before, after = image(texture), image(texture.finished())
    assert 255 * seam_difference(before, atlas) > 10 and 255 * seam_difference(after, atlas) < 2
    assert ((before - after).abs().amax(0) < 1e-6).float().mean() > 0.5, "texels away from seams stay as they are"
    baked = bake_texture(MESH, 256, texture, atlas).image
    assert 255 * seam_difference(baked, atlas) < 2


def test_texels_beside_a_chart_continue_it(atlas: Atlas) -> None:
    found = texels(MESH, atlas, SIDE)
    centres = torch.stack([found.index % SIDE + 0.5, SIDE - 0.5 - found.index // SIDE], -1) / SIDE
    uv = (found.points.weights[..., None] * atlas.uv[atlas.faces[found.points.face]]).sum(1)
    assert torch.allclose(uv, centres, atol=1e-4), "in the plane of the face, also beside it"
    beside = found.points.weights.amin(1) < -1e-3
    assert 0.05 < beside.float().mean() < 0.8
    assert found.nearest.unique().numel() == len(found.index)


def test_vertices_have_their_texture() -> None:
    points = vertex_points(MESH.vertices, MESH.faces)
    assert torch.equal(points.positions, MESH.vertices)
    assert torch.allclose(ms.PaintedMesh(MESH, Known()).mesh.colours, truth(MESH.vertices))


def test_files_have_the_texture_in_the_coordinates_of_the_file() -> None:
    painted = ms.PaintedMesh(MESH, Known(), placement=MeshPlacement((10.0, 0.0, -2.0), 0.5))
    textured, summary = painted.textured_mesh(128)
    assert summary == "48 faces, painted"
    data = encode_textured(textured, "glb")["mesh.glb"]
    assert b"\x89PNG" in data
    model: Any = trimesh.load(io.BytesIO(data), file_type="glb", force="mesh", process=False)
    np.testing.assert_allclose(model.bounds, [[9, -1, -3], [11, 1, -1]], atol=1e-5)
    material = model.visual.material
    assert (material.metallicFactor, material.roughnessFactor) == (0, 1)
    centres, uv = model.triangles_center, model.visual.uv[model.faces].mean(1)
    pixels = np.asarray(material.baseColorTexture.convert("RGB")) / 255
    found = pixels[((1 - uv[:, 1]) * 128).astype(int), (uv[:, 0] * 128).astype(int)]
    wanted = truth(torch.from_numpy((centres - [10, 0, -2]) * 0.5)).numpy()
    assert np.abs(found - wanted).mean() < 0.02
    mesh, _ = painted.extract_mesh()
    assert mesh.vertices.amin(0).tolist() == [9, -1, -3]


def test_the_texture_of_fewer_faces_is_that_of_the_original() -> None:
    coloured = Mesh(MESH.vertices, MESH.faces, (MESH.vertices + 0.5).clamp(0, 1))
    surface = ms.Surface(coloured)
    textured, summary = surface.textured_mesh(64, faces=12)
    assert len(textured.mesh.faces) == 12
    assert "48 faces decimated to 12" in summary and "% of the radius" in summary
    centres = vertex_points(textured.mesh.vertices, textured.mesh.faces).positions
    found = textured.colours(vertex_points(textured.mesh.vertices, textured.mesh.faces))
    assert (found - (centres + 0.5)).abs().max() < 0.1
    nerf = ms.NeRF(Dense((8,)), size=8, samples=4)
    textured, summary = nerf.textured_mesh(32, faces=60, resolution=12)
    assert len(textured.mesh.faces) <= 60 and "decimated to" in summary


def test_bad_arguments_are_refused(atlas: Atlas) -> None:
    with pytest.raises(ValueError, match="a painted mesh needs size >= 1 and 1 to 8 samples"):
        ms.PaintedMesh(MESH, Known(), samples=0)
    with pytest.raises(TypeError, match="a field texture needs a Volume, got Linear; try Fourier or HashGrid"):
        FieldTexture(nn.Linear(3, 3))
    with pytest.raises(ValueError, match="radius of a field texture must be above 0, got 0"):
        FieldTexture(Fourier(Streams(0)), 0.0)
    with pytest.raises(ValueError, match="an atlas texture must have at least 2 texels a side, got 1; try 256"):
        AtlasTexture(atlas, 1, Streams(0))
