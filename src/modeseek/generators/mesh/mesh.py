"""Triangle meshes with vertex colours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh in world axes (see `generators.camera`).

    The corners of a face are in counter-clockwise order seen from outside.

    Attributes:
        vertices: vertex positions, world units.
        faces: vertex indices of the triangles.
        colours: vertex colours in [0, 1], sRGB like the pixels of an image.
    """

    vertices: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]
    colours: Float[Tensor, "v 3"]

    def __post_init__(self) -> None:
        v, f = len(self.vertices), len(self.faces)
        if not f:
            raise ValueError(f"a mesh needs faces, got {v} vertices and no face; extract it at a lower level")
        if self.faces.min() < 0 or self.faces.max() >= v:
            low, high = self.faces.min().item(), self.faces.max().item()
            raise ValueError(f"face indices must be in 0 to {v - 1}, got {low} to {high}")
        if len(self.colours) != v:
            raise ValueError(f"every vertex needs a colour, got {v} vertices and {len(self.colours)} colours")
        if not (self.vertices.isfinite().all() and self.colours.isfinite().all()):
            raise ValueError("vertices and colours must be finite, got NaN or infinity")
        if self.colours.min() < 0 or self.colours.max() > 1:
            low, high = self.colours.min().item(), self.colours.max().item()
            raise ValueError(f"colours must be in [0, 1], got {low:.3g} to {high:.3g}; clip them")

    @property
    def corners(self) -> Float[Tensor, "f 3 3"]:
        """Corner positions of each face, world units."""
        return self.vertices[self.faces]

    @property
    def normals(self) -> Float[Tensor, "v 3"]:
        """Unit vertex normals out of the surface: area-weighted means of face normals; 0 at unused vertices."""
        a, b, c = self.corners.unbind(1)
        area = torch.linalg.cross(b - a, c - a)
        total = torch.zeros_like(self.vertices)
        for corner in range(3):
            total = total.index_add(0, self.faces[:, corner], area)
        return torch.nn.functional.normalize(total, dim=-1, eps=1e-30)

    @property
    def volume(self) -> float:
        """Enclosed volume, world units cubed, by the divergence theorem; meaningful for closed meshes."""
        return signed_volumes(self).sum().item()

    @property
    def closed(self) -> bool:
        """Whether every edge is shared by exactly two faces that traverse it in opposite directions."""
        start, end = self.faces.flatten(), self.faces.roll(-1, 1).flatten()
        forward = (start * len(self.vertices) + end).sort().values
        backward = (end * len(self.vertices) + start).sort().values
        return bool((forward == backward).all() and (forward.diff() != 0).all() and (start != end).all())


def signed_volumes(mesh: Mesh) -> Float[Tensor, "f"]:
    """Returns the signed volume between each face and the origin, float64, negative for faces towards it."""
    a, b, c = mesh.corners.double().unbind(1)
    return (a * torch.linalg.cross(b, c)).sum(-1) / 6
