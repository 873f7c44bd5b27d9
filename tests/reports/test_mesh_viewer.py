"""Data of the mesh viewer: what its script decodes is the mesh, to the 16 bits of its positions."""

from __future__ import annotations

import base64
from dataclasses import replace

import numpy as np
import pytest
import torch

from modeseek.generators.mesh.mesh import Mesh
from modeseek.reports.mesh_viewer import MeshView
from modeseek.reports.page import render_fragment


def surface(n: int, flat: bool = False) -> Mesh:
    """A grid of n x n vertices over [-1, 3] x [0, 2], bent unless flat."""
    x, y = torch.meshgrid(torch.linspace(-1, 3, n), torch.linspace(0, 2, n), indexing="ij")
    z = torch.zeros_like(x) if flat else 5 + torch.sin(2 * x) * y
    index = torch.arange(n * n).view(n, n)
    a, b, c, d = (part.flatten() for part in (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]))
    faces = torch.cat([torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)])
    vertices = torch.stack([x, y, z], -1).reshape(-1, 3)
    return Mesh(vertices, faces, torch.linspace(0, 1, 3 * n * n).view(-1, 3))


@pytest.mark.parametrize(("n", "flat"), [(9, False), (9, True), (256, False), (257, False)])
def test_the_arrays_are_the_mesh(n: int, flat: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modeseek.reports.mesh_viewer.render_still", lambda mesh: b"")
    mesh = surface(n, flat)
    arrays = {name: base64.b64decode(text) for name, text in MeshView.of(mesh, "a surface").arrays.items()}
    low, high = np.frombuffer(arrays["corners"], "<f4").reshape(2, 3).astype(float)
    steps = np.frombuffer(arrays["places"], "<u2").reshape(-1, 3)
    assert steps.max() == 65535 and steps.min() == 0
    places = low + (high - low) * steps / 65535
    assert (np.abs(places - mesh.vertices.numpy()) <= (high - low) / 65535 * 0.6 + 1e-6).all()
    faces = np.frombuffer(arrays["faces"], "<u2" if n * n <= 65536 else "<u4").reshape(-1, 3)
    assert (faces == mesh.faces.numpy()).all()
    colours = np.frombuffer(arrays["colours"], np.uint8).reshape(-1, 3) / 255
    assert np.abs(colours - mesh.colours.numpy()).max() <= 0.5 / 255 + 1e-6


def test_a_viewer_can_be_embedded_in_another_page() -> None:
    html = render_fragment("model", "model_view", MeshView.of(surface(4), "<b>"))
    assert html.strip().startswith("<figure class='model' data-kind='mesh' data-places='") and html.strip().endswith(
        "</figure>"
    )
    assert "&lt;b&gt;, 18 faces" in html and "<b>" not in html and "{{" not in html


def test_a_texture_has_its_shading_already_and_starts_without_light() -> None:
    plain = MeshView.of(surface(4), "a surface")
    textured = replace(plain, arrays={**plain.arrays, "texture": "UklGRg=="})
    for model, pressed in ((plain, "true"), (textured, "false")):
        assert f"data-do='light' aria-pressed='{pressed}'" in render_fragment("model", "model_view", model)
