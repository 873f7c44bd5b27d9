"""Checks of the triangles of a mesh file: what is broken, and the repair of what can be repaired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from modeseek.generators.mesh.read import import_trimesh


@dataclass(frozen=True)
class Repaired:
    """Triangles of a mesh file after repair.

    Attributes:
        vertices: vertex positions, each in use and of another place, (v, 3).
        faces: vertex indices of the triangles, (f, 3), counter-clockwise seen from outside where there is an outside.
        remarks: what was broken, one line each; empty for a sound mesh.
    """

    vertices: np.ndarray
    faces: np.ndarray
    remarks: tuple[str, ...]


def repair(vertices: np.ndarray, faces: np.ndarray) -> Repaired:
    """Merges equal vertices, removes degenerate faces, and makes the orientation of faces consistent and outward.

    Holes and edges of more than two faces stay, with a remark.

    Args:
        vertices: vertex positions, (v, 3).
        faces: vertex indices of the triangles, (f, 3).

    Raises:
        ValueError: no face with an area, or vertices that are not finite.
    """
    if not len(faces):
        raise ValueError(f"it has no faces, got {len(vertices):,} vertices alone; try a file with triangles")
    if not np.isfinite(vertices[faces]).all():
        raise ValueError("its vertices must be finite, got NaN or infinity; export it again")
    vertices, faces = _merge(vertices, faces)
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    flat = ~(np.cross(b - a, c - a) != 0).any(1)
    if flat.all():
        raise ValueError(f"it has no face with an area, got {len(faces):,} degenerate faces; try another file")
    remarks = [f"{_count(int(flat.sum()), 'face')} without area removed"] if flat.any() else []
    vertices, faces = _merge(vertices, faces[~flat])
    faces, flipped = _orient(vertices, faces)
    if flipped:
        remarks.append(f"orientation of {_count(flipped, 'face')} of {len(faces):,} reversed, which faced inwards")
    edges = _Edges.of(faces)
    if edges.open:
        remarks.append(
            f"{_count(edges.holes, 'hole')} with {_count(edges.open, 'open edge')}: not closed, so both sides of faces "
            "are rendered"
        )
    if edges.crowded:
        remarks.append(f"{_count(edges.crowded, 'edge')} of more than two faces")
    if edges.twisted:
        remarks.append(f"{_count(edges.twisted, 'edge')} whose two faces have opposite orientations")
    return Repaired(vertices, faces, tuple(remarks))


@dataclass(frozen=True)
class _Edges:
    """Numbers of edges: open (of one face), crowded (of more than two), twisted (traversed twice in one direction)."""

    open: int
    holes: int
    crowded: int
    twisted: int

    @classmethod
    def of(cls, faces: np.ndarray) -> _Edges:
        directed = np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2)
        undirected, which, count = np.unique(np.sort(directed, 1), axis=0, return_inverse=True, return_counts=True)
        forward = np.bincount(which.ravel(), weights=directed[:, 0] < directed[:, 1], minlength=len(count))
        border = undirected[count == 1]
        twisted = (count == 2) & (forward != 1)
        return cls(len(border), _loops(border), int((count > 2).sum()), int(twisted.sum()))


def _loops(edges: np.ndarray) -> int:
    """Number of connected components of edges."""
    if not len(edges):
        return 0
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    _, index = np.unique(edges, return_inverse=True)
    first, second = index.reshape(-1, 2).T
    n = int(index.max()) + 1
    return int(connected_components(coo_array((np.ones(len(first)), (first, second)), (n, n)), directed=False)[0])


def _merge(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices in use, each place once, in the order of their first use, and faces with three of them."""
    used, index = np.unique(faces, return_inverse=True)
    _, first, place = np.unique(vertices[used] + 0.0, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)  # keeps the order of the file, in which neighbours are near each other
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return vertices[used][first[order]], rank[place.ravel()][index.reshape(faces.shape)]


def _orient(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, int]:
    """Faces of consistent orientation, outward in closed parts, and how many were reversed."""
    trimesh = import_trimesh()
    model: Any = trimesh.Trimesh(vertices, faces, process=False)
    trimesh.repair.fix_winding(model)
    result = np.asarray(model.faces).copy()
    part = trimesh.graph.connected_component_labels(model.face_adjacency, node_count=len(result))
    a, b, c = (vertices[result[:, k]].astype(np.float64) for k in range(3))
    volume = np.bincount(part, weights=(a * np.cross(b, c)).sum(1))
    open_faces = np.bincount(part, weights=_borders(result))
    inward = (volume < 0) & (open_faces == 0)
    result[inward[part]] = result[inward[part]][:, ::-1]
    kept = np.any([(result == np.roll(faces, k, 1)).all(1) for k in range(3)], axis=0)
    return result, int((~kept).sum())


def _borders(faces: np.ndarray) -> np.ndarray:
    """Number of open edges of each face."""
    undirected = np.sort(np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2), 1)
    _, which, count = np.unique(undirected, axis=0, return_inverse=True, return_counts=True)
    return (count[which.ravel()] == 1).reshape(-1, 3).sum(1)


def _count(n: int, name: str) -> str:
    return f"{n:,} {name}{'s' * (n != 1)}"
