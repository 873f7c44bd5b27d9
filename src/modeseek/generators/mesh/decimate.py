"""Decimation of meshes by quadric error, with the distance between the surfaces before and after."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.mesh.mesh import Mesh

_LEAST_FACES = 4
_SAMPLES = 5_000  # points on each surface at which the distance to the other is measured
_CANDIDATES = 16  # faces with the nearest centres whose distance from a point is computed


@dataclass(frozen=True)
class Decimation:
    """A decimated mesh and its deviation from the original.

    Attributes:
        mesh: the decimated mesh, with the colours of the nearest original vertices.
        before: number of faces of the original.
        there: largest distance found from the original surface to the decimated one, fraction of the radius of the
            original about the middle of its bounding box.
        back: largest distance found from the decimated surface to the original one, the same fraction.
        mean: mean distance from the original surface to the decimated one, the same fraction.
    """

    mesh: Mesh
    before: int
    there: float
    back: float
    mean: float

    @property
    def hausdorff(self) -> float:
        """Hausdorff distance as found, fraction of the radius: the larger of the two one-sided distances."""
        return max(self.there, self.back)

    @property
    def summary(self) -> str:
        """One-line summary of the decimation."""
        return (
            f"{self.before:,} faces decimated to {len(self.mesh.faces):,}: distance of the surfaces at most "
            f"{self.hausdorff:.2%} of the radius, {self.mean:.3%} on average"
        )


def decimate(mesh: Mesh, faces: int) -> Decimation:
    """Decimates a mesh by edge collapses of least quadric error (Garland and Heckbert 1997).

    The collapses are those of the package fast-simplification. Distances are measured from 5,000 points of each
    surface to the other, each an upper bound that is exact where the nearest face is among the 16 with the nearest
    centres. A mesh of few enough faces is returned unchanged.

    Args:
        mesh: mesh to decimate.
        faces: number of faces to keep at most, >= 4; a mesh that cannot be collapsed so far keeps more.

    Raises:
        ValueError: fewer than 4 faces, or fast-simplification or scipy is missing.
    """
    if faces < _LEAST_FACES:
        raise ValueError(f"faces must be at least {_LEAST_FACES}, got {faces}; try 20000")
    if len(mesh.faces) <= faces:
        return Decimation(mesh, len(mesh.faces), 0.0, 0.0, 0.0)
    for package in ("fast_simplification", "scipy"):
        if find_spec(package) is None:
            name = package.replace("_", "-")
            raise ValueError(f"decimation needs the package {name}, which is missing; pip install 'modeseek[mesh]'")
    from fast_simplification import simplify
    from scipy.spatial import cKDTree

    vertices = mesh.vertices.detach().double().cpu().numpy()
    points, corners = simplify(vertices, mesh.faces.cpu().numpy().astype(np.int32), target_count=faces)
    points, corners = np.asarray(points, np.float64), np.asarray(corners, np.int64)
    used, corners = np.unique(corners, return_inverse=True)
    _, nearest = cKDTree(vertices).query(points[used])
    device = mesh.vertices.device
    small = Mesh(
        torch.from_numpy(points[used]).to(mesh.vertices),
        torch.from_numpy(corners.reshape(-1, 3)).to(device),
        mesh.colours[torch.from_numpy(np.asarray(nearest)).to(device)],
    )
    there, back = surface_distance(mesh, small), surface_distance(small, mesh)
    middle = (mesh.vertices.amax(0) + mesh.vertices.amin(0)) / 2
    radius = (mesh.vertices - middle).norm(dim=-1).max().item()
    return Decimation(
        small,
        len(mesh.faces),
        there.max().item() / radius,
        back.max().item() / radius,
        there.mean().item() / radius,
    )


def surface_distance(mesh: Mesh, other: Mesh, samples: int = _SAMPLES) -> Float[Tensor, "m"]:
    """Returns distances from points on a surface to another surface, world units, float64; never too small.

    The points are spread evenly over the area; no random numbers are drawn.
    """
    from scipy.spatial import cKDTree

    points = spread_points(mesh, samples)
    corners = other.corners.detach().double().cpu()
    k = min(_CANDIDATES, len(corners))
    _, candidates = cKDTree(corners.mean(1).numpy()).query(points.numpy(), k=k)
    faces = corners[torch.from_numpy(np.asarray(candidates).reshape(len(points), k))]
    return triangle_distance(points[:, None], faces).amin(1)


def spread_points(mesh: Mesh, n: int) -> Float[Tensor, "n 3"]:
    """Returns n points that are spread evenly over the area of a mesh, float64 on the CPU, the same at each call.

    Faces by the midpoints of n equal shares of the area, points within a face by an additive recurrence of two
    irrational numbers (Roberts 2018, R2).
    """
    a, b, c = mesh.corners.detach().double().cpu().unbind(1)
    area = torch.linalg.cross(b - a, c - a).norm(dim=-1).cumsum(0)
    share = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    face = torch.searchsorted(area, share * area[-1]).clamp(max=len(area) - 1)
    u = (0.5 + 0.7548776662466927 * torch.arange(n, dtype=torch.float64)) % 1
    v = (0.5 + 0.5698402909980532 * torch.arange(n, dtype=torch.float64)) % 1
    root = u.sqrt()
    weights = torch.stack([1 - root, root * (1 - v), root * v], -1)
    return (weights[..., None] * torch.stack([a, b, c], 1)[face]).sum(1)


def triangle_distance(points: Float[Tensor, "*#m 3"], corners: Float[Tensor, "*m 3 3"]) -> Float[Tensor, "*m"]:
    """Returns distances of points from triangles: from the plane where the foot lies inside, else from an edge."""
    a, b, c = corners.unbind(-2)
    normal = torch.linalg.cross(b - a, c - a)
    length = normal.norm(dim=-1)
    sides = [
        (torch.linalg.cross(normal, end - start) * (points - start)).sum(-1) for start, end in ((a, b), (b, c), (c, a))
    ]
    inside = torch.stack(sides).amin(0) >= 0
    plane = ((points - a) * normal).sum(-1).abs() / length.clamp(min=1e-300)
    edges = torch.stack([_segment_distance(points, start, end) for start, end in ((a, b), (b, c), (c, a))]).amin(0)
    return torch.where(inside & (length > 0), plane, edges)


def _segment_distance(points: Tensor, start: Tensor, end: Tensor) -> Tensor:
    along = end - start
    share = ((points - start) * along).sum(-1) / along.square().sum(-1).clamp(min=1e-300)
    return (points - start - share.clamp(0, 1)[..., None] * along).norm(dim=-1)
