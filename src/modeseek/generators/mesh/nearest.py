"""Nearest points of a surface, and points that are spread evenly over one."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.surface_points import SurfaceColours, SurfacePoints

_CANDIDATES, _FEW = 16, 4  # faces with the nearest centres whose distance from a point is computed
_CHUNK = 2**16  # points at a time


class NearestPoints:
    """Function from points of space to the nearest points of a mesh.

    The nearest face is found among those whose centres are the nearest; a distance is thus never too small, and exact
    but where large faces lie beside small ones.

    Args:
        mesh: the mesh.
        candidates: number of these faces, >= 1.

    Raises:
        ValueError: scipy is missing.
    """

    def __init__(self, mesh: Mesh, candidates: int = _CANDIDATES) -> None:
        if find_spec("scipy") is None:
            raise ValueError(
                "distances of meshes need the package scipy, which is missing; pip install 'modeseek[mesh]'"
            )
        from scipy.spatial import KDTree

        self.mesh, self.candidates = mesh, min(candidates, len(mesh.faces))
        self._corners = mesh.corners.detach().double().cpu()
        self._tree = KDTree(self._corners.mean(1).numpy())

    def __call__(self, positions: Float[Tensor, "m 3"]) -> SurfacePoints:
        """Returns the nearest points; faces and weights on the device of the mesh."""
        parts = [self._search(part) for part in positions.detach().double().cpu().split(_CHUNK)]
        face, weights = (torch.cat(list(column)) for column in zip(*parts, strict=True))
        vertices = self.mesh.vertices.detach()
        return SurfacePoints(face.to(vertices.device), weights.to(vertices), self.mesh.faces, vertices)

    def _search(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        k = self.candidates
        _, found = self._tree.query(positions.numpy(), k=k)
        candidates = torch.from_numpy(np.asarray(found).reshape(len(positions), k))
        corners = self._corners[candidates]
        weights = closest_weights(positions[:, None].expand(-1, k, -1), corners)
        distance = ((weights[..., None] * corners).sum(-2) - positions[:, None]).norm(dim=-1)
        row, best = torch.arange(len(positions)), distance.argmin(1)
        return candidates[row, best], weights[row, best]


def projected(mesh: Mesh, colours: SurfaceColours) -> SurfaceColours:
    """Returns the colours of a mesh as those of any points near it: each has that of the nearest point of the mesh."""
    nearest = NearestPoints(mesh, _FEW)
    return lambda points: colours(nearest(points.positions))


def surface_distance(mesh: Mesh, other: Mesh, samples: int) -> Float[Tensor, "m"]:
    """Returns distances from points spread over a surface to another surface, world units, float64."""
    points = spread_points(mesh, samples)
    found = NearestPoints(Mesh(other.vertices.detach().double(), other.faces, other.colours.detach().double()))(points)
    return (found.positions.cpu() - points).norm(dim=-1)


def spread_points(mesh: Mesh, n: int) -> Float[Tensor, "n 3"]:
    """Returns n points that are spread evenly over the area of a mesh, float64 on the CPU, the same at each call.

    Faces by the midpoints of n equal shares of the area, points within a face by an additive recurrence of two
    irrational numbers (Roberts 2018, "The unreasonable effectiveness of quasirandom sequences").
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


def closest_weights(points: Float[Tensor, "*m 3"], corners: Float[Tensor, "*m 3 3"]) -> Float[Tensor, "*m 3"]:
    """Returns barycentric coordinates of the point of each triangle that is the nearest to a point.

    The foot of the perpendicular if it lies inside, else the nearest point of the three sides.
    """
    a, b, c = corners.unbind(-2)
    u, v, p = b - a, c - a, points - a
    uu, uv, vv, pu, pv = ((x * y).sum(-1) for x, y in ((u, u), (u, v), (v, v), (p, u), (p, v)))
    area = uu * vv - uv * uv
    second, third = (vv * pu - uv * pv) / area, (uu * pv - uv * pu) / area
    foot = torch.stack([1 - second - third, second, third], -1)
    inside = (area > 0) & (foot >= 0).all(-1)
    sides = [_side_weights(points, corners, start, end) for start, end in ((0, 1), (1, 2), (2, 0))]
    options = torch.stack(sides, -2)
    distance = ((options[..., None] * corners[..., None, :, :]).sum(-2) - points[..., None, :]).norm(dim=-1)
    best = distance.argmin(-1, keepdim=True)[..., None].expand(*distance.shape[:-1], 1, 3)
    return torch.where(inside[..., None], foot, options.gather(-2, best)[..., 0, :])


def _side_weights(points: Tensor, corners: Tensor, start: int, end: int) -> Tensor:
    """Barycentric coordinates of the nearest point of one side."""
    first, along = corners[..., start, :], corners[..., end, :] - corners[..., start, :]
    share = (((points - first) * along).sum(-1) / along.square().sum(-1).clamp(min=1e-300)).clamp(0, 1)
    weights = torch.zeros(*share.shape, 3, dtype=share.dtype)
    weights[..., start], weights[..., end] = 1 - share, share
    return weights
