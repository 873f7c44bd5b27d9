"""Meshes with vertex colours from files."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modeseek.generators.mesh.mesh import Mesh

_LARGEST = 512 * 2**20  # bytes of a file


def read_mesh(path: Path, like: Tensor) -> Mesh:
    """The mesh of a .ply file, colours sRGB; grey where the file has none.

    Args:
        path: of the file.
        like: dtype and device.

    Raises:
        ValueError: trimesh is missing, or no such mesh.
        OSError: the file cannot be read.
    """
    if find_spec("trimesh") is None:
        raise ValueError("a mesh file needs the package trimesh: got none; pip install 'modeseek[mesh]'")
    if path.suffix.lower() != ".ply":
        raise ValueError(f"a mesh is read from a .ply file: got {path.name!r}; a run leaves one in exports/")
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"{path.name} has more than {_LARGEST:,} bytes; reduce the mesh")
    import trimesh

    try:
        with path.open("rb") as file:
            held: Any = trimesh.load(file, file_type="ply", process=False, force="mesh")
        vertices = torch.tensor(np.asarray(held.vertices), dtype=like.dtype)
        faces = torch.tensor(np.asarray(held.faces), dtype=torch.long)
        colours = torch.tensor(np.asarray(held.visual.vertex_colors)[:, :3] / 255.0, dtype=like.dtype)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ValueError(f"{path.name} is no mesh: {reason}; name a .ply file with triangles") from error
    return Mesh(vertices.to(like.device), faces.to(like.device), colours.to(like.device))
