"""Textures of meshes, read back by trimesh: the colour at every point of the surface is that of the field."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from torch import Tensor

from modeseek.generators.export_mesh import encode_mesh, encode_textured
from modeseek.generators.mesh import atlas
from modeseek.generators.mesh.extract import DensityField, extract, surface_colours
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.texture import bake_texture

SIZE = 24  # density samples a side


def paint(points: Tensor) -> Tensor:
    """Colours that differ everywhere: red and green by position, blue in bands finer than the mesh."""
    return torch.stack([(points[:, 0] + 1) / 2, (points[:, 1] + 1) / 2, 0.5 + 0.4 * (9 * points[:, 2]).sin()], -1)


def ball(points: Tensor) -> tuple[Tensor, Tensor]:
    """Opaque ball of radius 0.6; the colour of a point is that of the surface below it."""
    radius = points.norm(dim=-1, keepdim=True)
    return 400 * torch.sigmoid(60 * (0.6 - radius[:, 0])), paint(0.6 * points / radius.clamp(min=1e-6))


FIELD = DensityField(ball, 1.0)


@pytest.fixture(scope="module")
def mesh() -> Mesh:
    return extract(FIELD, SIZE).mesh


def load(files: dict[str, bytes], folder: Path) -> Any:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return trimesh.load(folder / list(files)[-1], force="mesh", process=False)


def image_of(model: Any) -> np.ndarray:
    material = model.visual.material
    image = material.baseColorTexture if hasattr(material, "baseColorTexture") else material.image
    return np.asarray(image.convert("RGB"), dtype=float) / 255


def texture_errors(model: Any, colours: Callable[[Tensor], Tensor]) -> np.ndarray:
    """Differences of the texture, looked up at random points of the faces, from the colours of these points."""
    rng = np.random.default_rng(0)
    face = rng.integers(len(model.faces), size=4000)
    weights = rng.dirichlet((1, 1, 1), size=4000)
    corners = model.faces[face]
    points = (weights[..., None] * model.vertices[corners]).sum(1)
    u, v = (weights[..., None] * model.visual.uv[corners]).sum(1).T
    image = image_of(model)
    height, width = image.shape[:2]
    row = np.clip(((1 - v) * height).astype(int), 0, height - 1)
    column = np.clip((u * width).astype(int), 0, width - 1)
    return np.abs(image[row, column] - colours(torch.from_numpy(points).float()).numpy()).max(1)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["glb", "obj"])
def test_a_texture_shows_the_colours_of_the_field(form: str, mesh: Mesh, tmp_path: Path) -> None:
    step = 2 / (SIZE - 1)
    normals = mesh.normals
    baked = bake_texture(
        mesh, 512, lambda points: surface_colours(FIELD, points.positions, points.directions(normals), step)
    )
    model = load(encode_textured(baked, form, "ball"), tmp_path)  # pyright: ignore[reportArgumentType]
    assert model.visual.kind == "texture" and len(model.faces) == len(mesh.faces)
    errors = texture_errors(model, lambda points: paint(0.6 * points / points.norm(dim=-1, keepdim=True)))
    assert np.quantile(errors, 0.99) < 0.03 and errors.max() < 0.1
    corners = mesh.vertices[mesh.faces[:, :2]]
    middle = paint(0.6 * torch.nn.functional.normalize(corners.mean(1), dim=-1))
    between = (mesh.colours[mesh.faces[:, :2]].mean(1) - middle).abs().amax(1)
    assert between.quantile(0.99) > 2 * np.quantile(errors, 0.99), "finer than the vertices"


def test_without_a_field_the_texture_interpolates_the_vertex_colours(mesh: Mesh, tmp_path: Path) -> None:
    linear = Mesh(mesh.vertices, mesh.faces, (mesh.vertices + 1) / 2)
    model = load(encode_textured(bake_texture(linear, 256), "glb"), tmp_path)
    assert texture_errors(model, lambda points: (points + 1) / 2).max() < 0.03


def test_a_glb_with_a_texture_is_unlit_and_trimesh_gives_its_colours(mesh: Mesh, tmp_path: Path) -> None:
    linear = Mesh(mesh.vertices, mesh.faces, (mesh.vertices + 1) / 2)
    data = encode_textured(bake_texture(linear, 256), "glb")["mesh.glb"]
    assert b"KHR_materials_unlit" in data and b"COLOR_0" not in data
    model = trimesh.load(io.BytesIO(data), file_type="glb", force="mesh", process=False)
    found = model.visual.to_color().vertex_colors[:, :3] / 255
    assert np.abs(found - (model.vertices + 1) / 2).max() < 0.05


@pytest.mark.parametrize("form", ["glb", "obj", "ply", "stl"])
def test_every_format_holds_the_mesh(form: str, mesh: Mesh, tmp_path: Path) -> None:
    model = load(encode_mesh(mesh, form), tmp_path)  # pyright: ignore[reportArgumentType]
    assert len(model.faces) == len(mesh.faces)
    assert model.volume == pytest.approx(mesh.volume, rel=1e-4)
    if form in ("obj", "ply"):
        np.testing.assert_allclose(model.visual.vertex_colors[:, :3] / 255, mesh.colours.numpy(), atol=0.005)


def test_bad_textures_are_refused(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="a texture must have 16 to 8192 pixels a side, got 4; try 1024"):
        bake_texture(mesh, 4)
    baked = bake_texture(mesh, 16)
    with pytest.raises(ValueError, match="a texture needs the format glb or obj, got stl"):
        encode_textured(baked, "stl")
    real = importlib.util.find_spec
    monkeypatch.setattr(atlas, "find_spec", lambda name: None if name == "xatlas" else real(name))
    with pytest.raises(ValueError, match=r"package xatlas, which is missing; pip install 'modeseek\[mesh\]'"):
        bake_texture(mesh, 64)
