"""Decimation of meshes by quadric error, with the distance between the surfaces before and after."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch

from modeseek.generators.mesh.mesh import Mesh
from modeseek.generators.mesh.nearest import surface_distance

_LEAST_FACES = 4
_SAMPLES = 3_000  # points on each surface at which the distance to the other is measured


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

    The collapses are those of the package fast-simplification. Distances are measured from 3,000 points of each
    surface to the other, never too small (`NearestPoints`). A mesh of few enough faces is returned unchanged.

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
    from scipy.spatial import KDTree

    vertices = mesh.vertices.detach().double().cpu().numpy()
    points, corners = simplify(vertices, mesh.faces.cpu().numpy().astype(np.int32), target_count=faces)[:2]
    points, corners = np.asarray(points, np.float64), np.asarray(corners, np.int64)
    used, corners = np.unique(corners, return_inverse=True)
    _, nearest = KDTree(vertices).query(points[used])
    device = mesh.vertices.device
    small = Mesh(
        torch.from_numpy(points[used]).to(mesh.vertices),
        torch.from_numpy(corners.reshape(-1, 3)).to(device),
        mesh.colours[torch.from_numpy(np.asarray(nearest)).to(device)],
    )
    there, back = (surface_distance(first, second, _SAMPLES) for first, second in ((mesh, small), (small, mesh)))
    middle = (mesh.vertices.amax(0) + mesh.vertices.amin(0)) / 2
    radius = (mesh.vertices - middle).norm(dim=-1).max().item()
    return Decimation(
        small,
        len(mesh.faces),
        there.max().item() / radius,
        back.max().item() / radius,
        there.mean().item() / radius,
    )
