"""Reading of mesh files with vertex colours."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.texture import TexturedMesh
from modeseek.io.errors import reason

MAX_BYTES = 512 * 2**20  # largest file that is read


def import_trimesh() -> Any:
    """Returns the package trimesh; raises ValueError if it is missing."""
    if find_spec("trimesh") is None:
        raise ValueError("a mesh file needs the package trimesh, which is missing; pip install 'modeseek[mesh]'")
    import trimesh

    return trimesh


def read_mesh(path: Path, like: Tensor) -> Mesh:
    """Reads the mesh of a .ply file, sRGB colours; grey if the file has none.

    Args:
        path: path of the .ply file.
        like: tensor whose dtype and device the mesh takes.

    Raises:
        ValueError: trimesh is missing, or the file is not a mesh.
        OSError: the file cannot be read.
    """
    trimesh = import_trimesh()
    if path.suffix.lower() != ".ply":
        raise ValueError(f"a mesh must be a .ply file, got {path.name!r}; a run exports one to exports/")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name} has more than {MAX_BYTES:,} bytes; simplify the mesh")
    try:
        with path.open("rb") as file:
            model: Any = trimesh.load(file, file_type="ply", process=False, force="mesh")
        vertices = torch.tensor(np.asarray(model.vertices), dtype=like.dtype)
        faces = torch.tensor(np.asarray(model.faces), dtype=torch.long)
        colours = torch.tensor(np.asarray(model.visual.vertex_colors)[:, :3] / 255.0, dtype=like.dtype)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is not a mesh: {reason(error)}; try a .ply file with triangles") from error
    return Mesh(vertices.to(like.device), faces.to(like.device), colours.to(like.device))


def read_textured(path: Path) -> TexturedMesh:
    """Reads a mesh with a texture that a run has exported as GLB; its vertex colours are grey.

    Raises:
        ValueError: trimesh is missing, or the file is no GLB with one textured mesh.
        OSError: the file cannot be read.
    """
    trimesh = import_trimesh()
    try:
        with path.open("rb") as file:
            model: Any = trimesh.load(file, file_type="glb", process=False, force="mesh")
        image = np.asarray(model.visual.material.baseColorTexture.convert("RGB"), dtype=np.float32) / 255
        arrays = (model.vertices, model.vertex_normals, model.visual.uv)
        vertices, normals, uv = (torch.tensor(np.asarray(array), dtype=torch.float32) for array in arrays)
        faces = torch.tensor(np.asarray(model.faces), dtype=torch.long)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is no mesh with a texture: {reason(error)}; export it again") from error
    mesh = Mesh(vertices, faces, torch.full_like(vertices, 0.5))
    return TexturedMesh(mesh, normals, uv, torch.from_numpy(image).permute(2, 0, 1))
