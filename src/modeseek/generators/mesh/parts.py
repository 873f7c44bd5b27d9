"""Connected parts of a mesh: removal of floaters and of interior cavities."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from modeseek.generators.mesh.mesh import Mesh, signed_volumes


@dataclass(frozen=True)
class MeshParts:
    """A mesh without its floaters and cavities, and statistics of the removal.

    Attributes:
        mesh: the remaining mesh.
        pieces: number of connected parts of the remaining mesh.
        floaters: number of parts removed because they were small.
        hollows: number of interior surfaces removed, which no outside camera sees; the cavities are filled.
        share: remaining fraction of the volume of all outer parts, in (0, 1].
    """

    mesh: Mesh
    pieces: int
    floaters: int
    hollows: int
    share: float


def remove_floaters(mesh: Mesh, smallest: float) -> MeshParts:
    """Removes parts below a fraction of the largest part's volume, and all cavities.

    A cavity is a part whose faces point inwards: its signed volume is negative.

    Args:
        mesh: a closed mesh.
        smallest: smallest volume to keep, as a fraction of the largest part's, in [0, 1].

    Raises:
        ValueError: the fraction is outside [0, 1], or no part encloses a volume.
    """
    if not 0 <= smallest <= 1:
        raise ValueError(f"floaters must be a fraction in [0, 1] of the largest part, got {smallest}")
    part = vertex_components(mesh)
    volume = torch.zeros(int(part.max()) + 1, dtype=torch.float64, device=part.device)
    volume = volume.index_add(0, part[mesh.faces[:, 0]], signed_volumes(mesh))
    outer = volume > 0
    if not outer.any():
        raise ValueError("the surface encloses no volume; train longer, or lower the level")
    large = outer & (volume >= smallest * volume.max())
    return MeshParts(
        submesh(mesh, large[part]),
        int(large.sum()),
        int((outer & ~large).sum()),
        int((~outer).sum()),
        (volume[large].sum() / volume[outer].sum()).item(),
    )


def vertex_components(mesh: Mesh) -> Int[Tensor, "v"]:
    """Returns the index of the connected part of each vertex; vertices of a face are connected."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    faces, v = mesh.faces.cpu().numpy(), len(mesh.vertices)
    start, end = np.concatenate([faces[:, 0], faces[:, 1]]), np.concatenate([faces[:, 1], faces[:, 2]])
    adjacency = coo_array((np.ones(len(start), dtype=np.int8), (start, end)), shape=(v, v))
    return torch.from_numpy(connected_components(adjacency, directed=False)[1]).long().to(mesh.faces.device)


def submesh(mesh: Mesh, selected: Tensor) -> Mesh:
    """Returns the faces whose vertices are all selected, (v,) bool, with the vertices they use."""
    faces = mesh.faces[selected[mesh.faces].all(1)]
    used = torch.zeros_like(selected).index_fill(0, faces.flatten(), True)
    return Mesh(mesh.vertices[used], (used.cumsum(0) - 1)[faces], mesh.colours[used])
