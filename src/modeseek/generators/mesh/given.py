"""Meshes that are given as files: OBJ, PLY, GLB and STL, checked, repaired, and placed in the ball."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modeseek.generators.mesh.decimate import decimate
from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.placement import MeshPlacement, UpAxis, to_y_up
from modeseek.generators.mesh.read import MAX_BYTES, import_trimesh
from modeseek.generators.mesh.repair import repair
from modeseek.io.errors import reason

MOST_FACES = 1_000_000
SUFFIXES = (".glb", ".obj", ".ply", ".stl")
GREY = 0.5
_RADIUS = 0.8  # of a given mesh, world units


@dataclass(frozen=True)
class GivenMesh:
    """Mesh of a file in the ball around the origin.

    Attributes:
        mesh: the mesh, grey, in world axes; its bounding box is centred at the origin.
        placement: map between the file, y up, and world axes.
        summary: its size, one line.
        remarks: what was broken or changed, one line each; empty for a sound mesh.
    """

    mesh: Mesh
    placement: MeshPlacement
    summary: str
    remarks: tuple[str, ...]


def read_given_mesh(
    path: Path, like: Tensor, *, up: UpAxis = "y", faces: int | None = None, radius: float = _RADIUS
) -> GivenMesh:
    """Reads the shape of a mesh file, without its colours; the objects of a scene become one mesh.

    Args:
        path: .obj, .ply, .glb or .stl file.
        like: tensor whose dtype and device the mesh takes.
        up: axis of the file that points up: y (glTF's), or z, with the front face along -y.
        faces: number of faces to decimate to; None keeps all.
        radius: distance of the farthest vertex from the middle of the bounding box, world units, > 0.

    Raises:
        ValueError: the file is no mesh, has no faces or more than a million without `faces`, another suffix, or a
            package is missing; one line.
        OSError: the file cannot be read.
    """
    if not 0 < radius < float("inf"):
        raise ValueError(f"radius of a mesh must be above 0, got {radius}; try {_RADIUS}")
    points, corners = _load(path)
    if len(corners) > MOST_FACES and faces is None:
        raise ValueError(f"{path.name} has {len(corners):,} faces, more than {MOST_FACES:,}; try --faces 20000")
    try:
        sound = repair(points, corners)
        vertices = to_y_up(torch.from_numpy(sound.vertices), up)
        placement = MeshPlacement.of(vertices, radius)
    except ValueError as error:
        raise ValueError(f"{path.name} is no mesh to paint: {error}") from error
    placed = placement.place(vertices).to(like)
    mesh = Mesh(placed, torch.from_numpy(sound.faces).to(like.device), torch.full_like(placed, GREY))
    remarks = [f"{path.name}: {remark}" for remark in sound.remarks]
    if faces is not None and len(mesh.faces) > faces:
        decimation = decimate(mesh, faces)
        mesh = decimation.mesh
        remarks.append(f"{path.name}: {decimation.summary}")
    sides = " x ".join(f"{side:.3g}" for side in (vertices.amax(0) - vertices.amin(0)).tolist())
    summary = (
        f"{path.name}: {len(mesh.faces):,} faces, {'closed' if mesh.closed else 'open'}; width, height and depth "
        f"{sides} in units of the file with {up} up, scaled by {placement.scale:.3g}"
    )
    return GivenMesh(mesh, placement, summary, tuple(remarks))


def check_suffix(path: Path) -> str:
    """Returns the suffix of a mesh file in lower case; ValueError for another than those of `SUFFIXES`."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"a mesh to paint must be a {', '.join(SUFFIXES)} file, got {path.name!r}; convert it to glb")
    return suffix


def _load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (v, 3), float64, and triangles (f, 3) of a file."""
    trimesh = import_trimesh()
    suffix = check_suffix(path)
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name} has more than {MAX_BYTES:,} bytes; simplify the mesh")
    try:
        with path.open("rb") as file:
            scene: Any = trimesh.load_scene(file, file_type=suffix[1:], process=False, skip_materials=True)
        parts = [part for part in scene.dump() if hasattr(part, "faces")]
        if not parts:
            raise ValueError("it has no triangles")
        starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
        vertices = np.concatenate([np.asarray(part.vertices, np.float64).reshape(-1, 3) for part in parts])
        faces = np.concatenate(
            [
                np.asarray(part.faces, np.int64).reshape(-1, 3) + start
                for part, start in zip(parts, starts, strict=False)
            ]
        )
        if len(faces) and not (0 <= faces.min() and faces.max() < len(vertices)):
            raise ValueError(f"face indices must be in 0 to {len(vertices) - 1}")
    except _DAMAGES as error:
        raise ValueError(f"{path.name} is not a mesh: {reason(error)}; try a file with triangles") from error
    return vertices, faces


_DAMAGES = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    EOFError,
    NameError,
    RuntimeError,
    struct.error,
)  # what trimesh raises for damaged files
