"""The separate pieces of a mesh: what floats beside the thing, and the hollows inside it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from modeseek.generators.mesh.mesh import Mesh, signed_volumes


@dataclass(frozen=True)
class MeshParts:
    """A mesh after its small pieces were left out.

    Attributes:
        mesh: what is left.
        pieces: of it.
        floaters: pieces left out because they were small.
        hollows: inner surfaces left out, which no camera outside sees; the mesh is solid there.
        share: of the volume of all outer pieces that is left, (0, 1].
    """

    mesh: Mesh
    pieces: int
    floaters: int
    hollows: int
    share: float


def remove_floaters(mesh: Mesh, smallest: float) -> MeshParts:
    """Leaves out pieces of less than `smallest` of the largest one's volume, and all hollows.

    A hollow is a piece whose faces look inwards: its volume is negative.

    Args:
        mesh: closed.
        smallest: share of the largest piece's volume, [0, 1].

    Raises:
        ValueError: the share is outside [0, 1], or no piece encloses anything.
    """
    if not 0 <= smallest <= 1:
        raise ValueError(f"floaters are pieces below a share in [0, 1] of the largest: got {smallest}; choose one")
    piece = vertex_components(mesh)
    volume = torch.zeros(int(piece.max()) + 1, dtype=torch.float64, device=piece.device)
    volume = volume.index_add(0, piece[mesh.faces[:, 0]], signed_volumes(mesh))
    outer = volume > 0
    if not outer.any():
        raise ValueError("the surface encloses nothing: got no piece with a volume; train longer, or lower the level")
    good = outer & (volume >= smallest * volume.max())
    return MeshParts(
        submesh(mesh, good[piece]),
        int(good.sum()),
        int((outer & ~good).sum()),
        int((~outer).sum()),
        (volume[good].sum() / volume[outer].sum()).item(),
    )


def vertex_components(mesh: Mesh) -> Int[Tensor, "v"]:
    """The number of the connected piece that each vertex belongs to; pieces hang together along faces."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    faces, v = mesh.faces.cpu().numpy(), len(mesh.vertices)
    start, end = np.concatenate([faces[:, 0], faces[:, 1]]), np.concatenate([faces[:, 1], faces[:, 2]])
    links = coo_array((np.ones(len(start), dtype=np.int8), (start, end)), shape=(v, v))
    return torch.from_numpy(connected_components(links, directed=False)[1]).long().to(mesh.faces.device)


def submesh(mesh: Mesh, chosen: Tensor) -> Mesh:
    """The faces all of whose vertices are chosen, (v,) bool, and those vertices alone."""
    faces = mesh.faces[chosen[mesh.faces].all(1)]
    used = torch.zeros_like(chosen).index_fill(0, faces.flatten(), True)
    return Mesh(mesh.vertices[used], (used.cumsum(0) - 1)[faces], mesh.colours[used])
