"""Meshes: closed surfaces."""

from __future__ import annotations

import torch

from modeseek.generators.mesh.mesh import Mesh


def test_a_closed_mesh_and_an_open_one() -> None:
    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    faces = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    assert Mesh(corners, faces, corners).closed
    assert not Mesh(corners, faces[:3], corners).closed
    turned = faces.clone()
    turned[3] = faces[3].flip(0)
    assert not Mesh(corners, turned, corners).closed
