"""Exported meshes as other programs read them, GLB and PLY; depth and normal strips."""

from __future__ import annotations

import importlib.util
import io
import json
import struct

import numpy as np
import pytest
import torch
import trimesh

from modeseek.generators import export
from modeseek.generators.camera import Cameras, CameraView
from modeseek.generators.mesh import read
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.rendering3d import Rendering3D


@pytest.fixture
def mesh(rng: torch.Generator) -> Mesh:
    """A tetrahedron with dark, bright and extreme vertex colours."""
    vertices = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    vertices = vertices + 0.1 * torch.rand(4, 3, generator=rng)
    faces = torch.tensor([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    return Mesh(vertices, faces, torch.tensor([[0.0, 1.0, 0.02], [0.04, 0.5, 0.9], [0.2, 0.3, 0.7], [0.95, 0.1, 0.6]]))


def to_linear(value: float) -> float:
    """sRGB to linear light by IEC 61966-2-1, one number at a time."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def test_a_glb_holds_the_mesh_with_linear_colours(mesh: Mesh) -> None:
    data = export.encode_glb(mesh)
    (found,) = trimesh.load(io.BytesIO(data), file_type="glb").geometry.values()
    np.testing.assert_array_equal(found.vertices.astype(np.float32), mesh.vertices.numpy())
    np.testing.assert_array_equal(found.faces, mesh.faces.numpy())
    assert found.is_watertight and found.volume > 0
    linear = [[to_linear(value) for value in colour] for colour in mesh.colours.tolist()]
    np.testing.assert_allclose(found.visual.vertex_attributes["color"], linear, atol=1e-6)
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    tree = json.loads(data[20 : 20 + size])
    (primitive,) = tree["meshes"][0]["primitives"]
    colour = tree["accessors"][primitive["attributes"]["COLOR_0"]]
    assert kind == b"JSON" and (colour["componentType"], colour["type"], colour["count"]) == (5126, "VEC3", 4)
    assert set(primitive["attributes"]) == {"POSITION", "NORMAL", "COLOR_0"}
    assert tree["extensionsUsed"] == ["KHR_materials_unlit"]
    material = tree["materials"][primitive["material"]]
    assert "KHR_materials_unlit" in material["extensions"] and material["pbrMetallicRoughness"]["metallicFactor"] == 0


def test_ply_holds_the_mesh_with_its_own_colours(mesh: Mesh) -> None:
    found = trimesh.load(io.BytesIO(export.encode_ply(mesh)), file_type="ply", process=False)
    np.testing.assert_allclose(found.vertices, mesh.vertices.numpy(), atol=1e-7)
    np.testing.assert_array_equal(found.faces, mesh.faces.numpy())
    np.testing.assert_array_equal(found.visual.vertex_colors[:, :3], (mesh.colours.numpy() * 255).round())


def test_without_trimesh_one_line_says_what_to_install(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "find_spec", lambda name: None if name == "trimesh" else importlib.util.find_spec(name))
    for write in (export.encode_glb, export.encode_ply):
        with pytest.raises(ValueError, match=r"package trimesh, which is missing; pip install 'modeseek\[mesh\]'"):
            write(mesh)


def test_strips_are_side_by_side_on_white_with_one_depth_scale() -> None:
    """Two frames: in the first the left half at depth 1, in the second the left half at depth 3; background right."""
    zeros = torch.zeros(2)
    view = CameraView((0, 1), Cameras(zeros, zeros, zeros + 2, zeros + 40), 4)
    opacity = torch.zeros(2, 1, 4, 4)
    opacity[..., :2] = 1
    depth = opacity * torch.tensor([1.0, 3.0])[:, None, None, None]
    normal = opacity * torch.tensor([0.0, -1.0, 0.0])[:, None, None]
    strips = export.depth_normal_strips(Rendering3D(view, torch.full((2, 3, 4, 4), 0.25), opacity, depth, normal))
    assert strips.shape == (2, 3, 4, 12)
    image, depth_map, normal_map = strips.split(4, -1)
    assert (image == 0.25).all()
    assert (depth_map[..., 2:] == 1).all() and (normal_map[..., 2:] == 1).all()
    bright, dark = torch.tensor([253, 231, 37]) / 255, torch.tensor([68, 1, 84]) / 255  # the ends of viridis
    torch.testing.assert_close(depth_map[0, :, 0, 0], bright, atol=0.01, rtol=0)
    torch.testing.assert_close(depth_map[1, :, 0, 0], dark, atol=0.01, rtol=0)
    torch.testing.assert_close(normal_map[0, :, 0, 0], torch.tensor([0.5, 0.0, 0.5]))
    empty = Rendering3D(view, torch.ones(2, 3, 4, 4), 0 * opacity, 0 * depth)
    assert (export.depth_normal_strips(empty) == 1).all() and export.depth_normal_strips(empty).shape == (2, 3, 4, 8)
