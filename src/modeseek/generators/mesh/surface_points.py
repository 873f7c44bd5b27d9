"""Points on the surface of a mesh, and functions of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class SurfacePoints:
    """m points on the faces of a mesh.

    Attributes:
        face: index of the face of each point.
        weights: barycentric coordinates, summing to 1; negative for a point in the plane of its face but beside it.
        faces: vertex indices of the triangles of the mesh.
        vertices: vertex positions of the mesh, world units.
    """

    face: Int[Tensor, "m"]
    weights: Float[Tensor, "m 3"]
    faces: Int[Tensor, "f 3"]
    vertices: Float[Tensor, "v 3"]

    @property
    def positions(self) -> Float[Tensor, "m 3"]:
        """Positions, world units."""
        return self.interpolate(self.vertices)

    def interpolate(self, values: Float[Tensor, "v c"]) -> Float[Tensor, "m c"]:
        """Interpolates vertex attributes at the points."""
        corners = values.index_select(0, self.faces[self.face].flatten()).reshape(-1, 3, values.shape[1])
        return (self.weights[..., None] * corners).sum(1)

    def directions(self, values: Float[Tensor, "v 3"]) -> Float[Tensor, "m 3"]:
        """Interpolates vertex directions, such as normals, to unit length."""
        return torch.nn.functional.normalize(self.interpolate(values), dim=-1, eps=1e-12)

    def select(self, rows: slice) -> SurfacePoints:
        """Returns some of the points."""
        return SurfacePoints(self.face[rows], self.weights[rows], self.faces, self.vertices)


SurfaceColours = Callable[[SurfacePoints], Float[Tensor, "m 3"]]
"""Function from points on the surface to colours in [0, 1]."""


def vertex_points(vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"]) -> SurfacePoints:
    """Returns the vertices of a mesh as points on its faces, each on the first face that has it.

    A vertex of no face is a point of face 0.
    """
    n = len(vertices)
    corner = torch.arange(faces.numel(), device=faces.device)
    first = torch.full((n,), faces.numel(), device=faces.device).scatter_reduce(0, faces.flatten(), corner, "amin")
    first = first.where(first < faces.numel(), 0)
    weights = torch.nn.functional.one_hot(first % 3, 3).to(vertices)
    return SurfacePoints(first // 3, weights, faces, vertices)
